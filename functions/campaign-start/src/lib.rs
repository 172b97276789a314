//! The schedule of campaigns: those that are due run.
//!
//! Each action that ends or queues a campaign runs the next one itself. This schedule runs a
//! campaign whose `starts_at` has come, and one that an action left behind when it was killed or
//! failed between its own transaction and the next one's. Two runs at once do no harm.

use largesse_app::campaign::ActPorts;
use largesse_app::campaign::next::{Started, run_next};
use largesse_runtime::RunError;
use serde::Serialize;

pub mod settings;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The campaigns that it ran, in order.
    pub ran: Vec<String>,
}

/// Runs the campaigns that may run now.
///
/// # Errors
/// [`RunError`]: the agenda cannot be read or written, or a campaign on it cannot be read.
pub async fn handle<D: ActPorts>(deps: &D) -> Result<Report, RunError> {
    let Started { ran, unreadable } = run_next(deps).await?;
    for id in &ran {
        tracing::info!(campaign.id = %id, "the campaign runs");
    }
    // The log names each with its cause. One that fails for ever raises an alarm.
    if !unreadable.is_empty() {
        return Err(RunError::LeftOver(u64::try_from(unreadable.len()).unwrap_or(u64::MAX)));
    }
    Ok(Report { ran: ran.iter().map(ToString::to_string).collect() })
}
