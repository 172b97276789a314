//! The schedule of refunds: what nobody claimed goes back.
//!
//! A run works until shortly before its deadline and says whether something is left; the next run
//! goes on where the index says that something is due. Two runs at once do no harm.

use largesse_app::spray::refund;
use largesse_domain::time::Timestamp;
use largesse_edge::Ports;
use largesse_edge::lambda::RunError;
use serde::Serialize;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Sprays refunded.
    pub refunded: u64,
    /// What went back, in minor units.
    pub returned: u64,
    /// Whether time ran out before everything due was looked at.
    pub has_more: bool,
}

/// Refunds what is due, until `stop_at`.
///
/// # Errors
/// [`RunError`]: the index cannot be read, or something failed and is left to the next run.
pub async fn handle<D: Ports>(deps: &D, stop_at: Timestamp) -> Result<Report, RunError> {
    let done = refund::run(deps, stop_at).await?;
    let refund::BatchReport { refunded, returned, failed, has_more } = done;
    tracing::info!(
        refund.refunded = refunded,
        refund.returned = returned,
        refund.failed = failed,
        refund.has_more = has_more,
    );
    // Each was logged with its id and cause. One that fails for ever must be seen by somebody.
    if failed > 0 {
        return Err(RunError::LeftOver(failed));
    }
    Ok(Report { refunded, returned, has_more })
}
