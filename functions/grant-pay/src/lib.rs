//! The payment queue: each message is paid, once.
//!
//! # Guarantees
//! * A member's payments keep their order: `after_a_failure_the_rest_of_its_group_waits`.
//! * Members do not wait for each other, and a batch of distinct members is paid by one call:
//!   `other_groups_go_on`, `a_batch_of_distinct_members_is_paid_together`.
//! * A message behind a grant that is given up is paid: `a_grant_that_is_given_up_holds_up_no_other`.
//! * A grant that comes again is looked up before it is sent to a service that is not the ledger:
//!   `what_may_have_been_sent_is_looked_up_first_and_never_sent_blindly`. A slot that was given up or
//!   passed on is not sent:
//!   `a_slot_that_was_given_up_or_passed_on_is_sent_to_no_service_that_does_not_know_it`.
//! * Only a refusal counts; every other failure brings the message back after a growing delay:
//!   `a_failure_of_infrastructure_counts_nothing_and_waits_longer_each_time`.
//! * A message that cannot be read waits at the queue's own pace, since a newer version may have
//!   written it: `a_message_that_cannot_be_read_waits`.

use std::collections::{BTreeMap, VecDeque};

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use largesse_app::grant::pay::{Delivery, Outcome, PassOn, pay};
use largesse_app::ports::{Clock, Deliveries, Events, Freezes, Grants, Money, Rng};
use largesse_aws::grant::message::read_body;
use largesse_domain::grant::RetryPolicy;

pub mod settings;

/// The ports that the function uses, beside the money service.
pub trait Deps: Grants + Events + Deliveries + PassOn + Freezes + Clock + Rng {}

impl<T: Grants + Events + Deliveries + PassOn + Freezes + Clock + Rng> Deps for T {}

/// The delay after the first failure of infrastructure; each further one doubles it.
const LATER_S_FIRST: u32 = 2;
/// The longest such delay: a quarter of an hour. A message may be received 500 times
/// (template.yaml), so that an outage of two and a half days uses up no message.
const LATER_S_MAX: u32 = 900;

/// How long a message waits after its `receives`-th delivery failed for want of infrastructure: half
/// of the grown delay for sure and a random part of the other half, so that those that failed
/// together do not all come back together (AWS Architecture Blog, "Exponential Backoff And
/// Jitter"). Never less than the money service asks for.
fn later_s<D: Rng>(deps: &D, receives: u32, retry_after_ms: Option<u64>) -> u32 {
    let doubled = 2_u32.saturating_pow(receives.saturating_sub(1).min(16));
    let grown = LATER_S_FIRST.saturating_mul(doubled).min(LATER_S_MAX);
    let half = grown.div_ceil(2);
    let delay = half.saturating_add(deps.below(half.saturating_add(1)));
    let wished = retry_after_ms.map_or(0, |ms| ms.div_ceil(1_000));
    delay.max(u32::try_from(wished).unwrap_or(LATER_S_MAX).min(LATER_S_MAX))
}

/// The messages of one member, in their order.
type Group = VecDeque<SqsMessage>;

/// Pays a batch. Each round pays the first message of every group together; after a message that
/// comes back, the rest of its group is reported untried.
pub async fn handle<M: Money, D: Deps>(
    money: &M,
    deps: &D,
    event: SqsEvent,
    policy: RetryPolicy,
) -> SqsBatchResponse {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for message in event.records {
        let group = message.attributes.get("MessageGroupId").cloned().unwrap_or_default();
        groups.entry(group).or_default().push_back(message);
    }
    let mut groups: Vec<Group> = groups.into_values().collect();
    let mut response = SqsBatchResponse::default();
    while !groups.is_empty() {
        groups = pay_round(money, deps, groups, policy, &mut response).await;
        groups.retain(|group| !group.is_empty());
    }
    response
}

/// Pays the first message of each group, and returns the groups that go on.
async fn pay_round<M: Money, D: Deps>(
    money: &M,
    deps: &D,
    groups: Vec<Group>,
    policy: RetryPolicy,
    response: &mut SqsBatchResponse,
) -> Vec<Group> {
    let (mut deliveries, mut readable) = (Vec::new(), Vec::new());
    for group in groups {
        let Some(first) = group.front() else { continue };
        match read_body(first.body.as_deref().unwrap_or_default()) {
            Ok(message) => {
                let receives = first.attributes.get("ApproximateReceiveCount");
                let receives = receives.and_then(|count| count.parse().ok()).unwrap_or(1);
                deliveries.push(Delivery { message, receives });
                readable.push(group);
            }
            Err(error) => {
                let id = first.message_id.as_deref().unwrap_or_default();
                tracing::error!(message.id = id, error.message = %error, "an unreadable message");
                come_back(deps, group, None, response).await;
            }
        }
    }
    let outcomes = pay(money, deps, &deliveries.iter().collect::<Vec<_>>(), policy).await;
    let mut going_on = Vec::new();
    for ((mut group, delivery), outcome) in readable.into_iter().zip(&deliveries).zip(outcomes) {
        match delay_after(deps, delivery, outcome, policy) {
            None => {
                group.pop_front();
                going_on.push(group);
            }
            Some(delay_s) => come_back(deps, group, Some(delay_s), response).await,
        }
    }
    going_on
}

/// Logs what became of a delivery. Gives the delay after which it comes back; `None` when it is
/// done.
fn delay_after<D: Deps>(
    deps: &D,
    delivery: &Delivery,
    outcome: Outcome,
    policy: RetryPolicy,
) -> Option<u32> {
    let id = delivery.message.grant.id.to_string();
    let trace = delivery.message.trace.map(|trace| trace.to_string());
    match outcome {
        Outcome::Paid => {
            tracing::info!(grant.id = id, trace.id = trace, "paid");
            None
        }
        Outcome::Voided => {
            tracing::warn!(grant.id = id, trace.id = trace, "not paid: it was voided");
            None
        }
        Outcome::GivenUp => {
            tracing::error!(
                grant.id = id,
                trace.id = trace,
                "given up, and in the dead-letter queue"
            );
            None
        }
        Outcome::PassedOn => {
            tracing::warn!(grant.id = id, trace.id = trace, "given up, and its slot was passed on");
            None
        }
        Outcome::Retry { attempts, refusal } => {
            tracing::warn!(
                grant.id = id,
                trace.id = trace,
                grant.attempts = attempts,
                %refusal,
                "refused"
            );
            Some(policy.delay_s)
        }
        Outcome::Later { retry_after_ms, cause } => {
            let delay_s = later_s(deps, delivery.receives, retry_after_ms);
            let cause = cause.causes();
            tracing::warn!(
                grant.id = id,
                trace.id = trace,
                delay_s,
                error.cause = cause,
                "not paid yet"
            );
            Some(delay_s)
        }
    }
}

/// Reports a group's messages, so that the queue shows them again: after the delay, or at the
/// queue's own pace. The queue holds a group back while any message of it is in flight, so those
/// that were not tried come back together with the one that was.
async fn come_back<D: Deps>(
    deps: &D,
    group: Group,
    delay_s: Option<u32>,
    response: &mut SqsBatchResponse,
) {
    for message in group {
        if let (Some(delay_s), Some(receipt)) = (delay_s, message.receipt_handle.as_deref())
            && let Err(error) = deps.delay(receipt, delay_s).await
        {
            // Then the queue shows it again after its visibility timeout.
            tracing::warn!(error.cause = error.causes(), "the delay was not set");
        }
        response.add_failure(message.message_id.unwrap_or_default());
    }
}

#[cfg(test)]
mod tests;
