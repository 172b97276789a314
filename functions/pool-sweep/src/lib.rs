//! The schedule of the sweep: draws that a killed process left pending are settled.
//!
//! A run works until shortly before its deadline; the next one goes on where the index says that
//! something waits. Two runs at once do no harm.

use largesse_app::pool::sweep;
use largesse_domain::time::Timestamp;
use largesse_edge::Ports;
use largesse_edge::lambda::RunError;
use serde::Serialize;

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
pub async fn handle<D: Ports>(deps: &D, stop_at: Timestamp) -> Result<Report, RunError> {
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
