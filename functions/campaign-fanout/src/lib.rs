//! Jobs of campaigns that run or roll back → the lanes.
//!
//! # Guarantees
//! * Every chunk is sent, also when time runs out:
//!   `a_fan_out_sends_every_chunk_and_none_after_a_stop`.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use largesse_app::campaign::fan_out::{FannedOut, fan_out};
use largesse_app::invocation;
use largesse_app::ports::{
    CampaignJob, CampaignJobs, CampaignQueue, Campaigns, ChunkMessage, ChunkWork, Clock, PortResult,
};
use largesse_aws::campaign::jobs::read_job;
use largesse_domain::campaign::ChunkNumber;
use largesse_domain::time::Timestamp;

pub mod settings;

/// The ports that the function uses.
pub trait Deps: Campaigns + CampaignQueue + CampaignJobs + Clock {}

impl<T: Campaigns + CampaignQueue + CampaignJobs + Clock> Deps for T {}

/// A step and the job of the rest fit in before the deadline.
const REST_MS: u64 = 10_000;
/// How long a batch works where nothing sets a deadline.
const WORK_MS: u64 = 45_000;

/// Does the jobs of a batch. One that fails comes back at the queue's own pace.
pub async fn handle<D: Deps>(deps: &D, event: SqsEvent, lanes: u32) -> SqsBatchResponse {
    let deadline = invocation::deadline();
    let stop_at = deadline.map_or_else(|| deps.now().plus_ms(WORK_MS), |at| at.minus_ms(REST_MS));
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        let is_done = match read_job(message.body.as_deref().unwrap_or_default()) {
            Ok(job) => match do_job(deps, &job, lanes, stop_at).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::warn!(error.cause = error.causes(), "the chunks were not sent");
                    false
                }
            },
            Err(error) => {
                tracing::error!(%error, "the job cannot be read");
                false
            }
        };
        if !is_done {
            response.add_failure(message.message_id.unwrap_or_default());
        }
    }
    response
}

async fn do_job<D: Deps>(
    deps: &D,
    job: &CampaignJob,
    lanes: u32,
    stop_at: Timestamp,
) -> PortResult<()> {
    let (campaign, fence, from, work) = match *job {
        CampaignJob::Pay { campaign, fence, from } => (campaign, fence, from, ChunkWork::Pay),
        CampaignJob::Reverse { campaign, fence, from } => {
            (campaign, fence, from, ChunkWork::Reverse)
        }
        CampaignJob::Seal { campaign, .. } => {
            let why = "a seal is no job of this queue: dropped";
            tracing::error!(campaign.id = %campaign, "{why}");
            return Ok(());
        }
    };
    // The campaign itself has the trace.
    let first = ChunkMessage { campaign, fence, chunk: ChunkNumber(from), work, trace: None };
    let FannedOut::Rest(ChunkNumber(from)) = fan_out(deps, &first, lanes, stop_at).await? else {
        return Ok(());
    };
    let rest = match work {
        ChunkWork::Pay => CampaignJob::Pay { campaign, fence, from },
        ChunkWork::Reverse => CampaignJob::Reverse { campaign, fence, from },
    };
    deps.send_job(&rest).await
}
