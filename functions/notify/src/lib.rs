//! The queue of notices: a webhook is told that a campaign ended.
//!
//! A notice is told at least once: the bus, the outbox and the queue may each repeat an event, and a
//! webhook has no key that would make a repeat known. Campaign and time in an event tell a repeat to
//! other readers of the bus.
//!
//! # Guarantees
//! * Each end is told, when many campaigns end together too:
//!   `ten_campaigns_that_end_in_one_second_are_each_told_once`.
//! * A webhook that asks to wait is not called before: `a_429_comes_back_after_the_seconds_it_names`,
//!   `a_429_comes_back_after_the_date_it_names`; without a wait, the delay grows:
//!   `a_429_without_a_wait_comes_back_after_a_growing_delay`.
//! * What was not sent is tried until it is:
//!   `a_webhook_that_cannot_be_reached_is_called_again_after_a_growing_delay`,
//!   `a_handshake_that_never_ends_has_sent_nothing`.
//! * What may have been told is not told again: `what_may_have_been_told_is_not_told_again`,
//!   `an_answer_that_never_comes_is_not_waited_for_twice`.
//! * What the webhook refuses goes to the dead-letter queue at once:
//!   `what_the_webhook_refuses_is_dead_lettered_and_not_sent_again`; if that fails, it comes back:
//!   `a_refused_notice_that_cannot_be_dead_lettered_comes_back`.
//! * The address is in no line of the log: `the_address_is_in_no_line_of_the_log`.
//! * Without a webhook nothing is told and nothing is kept:
//!   `without_a_webhook_every_notice_is_done`.
//! * A notice that cannot be read waits at the queue's own pace, since a newer version may have
//!   written it: `a_notice_that_cannot_be_read_waits`.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use largesse_app::ports::{Clock, Notices, Rng};
use largesse_aws::campaign::ended::read_ended;

use crate::text::text_of;
use crate::webhook::{Posted, Webhook};

pub mod settings;
pub mod text;
pub mod webhook;

/// The ports that the function uses.
pub trait Deps: Notices + Clock + Rng {}

impl<T: Notices + Clock + Rng> Deps for T {}

/// The delay after the first failure; each further one doubles it.
const LATER_S_FIRST: u32 = 2;
/// The longest such delay: a quarter of an hour. A message may be received 500 times
/// (template.yaml), so that an outage of two and a half days uses up no message.
const LATER_S_MAX: u32 = 900;
/// The longest wait that a webhook is granted: a message stays invisible for 12 hours at most, counted
/// from its receive (Amazon SQS API Reference, `ChangeMessageVisibility`).
const WISH_S_MAX: u32 = 11 * 3_600;

/// How long a message waits after its `receives`-th delivery: half of the grown delay for sure and a
/// random part of the other half (AWS Architecture Blog, "Exponential Backoff And Jitter"). Never
/// less than the webhook asks for.
fn later_s<D: Rng>(deps: &D, receives: u32, retry_after_ms: Option<u64>) -> u32 {
    let doubled = 2_u32.saturating_pow(receives.saturating_sub(1).min(16));
    let grown = LATER_S_FIRST.saturating_mul(doubled).min(LATER_S_MAX);
    let half = grown.div_ceil(2);
    let delay = half.saturating_add(deps.below(half.saturating_add(1)));
    let wish = retry_after_ms.map_or(0, |ms| ms.div_ceil(1_000));
    delay.max(u32::try_from(wish).unwrap_or(WISH_S_MAX).min(WISH_S_MAX))
}

/// Says once, at the start, that nothing is told.
pub fn say_where(webhook: Option<&Webhook>) {
    if webhook.is_none() {
        tracing::warn!("no webhook is set: the ends of campaigns are not told");
    }
}

/// Tells a batch, one notice after another. After one that the webhook does not take now, the rest of
/// the batch is not tried: it would meet the same.
pub async fn handle<D: Deps>(
    deps: &D,
    webhook: Option<&Webhook>,
    event: SqsEvent,
) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let Some(webhook) = webhook else { return response };
    let mut wait = None;
    for message in event.records {
        let next = match wait {
            Some(delay_s) => Next::Later(delay_s),
            None => tell(deps, webhook, &message).await,
        };
        match next {
            Next::Done => {}
            Next::AtTheQueuesPace => {
                response.add_failure(message.message_id.unwrap_or_default());
            }
            Next::Later(delay_s) => {
                wait = Some(delay_s);
                delay(deps, &message, delay_s).await;
                response.add_failure(message.message_id.unwrap_or_default());
            }
        }
    }
    response
}

/// What becomes of a message.
enum Next {
    /// It is deleted.
    Done,
    /// It comes back after so many seconds.
    Later(u32),
    /// It comes back after the queue's visibility timeout.
    AtTheQueuesPace,
}

async fn tell<D: Deps>(deps: &D, webhook: &Webhook, message: &SqsMessage) -> Next {
    let body = message.body.as_deref().unwrap_or_default();
    let id = message.message_id.as_deref().unwrap_or_default();
    let text = match read_ended(body) {
        Ok(event) => text_of(&event, webhook.link()).unwrap_or_default(),
        Err(error) => {
            tracing::error!(message.id = id, error.message = %error, "an unreadable notice");
            return Next::AtTheQueuesPace;
        }
    };
    match webhook.post(deps, &text).await {
        Posted::Done => {
            tracing::info!(notice.id = id, "told");
            Next::Done
        }
        Posted::NotNow { retry_after_ms, why } => {
            let receives = message.attributes.get("ApproximateReceiveCount");
            let receives = receives.and_then(|count| count.parse().ok()).unwrap_or(1);
            let delay_s = later_s(deps, receives, retry_after_ms);
            tracing::warn!(notice.id = id, delay_s, error.cause = why, "not told yet");
            Next::Later(delay_s)
        }
        Posted::Unknown { why } => {
            let cause = why;
            tracing::warn!(notice.id = id, error.cause = cause, "perhaps told, not sent again");
            Next::Done
        }
        Posted::Refused { status } => {
            let kept = deps.dead_letter_notice(body).await;
            tracing::error!(
                notice.id = id,
                notify.refused = status,
                "the webhook refuses: an operator must look at its address"
            );
            let Err(error) = kept else { return Next::Done };
            tracing::error!(error.cause = error.causes(), "the notice was not dead-lettered");
            Next::AtTheQueuesPace
        }
    }
}

async fn delay<D: Notices>(deps: &D, message: &SqsMessage, delay_s: u32) {
    if let Some(receipt) = message.receipt_handle.as_deref()
        && let Err(error) = deps.delay_notice(receipt, delay_s).await
    {
        // Then the queue shows it again after its visibility timeout.
        tracing::warn!(error.cause = error.causes(), "the delay was not set");
    }
}

#[cfg(test)]
mod tests;
