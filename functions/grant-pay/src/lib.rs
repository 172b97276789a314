//! The payment queue: each message is paid, once.
//!
//! # Guarantees
//! * A member's payments keep their order: `after_a_failure_the_rest_of_its_group_waits`.
//! * Members do not wait for each other: `other_groups_go_on`.
//! * Who waits behind a grant that is given up is paid: `what_is_given_up_holds_up_nobody`.
//! * What nobody can pay ends in the dead-letter queue: `a_message_nobody_can_pay_is_reported`.

use std::collections::BTreeMap;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::future::join_all;
use largesse_app::grant::pay::{PayError, pay};
use largesse_app::ports::{Events, GrantQueue, Grants, PortErrorKind, Wallets, causes_of};
use largesse_aws::queue::read_body;
use largesse_domain::grant::RetryPolicy;

/// The ports that the function uses.
pub trait Deps: Grants + Wallets + Events + GrantQueue {}

impl<T: Grants + Wallets + Events + GrantQueue> Deps for T {}

/// The policy from `GRANT_RETRIES_MAX` and `GRANT_RETRY_DELAY_S`; what is missing or no number is
/// the default.
pub fn policy_from(lookup: impl Fn(&str) -> Option<String>) -> RetryPolicy {
    let number = |name: &str| lookup(name).and_then(|text| text.parse::<u32>().ok());
    let RetryPolicy { retries_max, delay_s } = RetryPolicy::default();
    RetryPolicy {
        retries_max: number("GRANT_RETRIES_MAX").unwrap_or(retries_max),
        delay_s: number("GRANT_RETRY_DELAY_S").unwrap_or(delay_s),
    }
}

/// What became of a message.
enum Outcome {
    /// Paid: the message may go.
    Paid,
    /// Never to be paid: it comes back until the queue moves it to its dead letters. Those behind
    /// it do not wait, for there is nothing to wait for; else they would use up their receives
    /// untried and be dead letters too.
    Hopeless,
    /// To be tried again after this many seconds; `None`: when the queue shows it again.
    Again(Option<u32>),
}

/// Pays a batch. Groups (members) are paid side by side, each in its own order; after a message
/// that is to be tried again, the rest of its group is reported untried.
pub async fn handle<D>(deps: &D, event: SqsEvent, policy: RetryPolicy) -> SqsBatchResponse
where
    D: Deps,
{
    let mut groups: BTreeMap<String, Vec<SqsMessage>> = BTreeMap::new();
    for message in event.records {
        let group = message.attributes.get("MessageGroupId").cloned().unwrap_or_default();
        groups.entry(group).or_default().push(message);
    }
    let groups = groups.values().map(|messages| pay_group(deps, messages, policy));
    let failed = join_all(groups).await.concat();
    let mut response = SqsBatchResponse::default();
    failed.into_iter().for_each(|id| response.add_failure(id));
    response
}

/// Pays one member's messages and returns the ids of those that were not paid.
async fn pay_group<D>(deps: &D, messages: &[SqsMessage], policy: RetryPolicy) -> Vec<String>
where
    D: Deps,
{
    let mut failed = Vec::new();
    // How long the group waits, once it has to.
    let mut waits: Option<Option<u32>> = None;
    for message in messages {
        let outcome = match waits {
            Some(delay_s) => Outcome::Again(delay_s),
            None => pay_one(deps, message, policy).await,
        };
        match outcome {
            Outcome::Paid => continue,
            // Back at once, for it holds up its member's later messages until the queue drops it.
            Outcome::Hopeless => postpone(deps, message, Some(0)).await,
            Outcome::Again(delay_s) => {
                waits = Some(delay_s);
                // The queue holds the whole group back while any message of it is in flight, so
                // those that were not tried come back together with the one that was.
                postpone(deps, message, delay_s).await;
            }
        }
        failed.push(message.message_id.clone().unwrap_or_default());
    }
    failed
}

async fn pay_one<D>(deps: &D, message: &SqsMessage, policy: RetryPolicy) -> Outcome
where
    D: Grants + Wallets + Events,
{
    let message_id = message.message_id.as_deref().unwrap_or_default();
    let Ok(wanted) = read_body(message.body.as_deref().unwrap_or_default()) else {
        tracing::error!(message.id = message_id, "the message names no grant");
        return Outcome::Hopeless;
    };
    let grant_id = wanted.id.to_string();
    match pay(deps, &wanted, policy).await {
        Ok(paid) => {
            tracing::info!(grant.id = grant_id, grant.paid = ?paid);
            Outcome::Paid
        }
        Err(error @ (PayError::NoSuchGrant | PayError::GivenUp { .. })) => {
            tracing::error!(grant.id = grant_id, error.message = %error);
            Outcome::Hopeless
        }
        Err(error @ PayError::Retry { .. }) => {
            tracing::warn!(grant.id = grant_id, error.message = %error);
            Outcome::Again(Some(policy.delay_s))
        }
        // What is stored can be read by nobody, however long one waits.
        Err(PayError::Port(error)) if error.kind == PortErrorKind::Corrupt => {
            tracing::error!(grant.id = grant_id, error.cause = error.causes());
            Outcome::Hopeless
        }
        Err(error @ PayError::Port(_)) => {
            tracing::warn!(grant.id = grant_id, error.cause = causes_of(&error));
            // Nothing is known to be wrong with the grant, and its receives are few: the queue's
            // own, longer delay gives an outage time to pass.
            Outcome::Again(None)
        }
    }
}

/// Shows the message again sooner than the queue would; if that fails, the queue does it later.
async fn postpone<D: GrantQueue>(deps: &D, message: &SqsMessage, delay_s: Option<u32>) {
    let (Some(delay_s), Some(receipt)) = (delay_s, message.receipt_handle.as_deref()) else {
        return;
    };
    if let Err(error) = deps.retry_in(receipt, delay_s).await {
        tracing::warn!(error.operation = error.operation, "the retry comes later than it could");
    }
}

#[cfg(test)]
mod tests;
