//! Products that are over or sold out are settled: paid out, or refunded.

use largesse_app::ports::PortResult;
use largesse_app::product::settle;
use largesse_domain::time::Timestamp;
use serde::Serialize;

use crate::Deps;

/// What a run did with products.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Products settled.
    pub settled: u64,
    /// What issuers were paid, in minor units.
    pub paid_out: u64,
    /// Investments refunded.
    pub refunded: u64,
    /// What was refunded, in minor units.
    pub returned: u64,
    /// Products that owe to a wallet that is too full; each is tried again in an hour.
    pub wallet_full: u64,
}

/// A report, how many products failed, and whether something due is left.
pub(crate) type Run = (Report, u64, bool);

/// Settles what is due, until `stop_at`.
///
/// # Errors
/// [`largesse_app::ports::PortError`] when the index cannot be read.
pub(crate) async fn run<D: Deps>(deps: &D, stop_at: Timestamp) -> PortResult<Run> {
    let done = settle::run(deps, stop_at).await?;
    tracing::info!(
        settle.settled = done.settled,
        settle.paid_out = done.paid_out,
        settle.refunded = done.refunded,
        settle.returned = done.returned,
        settle.wallet_full = done.wallet_full,
        settle.frozen = done.frozen,
        settle.failed = done.failed,
        settle.has_more = done.has_more,
    );
    let report = Report {
        settled: done.settled,
        paid_out: done.paid_out,
        refunded: done.refunded,
        returned: done.returned,
        wallet_full: done.wallet_full,
    };
    Ok((report, done.failed, done.has_more))
}
