//! The schedule of campaigns: those that are due run, and work that was lost comes back.
//!
//! Each action that ends or queues a campaign runs the next one itself. This schedule runs a
//! campaign whose `starts_at` has come, and one that an action left behind when it was killed or
//! failed between its own transaction and the next one's. Then it watches the campaigns that are
//! under way (`largesse_app::campaign::watch`). Two runs at once do no harm.
//!
//! # Guarantees
//! * A campaign that cannot be read keeps neither duty from the others:
//!   `a_campaign_that_cannot_be_read_is_told_and_holds_up_no_watch`.

use largesse_app::campaign::next::run_next;
use largesse_app::campaign::watch::{WatchPorts, watch};
use largesse_domain::id::CampaignId;
use largesse_runtime::RunError;
use serde::Serialize;

pub mod settings;

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The campaigns that it ran, in order.
    pub ran: Vec<String>,
    /// The campaigns whose work was lost: it is sent again.
    pub resent: Vec<String>,
    /// The campaigns that a fault of the system ended.
    pub failed: Vec<String>,
}

/// Runs the campaigns that may run now, and watches those that are under way.
///
/// # Errors
/// [`RunError`]: the agenda cannot be read or written, or a campaign on it cannot be read.
pub async fn handle<D: WatchPorts>(deps: &D) -> Result<Report, RunError> {
    // Neither duty waits for the other.
    let (started, watched) = (run_next(deps).await, watch(deps).await);
    let (started, watched) = (started?, watched?);
    for id in &started.ran {
        tracing::info!(campaign.id = %id, "the campaign runs");
    }
    for id in &watched.resent {
        tracing::warn!(campaign.id = %id, campaign.resent = 1, "its work was lost: sent again");
    }
    for id in &watched.failed {
        tracing::error!(campaign.id = %id, "the campaign cannot go on and is ended");
    }
    // The log names each with its cause. One that fails for ever raises an alarm.
    let unreadable = started.unreadable.len().saturating_add(watched.unreadable.len());
    if unreadable > 0 {
        return Err(RunError::LeftOver(u64::try_from(unreadable).unwrap_or(u64::MAX)));
    }
    let (ran, resent) = (texts(&started.ran), texts(&watched.resent));
    Ok(Report { ran, resent, failed: texts(&watched.failed) })
}

fn texts(ids: &[CampaignId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}
