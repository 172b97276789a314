//! The schedule of the archive: every few days what ended long ago goes from the tables into an
//! object store.
//!
//! A run works until shortly before its deadline, or until the pass is over; the next one goes on
//! from the last step that was saved. A run that finds no pass due costs one read.
//!
//! # How long a pass takes
//! A call takes about 10 ms. Sixteen things are looked at side by side, each by some five calls: 300
//! sprays a second. Packing goes one after another, by four calls for a spray (the spray, and one for
//! each set of its items): 25 a second. Reading back and removing go sixteen side by side again. So a
//! run of 13 minutes archives some 18,000 sprays, and a larger backlog takes more runs: one every
//! fifteen minutes.

use largesse_app::archive::daily::{self, Policy, Ran};
use largesse_app::archive::{Deps, READ_BACK_MS};
use largesse_domain::time::Timestamp;
use largesse_runtime::RunError;
use serde::Serialize;

pub mod settings;

/// The time of a run that is kept for what has begun when it stops: 60 s, with the 5 s that each
/// schedule keeps. What is packed then is put and read back ([`READ_BACK_MS`], 20 s), or at most
/// 1,000 wallets are recorded, five calls each and eight side by side (10 s). No single piece of work
/// between two looks at the clock is longer: the rows of one run, 5,000 in 50 transactions, or a page
/// of a thing. The rest is for calls that are slow and tried again.
pub const MARGIN_MS: u64 = 55_000;
const _: () = assert!(READ_BACK_MS * 2 < MARGIN_MS, "it is read back within the margin");

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `idle`: nothing was due; `worked`; `overtaken`: another run works on the same pass.
    pub outcome: &'static str,
    /// Whether the pass is over.
    pub is_over: bool,
    /// Sprays, drops, products and campaigns archived in this pass so far.
    pub things: u64,
    /// Their items.
    pub items: u64,
    /// Things older than the age that stay.
    pub held: u64,
    /// Transfers archived in this pass so far.
    pub transfers: u64,
    /// Rows of transfers that stay, since the archive has no sound copy of them.
    pub strays: u64,
    /// Milliseconds of the horizon: transfers with ids before it go. What was found so far holds it
    /// back.
    pub horizon_ms: i64,
}

/// Works on the pass that is due until `stop_at`.
///
/// # Errors
/// [`RunError`]: something cannot be read or written now.
pub async fn handle<D: Deps>(
    deps: &D,
    stop_at: Timestamp,
    policy: Policy,
) -> Result<Report, RunError> {
    let pass = match daily::run(deps, stop_at, policy).await? {
        Ran::Idle => return Ok(Report { outcome: "idle", ..Report::default() }),
        Ran::Overtaken => return Ok(Report { outcome: "overtaken", ..Report::default() }),
        Ran::Worked(pass) => pass,
    };
    let report = Report {
        outcome: "worked",
        is_over: pass.ended.is_some(),
        things: pass.counts.things,
        items: pass.counts.items,
        held: pass.counts.held,
        transfers: pass.ledger.transfers,
        strays: pass.ledger.strays.saturating_add(pass.ledger.damaged),
        horizon_ms: pass.horizon().ms(),
    };
    tracing::info!(
        archive.outcome = report.outcome,
        archive.is_over = report.is_over,
        archive.things = report.things,
        archive.items = report.items,
        archive.held = report.held,
        archive.transfers = report.transfers,
        archive.strays = report.strays,
        archive.horizon_ms = report.horizon_ms,
    );
    if report.is_over && report.strays > 0 {
        // infra/alarms.yaml counts `archive.damaged`.
        tracing::error!(archive.damaged = report.strays, "rows of transfers are not archived");
    }
    if let Some(held) = &pass.held {
        tracing::info!(archive.oldest = held.name, archive.why = held.why);
    }
    Ok(report)
}
