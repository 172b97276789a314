//! The schedule of refunds: the unclaimed rest of sprays and the remainder of drops are returned, and
//! products that are over are settled. Products and the rest go on side by side, so that a backlog of
//! one does not hold up the other.
//!
//! A run works until shortly before its deadline and says whether something is left; the next run
//! goes on where the index says that something is due. Two runs at once do no harm.
//!
//! # How many runs a backlog takes
//!
//! At most ⌈D / (100 × (T/P − 7))⌉ + 1 runs refund D due sprays, if none fails and T > 7 P:
//! * T is the time from a run's start to its `stop_at`.
//! * P is the longest time that a page of 100 sprays takes. Sixteen at a time, so seven rounds, each
//!   of four calls one after the other: the spray, its buckets, the wallet, the transaction. Before
//!   them the index is read. Sprays of one sender wait for each other.
//! * A run stops before the first page that would begin at `stop_at` or later, so it begins T/P
//!   pages or more, and ends less than P after `stop_at`. The index has eight shards: of a run that
//!   stops short, at most seven pages hold fewer than 100.
//! * The last run finds nothing, where the one before it had used up its time.
//!
//! With T = 294.8 s (`Timeout` in template.yaml, less what is kept back) and 10 ms a call, P is
//! 0.29 s and one run refunds 100,900 sprays. Eight hours of one spray a second are 28,800: two.
//! `eight_hours_of_backlog_are_settled_within_the_stated_number_of_runs` proves it.

use largesse_app::drop::close;
use largesse_app::ports::{
    Clock, DropReads, DropsClosed, Freezes, Pools, Products, Refunds, Rng, Settlements, Sprays,
};
use largesse_app::spray::refund;
use largesse_domain::time::Timestamp;
use largesse_runtime::RunError;
use serde::Serialize;

pub mod products;
pub mod settings;

/// The ports that the function uses.
pub trait Deps:
    Sprays + Pools + Refunds + DropReads + DropsClosed + Products + Settlements + Freezes + Rng + Clock
{
}

impl<T> Deps for T where
    T: Sprays
        + Pools
        + Refunds
        + DropReads
        + DropsClosed
        + Products
        + Settlements
        + Freezes
        + Rng
        + Clock
{
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Sprays refunded.
    pub refunded: u64,
    /// Drops closed.
    pub closed: u64,
    /// What was returned, in minor units.
    pub returned: u64,
    /// Sprays and drops whose sender's or funder's wallet is too full; each is tried again in an hour.
    pub wallet_full: u64,
    /// What became of products.
    pub products: products::Report,
    /// Whether time ran out before everything due was looked at.
    pub has_more: bool,
}

/// Refunds what is due, until `stop_at`.
///
/// # Errors
/// [`RunError`]: the index cannot be read, or something failed and is left to the next run.
pub async fn handle<D: Deps>(deps: &D, stop_at: Timestamp) -> Result<Report, RunError> {
    let (done, settled) =
        futures::future::join(refund::run(deps, stop_at), products::run(deps, stop_at)).await;
    let (done, (products, unsettled, has_unsettled)) = (done?, settled?);
    let refund::BatchReport { refunded, returned, wallet_full, frozen, failed, has_more } = done;
    // Drops come second: they are few, and the time that sprays leave is enough for them.
    let drops = close::run(deps, stop_at).await?;
    let returned = returned.saturating_add(drops.returned);
    let wallet_full = wallet_full.saturating_add(drops.wallet_full);
    let frozen = frozen.saturating_add(drops.frozen);
    let failed = failed.saturating_add(drops.failed);
    let has_more = has_more || drops.has_more;
    let closed = drops.closed;
    tracing::info!(
        refund.refunded = refunded,
        refund.closed = closed,
        refund.returned = returned,
        refund.wallet_full = wallet_full,
        refund.frozen = frozen,
        refund.failed = failed,
        refund.has_more = has_more,
    );
    // The log names each with its cause. One that fails for ever raises an alarm.
    let failed = failed.saturating_add(unsettled);
    if failed > 0 {
        return Err(RunError::LeftOver(failed));
    }
    let has_more = has_more || has_unsettled;
    Ok(Report { refunded, closed, returned, wallet_full, products, has_more })
}
