//! The queues of what is to be done about a campaign in the background.

use std::future::Future;

use largesse_domain::id::CampaignId;

use crate::ports::PortResult;

/// A job. Each carries the number under which it was begun, so that one of an earlier beginning does
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignJob {
    /// Lay out the rows: the seal.
    Seal {
        /// The campaign.
        campaign: CampaignId,
        /// Which seal.
        attempt: u32,
    },
    /// Send the chunks to be paid.
    Pay {
        /// The campaign.
        campaign: CampaignId,
        /// Under which start.
        fence: u64,
        /// The first chunk that is not sent yet: a job that runs out of time sends its own rest.
        from: u32,
    },
    /// Send the chunks to be taken back.
    Reverse {
        /// The campaign.
        campaign: CampaignId,
        /// Under which rollback.
        fence: u64,
        /// The first chunk that is not sent yet.
        from: u32,
    },
}

/// The queues of jobs: standard queues, one of seals, one of pay and reverse.
pub trait CampaignJobs: Send + Sync {
    /// Sends a job. It arrives at least once, in any order.
    fn send_job(&self, job: &CampaignJob) -> impl Future<Output = PortResult<()>> + Send;
}
