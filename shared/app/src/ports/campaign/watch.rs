//! What the watch over the work of campaigns sees and keeps.

use std::future::Future;

use largesse_domain::id::CampaignId;
use largesse_domain::time::Timestamp;

use super::CampaignJob;
use crate::ports::PortResult;

/// How the work on a campaign stood when the watch saw it last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Which work it was, and how far it had come: equal texts say that nothing moved.
    pub stands: String,
    /// Since when nothing moves and no message waits.
    pub since: Timestamp,
    /// How often its job was sent again since something moved.
    pub resends: u32,
}

/// The marks of the watch, one for each campaign.
pub trait CampaignMarks: Send + Sync {
    /// The mark of a campaign. Strongly consistent.
    fn mark(&self, id: CampaignId) -> impl Future<Output = PortResult<Option<Mark>>> + Send;

    /// Writes the mark of a campaign over the one before. Of two watches at once the later one
    /// stands: a job may then be sent once more, which does no harm.
    fn put_mark(&self, id: CampaignId, mark: &Mark) -> impl Future<Output = PortResult<()>> + Send;
}

/// How much waits in the queues.
pub trait Backlog: Send + Sync {
    /// How many messages are in all the queues that a job and what follows from it pass through,
    /// those of other campaigns among them: visible, in flight or delayed. The dead-letter queues do
    /// not count: what lies there does not come back by itself. May lag behind by a minute.
    fn backlog(&self, job: &CampaignJob) -> impl Future<Output = PortResult<u64>> + Send;
}
