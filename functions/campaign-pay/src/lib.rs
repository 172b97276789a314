//! The lanes of campaigns → `money`. campaign-retry runs the same code on the chunks that came back.
//!
//! # Guarantees
//! * A chunk whose rows were refused comes back beside its lane, and only an outage holds a lane:
//!   `a_refused_row_comes_back_beside_its_lane_and_the_campaign_completes`.
//! * A lane whose rows are refused slows no other, and one that waits for the money service holds up no
//!   other: `a_lane_with_failing_rows_slows_no_other`,
//!   `a_lane_that_waits_for_the_money_service_holds_up_no_other`.
//! * Two messages of one chunk in one batch pay each row once:
//!   `two_messages_of_one_chunk_in_one_batch_pay_each_row_once`.

use std::collections::BTreeSet;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use largesse_app::campaign::pay::{PaySettings, pay_chunk};
use largesse_app::campaign::reverse::reverse_chunk;
use largesse_app::campaign::{ChunkOutcome, PayPorts};
use largesse_app::invocation;
use largesse_app::ports::{CampaignQueue, ChunkMessage, ChunkWork, Money, PortResult, Rng};
use largesse_aws::campaign_results::message::read_chunk_body;
use largesse_domain::time::Timestamp;

pub mod settings;

/// The ports that the function uses, beside the money service.
pub trait Deps: PayPorts + CampaignQueue {}

impl<T: PayPorts + CampaignQueue> Deps for T {}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A lane: what waits there holds up what is behind it.
    Lane,
    /// The queue of chunks that came back: nothing there holds up anything.
    Retries,
}

/// No work begins later than that before the deadline: a call of the money service and a commit fit
/// in.
const COMMIT_MS: u64 = 15_000;
/// How long a batch works where nothing sets a deadline.
const WORK_MS: u64 = 45_000;
/// The delay after the first delivery that came to nothing; each further one doubles it.
const LATER_S_FIRST: u32 = 2;
/// The longest such delay. A message may be received 500 times (template.yaml), so that an outage of
/// two and a half days uses up no message.
const LATER_S_MAX: u32 = 900;

/// Half of the grown delay for sure and a random part of the other half (AWS Architecture Blog,
/// "Exponential Backoff And Jitter"). Never less than the money service asks for.
fn later_s<D: Rng>(deps: &D, receives: u32, retry_after_ms: Option<u64>) -> u32 {
    let doubled = 2_u32.saturating_pow(receives.saturating_sub(1).min(16));
    let grown = LATER_S_FIRST.saturating_mul(doubled).min(LATER_S_MAX);
    let half = grown.div_ceil(2);
    let delay = half.saturating_add(deps.below(half.saturating_add(1)));
    let wished = retry_after_ms.map_or(0, |ms| ms.div_ceil(1_000));
    delay.max(u32::try_from(wished).unwrap_or(LATER_S_MAX).min(LATER_S_MAX))
}

/// Works on a batch, message by message. Behind one that comes back, the rest of its lane is reported
/// untried.
pub async fn handle<M: Money, D: Deps>(
    money: &M,
    deps: &D,
    event: SqsEvent,
    settings: PaySettings,
    source: Source,
) -> SqsBatchResponse {
    let deadline = invocation::deadline();
    let stop_at = deadline.map_or_else(|| deps.now().plus_ms(WORK_MS), |at| at.minus_ms(COMMIT_MS));
    let mut response = SqsBatchResponse::default();
    let mut held: BTreeSet<String> = BTreeSet::new();
    for message in event.records {
        let group = message.attributes.get("MessageGroupId").cloned().unwrap_or_default();
        let is_held = source == Source::Lane && held.contains(&group);
        let comes_back =
            is_held || work(money, deps, &message, settings, source, stop_at).await.is_err();
        if comes_back {
            held.insert(group);
            response.add_failure(message.message_id.unwrap_or_default());
        }
    }
    response
}

/// The message is not done.
struct ComesBack;

async fn work<M: Money, D: Deps>(
    money: &M,
    deps: &D,
    message: &SqsMessage,
    settings: PaySettings,
    source: Source,
    stop_at: Timestamp,
) -> Result<(), ComesBack> {
    let chunk = match read_chunk_body(message.body.as_deref().unwrap_or_default()) {
        Ok(chunk) => chunk,
        Err(error) => {
            // A newer version may have written it, so it waits at the queue's own pace.
            tracing::error!(%error, "the message cannot be read");
            return Err(ComesBack);
        }
    };
    let receives = message.attributes.get("ApproximateReceiveCount");
    let receives = receives.and_then(|count| count.parse().ok()).unwrap_or(1);
    let outcome = match chunk.work {
        ChunkWork::Pay => pay_chunk(money, deps, &chunk, settings, stop_at).await,
        ChunkWork::Reverse => reverse_chunk(money, deps, &chunk, stop_at).await,
    };
    let (campaign, number) = (chunk.campaign.to_string(), chunk.chunk.0);
    let trace = chunk.trace_id();
    let (delay_s, is_beside) = match &outcome {
        ChunkOutcome::Done => {
            tracing::info!(campaign.id = campaign, chunk = number, trace.id = trace, "done");
            return Ok(());
        }
        ChunkOutcome::Dropped => {
            let why = "its start is over";
            tracing::info!(campaign.id = campaign, chunk = number, trace.id = trace, "{why}");
            return Ok(());
        }
        ChunkOutcome::Retry { delay_s } => (*delay_s, true),
        ChunkOutcome::Unresolved => (later_s(deps, receives, None), true),
        ChunkOutcome::SetAside(cause) => {
            let cause = cause.causes();
            tracing::error!(
                campaign.id = campaign,
                chunk = number,
                trace.id = trace,
                error.cause = cause,
                "set aside: an operator must look"
            );
            (later_s(deps, receives, None), true)
        }
        ChunkOutcome::Later { retry_after_ms, cause } => {
            let cause = cause.causes();
            tracing::warn!(
                campaign.id = campaign,
                chunk = number,
                trace.id = trace,
                error.cause = cause,
                "not done yet"
            );
            (later_s(deps, receives, *retry_after_ms), false)
        }
    };
    if source == Source::Lane && is_beside {
        return match deps.send_retry(&chunk, delay_s).await {
            Ok(()) => Ok(()),
            // The lane shows it again after its visibility timeout.
            Err(error) => {
                tracing::warn!(error.cause = error.causes(), "the chunk was not sent again");
                Err(ComesBack)
            }
        };
    }
    delay(deps, message, &chunk, source, delay_s).await;
    Err(ComesBack)
}

/// Sets when the queue shows a message again. Without it, that is after its visibility timeout.
async fn delay<D: Deps>(
    deps: &D,
    message: &SqsMessage,
    chunk: &ChunkMessage,
    source: Source,
    delay_s: u32,
) {
    let Some(receipt) = message.receipt_handle.as_deref() else { return };
    let set: PortResult<()> = match source {
        Source::Lane => deps.delay_chunk(receipt, delay_s).await,
        Source::Retries => deps.delay_retry(receipt, delay_s).await,
    };
    if let Err(error) = set {
        let (campaign, cause) = (chunk.campaign.to_string(), error.causes());
        tracing::warn!(campaign.id = campaign, error.cause = cause, "the delay was not set");
    }
}
