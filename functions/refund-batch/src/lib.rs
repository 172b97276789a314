//! The schedule of refunds: the unclaimed rest of sprays and the remainder of drops are returned, the
//! lots of drops are drawn, and products that are over are settled. The three go on side by side:
//! neither a backlog of one nor an index that cannot be read holds up the others.
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
    Clock, DropReads, DropsClosed, Freezes, Pools, PortError, PortResult, Products, Refunds, Rng,
    Settlements, Shuffles, Sprays,
};
use largesse_app::spray::refund;
use largesse_domain::time::Timestamp;
use largesse_runtime::RunError;
use serde::Serialize;

pub mod products;
pub mod settings;

/// The ports that the function uses.
pub trait Deps:
    Sprays + Pools + Refunds + SettlesDrops + Products + Settlements + Freezes + Rng + Clock
{
}

impl<T> Deps for T where
    T: Sprays + Pools + Refunds + SettlesDrops + Products + Settlements + Freezes + Rng + Clock
{
}

/// The ports through which the lots of drops are drawn, and drops closed.
pub trait SettlesDrops: DropReads + DropsClosed + Shuffles {}

impl<T: DropReads + DropsClosed + Shuffles> SettlesDrops for T {}

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
/// [`RunError`]: an index cannot be read, or something failed and is left to the next run.
pub async fn handle<D: Deps>(deps: &D, stop_at: Timestamp) -> Result<Report, RunError> {
    let (sprays, drops, products) = futures::future::join3(
        refund::run(deps, stop_at),
        close::run(deps, stop_at),
        products::run(deps, stop_at),
    )
    .await;
    // A run that failed has done what its index gave before; it counts nothing of it.
    let mut failure = None;
    let sprays = kept("sprays", sprays, &mut failure);
    let drops = kept("drops", drops, &mut failure);
    let (products, unsettled, has_unsettled) = kept("products", products, &mut failure);
    let report = Report {
        refunded: sprays.refunded,
        closed: drops.closed,
        returned: sprays.returned.saturating_add(drops.returned),
        wallet_full: sprays.wallet_full.saturating_add(drops.wallet_full),
        products,
        has_more: sprays.has_more || drops.has_more || has_unsettled,
    };
    let failed = sprays.failed.saturating_add(drops.failed);
    let frozen = sprays.frozen.saturating_add(drops.frozen);
    tracing::info!(
        refund.refunded = report.refunded,
        refund.closed = report.closed,
        refund.returned = report.returned,
        refund.wallet_full = report.wallet_full,
        refund.frozen = frozen,
        refund.failed = failed,
        refund.has_more = sprays.has_more || drops.has_more,
    );
    if let Some(error) = failure {
        return Err(error.into());
    }
    // The log names each with its cause. One that fails for ever raises an alarm.
    match failed.saturating_add(unsettled) {
        0 => Ok(report),
        left => Err(RunError::LeftOver(left)),
    }
}

/// What one of the three did. A failure is logged, and the first one is kept.
fn kept<T: Default>(what: &str, run: PortResult<T>, failure: &mut Option<PortError>) -> T {
    run.unwrap_or_else(|error| {
        tracing::error!(refund.of = what, error.cause = error.causes(), "what is due is not read");
        failure.get_or_insert(error);
        T::default()
    })
}
