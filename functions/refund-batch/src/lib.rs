//! The schedule of refunds: what nobody claimed goes back.
//!
//! A run works until shortly before its deadline and says whether something is left; the next run
//! goes on where the index says that something is due. Two runs at once do no harm.

use largesse_app::ports::PortResult;
use largesse_app::spray::refund;
use largesse_domain::time::Timestamp;
use largesse_edge::Ports;
use serde::Serialize;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Sprays refunded.
    pub refunded: u64,
    /// What went back, in minor units.
    pub returned: u64,
    /// Sprays that could not be refunded now; the next run tries again.
    pub failed: u64,
    /// Whether time ran out before everything due was looked at.
    pub has_more: bool,
}

/// Refunds what is due, until `stop_at`.
///
/// # Errors
/// [`largesse_app::ports::PortError`] when the index cannot be read.
pub async fn handle<D: Ports>(deps: &D, stop_at: Timestamp) -> PortResult<Report> {
    let done = refund::run(deps, stop_at).await?;
    let refund::BatchReport { refunded, returned, failed, has_more } = done;
    tracing::info!(
        refund.refunded = refunded,
        refund.returned = returned,
        refund.failed = failed,
        refund.has_more = has_more,
    );
    Ok(Report { refunded, returned, failed, has_more })
}
