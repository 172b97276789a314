//! The schedule of the proof: once a day the whole ledger is proved, and each pool that does not
//! add up is frozen.
//!
//! A run works until shortly before its deadline, or until the pass is over; the next one goes on
//! behind the last page that was saved. A run that finds the day's pass done, or its hour not come,
//! costs one read.
//!
//! # How long a pass takes
//! Eight segments are read side by side, each a page of 1 MB at a time. Behind the page of a
//! segment come the reads of its pools, sixteen at a time: with 4,000 transfers of as many pools on
//! it, two calls each and 10 ms a call, 5 s. So a run of 14 minutes proves about 1,300 MB of the
//! ledger, 5 million transfers. What is larger takes more runs: one every fifteen minutes.

use largesse_app::ports::{Campaigns, DailyStats, Freezes, Passes};
use largesse_app::reconcile::Reads;
use largesse_app::reconcile::daily::{self, Ran};
use largesse_domain::time::Timestamp;
use largesse_runtime::RunError;
use serde::Serialize;

pub mod settings;

/// The ports that the function uses.
pub trait Deps: Reads + Passes + Freezes + DailyStats + Campaigns {}

impl<T: Reads + Passes + Freezes + DailyStats + Campaigns> Deps for T {}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `idle`: nothing was due; `worked`; `overtaken`: another run works on the same pass.
    pub outcome: &'static str,
    /// Whether the pass is over.
    pub is_over: bool,
    /// Wallets proved in this pass so far.
    pub wallets: u64,
    /// Transfers counted in this pass so far.
    pub transfers: u64,
    /// Sprays, drops and products proved in this pass so far.
    pub pools: u64,
    /// What this run found that does not add up.
    pub found: u64,
    /// Pools that this run froze.
    pub frozen: u64,
}

/// Works on the pass of the day until `stop_at`. It begins at `hour` (UTC) or later.
///
/// # Errors
/// [`RunError`]: something cannot be read or written now.
pub async fn handle<D: Deps>(deps: &D, stop_at: Timestamp, hour: u32) -> Result<Report, RunError> {
    let report = match daily::run(deps, stop_at, hour).await? {
        Ran::Idle => return Ok(Report { outcome: "idle", ..Report::default() }),
        Ran::Overtaken => Report { outcome: "overtaken", ..Report::default() },
        Ran::Worked { pass, found, frozen } => Report {
            outcome: "worked",
            is_over: pass.ended.is_some(),
            wallets: pass.flow.wallets,
            transfers: pass.flow.transfers,
            pools: pass.counts.pools.saturating_add(pass.counts.products),
            found,
            frozen,
        },
    };
    tracing::info!(
        pass.outcome = report.outcome,
        pass.is_over = report.is_over,
        pass.wallets = report.wallets,
        pass.transfers = report.transfers,
        pass.pools = report.pools,
        pass.found = report.found,
        pass.frozen = report.frozen,
    );
    Ok(report)
}
