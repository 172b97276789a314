//! The schedule of the sweep: draws that a killed process left pending are settled.
//!
//! A run works until shortly before its deadline; the next one goes on where the index says that
//! something waits. Two runs at once do no harm.
//!
//! # How many runs a backlog takes
//!
//! At most ⌈D / (100 × (T/P − 7))⌉ + 1 runs sweep D pools that wait, if none fails and T > 7 P:
//! * T is the time from a run's start to its `stop_at`.
//! * P is the longest that a page of 100 pools takes. Sixteen at a time, so seven rounds, each of
//!   three calls one after the other: the spray, its records, the mark that it is swept; and one
//!   more for each draw to record, and two for trimming a pool of more than 48 shares. Before them
//!   the index is read.
//! * A run stops before the first page that would begin at `stop_at` or later, so it begins T/P
//!   pages or more, and ends less than P after `stop_at`. The index has eight parts: of a run that
//!   stops short, at most seven pages hold fewer than 100.
//! * The last run finds nothing, where the one before it had used up its time.
//!
//! With T = 114.8 s (`Timeout` in template.yaml, less what is kept back), 10 ms a call and one draw
//! to record in each pool, P is 0.29 s and one run sweeps 38,800 pools. Eight hours of one spray a
//! second are 28,800: two runs.
//! `eight_hours_of_backlog_are_settled_within_the_stated_number_of_runs` proves it.

use largesse_app::pool::sweep;
use largesse_app::ports::{Clock, Grants, Pools, Rng, Sprays};
use largesse_domain::time::Timestamp;
use largesse_runtime::RunError;
use serde::Serialize;

/// The ports that the function uses.
pub trait Deps: Pools + Grants + Sprays + Rng + Clock {}

impl<T: Pools + Grants + Sprays + Rng + Clock> Deps for T {}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Pools looked at.
    pub pools: u64,
    /// Stale draws that have their record now.
    pub settled: u64,
    /// Whether time ran out before everything was looked at.
    pub has_more: bool,
}

/// Sweeps what is to be swept, until `stop_at`.
///
/// # Errors
/// [`RunError`]: the index cannot be read, or something failed and is left to the next run.
pub async fn handle<D: Deps>(deps: &D, stop_at: Timestamp) -> Result<Report, RunError> {
    let sweep::SweepReport { pools, settled, failed, has_more } = sweep::run(deps, stop_at).await?;
    tracing::info!(
        sweep.pools = pools,
        sweep.settled = settled,
        sweep.failed = failed,
        sweep.has_more = has_more,
    );
    // Each was logged with its id and cause. One that fails for ever must be seen by somebody.
    if failed > 0 {
        return Err(RunError::LeftOver(failed));
    }
    Ok(Report { pools, settled, has_more })
}
