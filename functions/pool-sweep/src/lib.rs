//! The schedule of the sweep: what was drawn and is neither paid nor given up is sent again.
//!
//! A run works until shortly before its deadline; the next one goes on where the index says that
//! something waits. Two runs at once do no harm.
//!
//! # How many runs a backlog takes
//!
//! At most ⌈D / (100 × (T/P − 7))⌉ + 1 runs sweep D buckets that wait, if none fails and T > 7 P:
//! * T is the time from a run's start to its `stop_at`.
//! * P is the longest time that a page of 100 buckets takes. Sixteen at a time, so seven rounds, each
//!   of six calls one after the other: the bucket, its payments, its failed grants, up to two sends
//!   and the mark that it is swept. Before them the index is read.
//! * A run stops before the first page that would begin at `stop_at` or later, so it begins T/P
//!   pages or more, and ends less than P after `stop_at`. The index has eight shards: of a run that
//!   stops short, at most seven pages hold fewer than 100.
//! * The last run finds nothing, where the one before it had used up its time.
//!
//! With T = 114.8 s (`Timeout` in template.yaml, less what is kept back) and 10 ms a call, P is
//! 0.43 s and one run sweeps 26,000 buckets. Eight hours of one spray a second are 28,800 of them:
//! two runs. `eight_hours_of_backlog_are_settled_within_the_stated_number_of_runs` proves it.

use largesse_app::pool::sweep;
use largesse_app::ports::{Clock, Drops, GrantQueue, Grants, Ids, Money, Pools, Promotions, Rng};
use largesse_domain::time::Timestamp;
use largesse_runtime::RunError;
use serde::Serialize;

pub mod settings;

/// The ports that the function uses.
pub trait Deps:
    Pools + Money + Grants + GrantQueue + Drops + Promotions + Clock + Ids + Rng
{
}

impl<T> Deps for T where
    T: Pools + Money + Grants + GrantQueue + Drops + Promotions + Clock + Ids + Rng
{
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Buckets looked at.
    pub buckets: u64,
    /// Entries that were sent again.
    pub resent: u64,
    /// Whether time ran out before everything was looked at.
    pub has_more: bool,
}

/// Sweeps what is to be swept, until `stop_at`.
///
/// # Errors
/// [`RunError`]: the index cannot be read, a bucket failed and is left to the next run, or an entry
/// is one that no draw can have written or whose failed grant cannot be read.
pub async fn handle<D: Deps>(deps: &D, stop_at: Timestamp) -> Result<Report, RunError> {
    let done = sweep::run(deps, stop_at).await?;
    let sweep::SweepReport { buckets, resent, impossible, unreadable, failed, has_more } = done;
    // infra/alarms.yaml counts `sweep.resent`: something between draw and payment does not work.
    tracing::info!(
        sweep.buckets = buckets,
        sweep.resent = resent,
        sweep.impossible = impossible,
        sweep.unreadable = unreadable,
        sweep.failed = failed,
        sweep.has_more = has_more,
    );
    // The log names each. One that fails for ever raises an alarm.
    match failed.saturating_add(impossible).saturating_add(unreadable) {
        0 => Ok(Report { buckets, resent, has_more }),
        left => Err(RunError::LeftOver(left)),
    }
}
