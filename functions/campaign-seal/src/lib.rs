//! The queue of seals: the rows of a campaign are laid out, and the hash of its content is fixed.
//!
//! A run works until shortly before its deadline. When something is left, it sends the job again and
//! ends; the next run goes on behind the last pass that is recorded. A run that is killed or fails
//! leaves its message in the queue, which shows it again. A job twice does no harm.
//!
//! # Guarantees
//! * A campaign of more passes than fit into a run is sealed by several:
//!   `a_seal_goes_on_by_jobs_that_it_sends_itself`.
//! * A message that cannot be read waits at the queue's own pace, since a newer version may have
//!   written it: `an_unreadable_job_of_a_seal_waits`.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use largesse_app::campaign::seal::{self, PASS_CHUNKS, SealProgress, SealRun};
use largesse_app::invocation;
use largesse_app::ports::{
    CampaignJob, CampaignJobs, CampaignRows, Campaigns, Clock, Pause, PortError, Rng, causes_of,
};
use largesse_aws::campaign::jobs::read_job;
use largesse_domain::id::CampaignId;

pub mod settings;

/// The ports that the function uses.
pub trait Deps: Campaigns + CampaignRows + CampaignJobs + Clock + Rng + Pause {}

impl<T: Campaigns + CampaignRows + CampaignJobs + Clock + Rng + Pause> Deps for T {}

/// The time kept back from the deadline. A pass that has read its rows then writes up to 1,250 chunks
/// in some 50 calls of 10 to 100 ms, and up to 10,000 duplicates.
const STOP_MARGIN_MS: u64 = 20_000;
/// The time of an invocation outside Lambda: `Timeout` in template.yaml.
const RUN_MS_MAX: u64 = 120_000;

/// Seals the campaigns of a batch. Its mapping gives one job at a time.
pub async fn handle<D: Deps>(deps: &D, event: SqsEvent) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for message in event.records {
        let id = message.message_id.unwrap_or_default();
        match read_job(message.body.as_deref().unwrap_or_default()) {
            Ok(CampaignJob::Seal { campaign, attempt }) => {
                if !is_done(deps, campaign, attempt).await {
                    response.add_failure(id);
                }
            }
            Ok(CampaignJob::Pay { .. } | CampaignJob::Reverse { .. }) => {
                tracing::error!(message.id = id, "an unreadable message: it is no job of a seal");
                response.add_failure(id);
            }
            Err(error) => {
                tracing::error!(message.id = id, error.message = %error, "an unreadable message");
                response.add_failure(id);
            }
        }
    }
    response
}

/// Goes on with a seal. Whether the message is done: if not, the queue shows it again.
async fn is_done<D: Deps>(deps: &D, campaign: CampaignId, attempt: u32) -> bool {
    let deadline = invocation::deadline().unwrap_or_else(|| deps.now().plus_ms(RUN_MS_MAX));
    let stop_at = deadline.minus_ms(STOP_MARGIN_MS);
    let run = SealRun { campaign, attempt, pass_chunks: PASS_CHUNKS, stop_at };
    let progress = match seal::run(deps, &run).await {
        Ok(progress) => progress,
        Err(error) => {
            let cause = causes_of(&error);
            tracing::error!(campaign.id = %campaign, attempt, error.cause = cause, "not sealed yet");
            return false;
        }
    };
    match progress {
        SealProgress::Sealed(sealed) => {
            let rows = sealed.totals.rows;
            tracing::info!(campaign.id = %campaign, attempt, campaign.rows = rows, "sealed");
            true
        }
        // The problem names members: it stands in the campaign, and not in the log.
        SealProgress::Refused(_) => {
            tracing::warn!(campaign.id = %campaign, attempt, "the rows are refused");
            true
        }
        SealProgress::Stale => {
            tracing::info!(campaign.id = %campaign, attempt, "not being sealed under this attempt");
            true
        }
        SealProgress::HasMore => go_on(deps, campaign, attempt).await.is_ok(),
    }
}

/// Has another run go on. If the job cannot be sent, this message comes back.
async fn go_on<D: Deps>(deps: &D, campaign: CampaignId, attempt: u32) -> Result<(), PortError> {
    let sent = deps.send_job(&CampaignJob::Seal { campaign, attempt }).await;
    if let Err(error) = &sent {
        let cause = error.causes();
        tracing::warn!(campaign.id = %campaign, attempt, error.cause = cause, "not sent again");
    }
    sent
}
