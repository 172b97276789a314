//! Grants are paid: money moves, once.
//!
//! A payment carries the grant's permanent id, so the money service moves the money once, however
//! often a message is delivered. Only a refusal by the money service counts as a failed attempt
//! (docs/guarantees.md, G13). Every other failure leaves the grant as it was: its message comes
//! back later, under the same id.
//!
//! What a crash leaves behind, after each step of a refusal:
//! 1. The refusal is counted on the grant's item. The next delivery is refused again and finds the
//!    count; after the last retry it goes on with step 2 and counts no more.
//! 2. The event is published. It is published again.
//! 3. The grant is marked PERMANENTLY_FAILED. The next delivery goes on with step 4.
//! 4. The message is in the dead-letter queue. It may be there twice; its grant is paid once.

use largesse_domain::grant::{FailedGrant, Grant, GrantStatus, RetryPolicy};

use crate::ports::{
    Clock, Deliveries, Event, Events, GrantMessage, Grants, Money, Payment, PortError, PortResult,
    Refusal, Written,
};

/// A message as a worker received it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: GrantMessage,
    /// How often it was received, this time included.
    pub receives: u32,
}

/// What became of a delivery.
#[derive(Debug)]
pub enum Outcome {
    /// Paid, by this call or before: the message is done.
    Paid,
    /// Voided by an operator: the message is done.
    Voided,
    /// Refused for the last time, and in the dead-letter queue: the message is done.
    GivenUp,
    /// Refused; it is retried after the policy's delay.
    Retry {
        /// How many payments have been refused.
        attempts: u32,
        /// Why the last one was.
        refusal: Refusal,
    },
    /// Nothing is known to be wrong with the grant: it comes back later and counts nothing.
    Later {
        /// When to try again, where the money service says so.
        retry_after_ms: Option<u64>,
        /// What went wrong.
        cause: PortError,
    },
}

/// Pays grants of distinct members; the outcomes stand in the order of the deliveries.
pub async fn pay<D>(deps: &D, deliveries: &[&Delivery], policy: RetryPolicy) -> Vec<Outcome>
where
    D: Money + Grants + Events + Deliveries + Clock,
{
    let grants: Vec<Grant> = deliveries.iter().map(|d| d.message.grant.clone()).collect();
    let payments = deps.pay(&grants).await;
    let settled = deliveries.iter().zip(payments).map(async |(delivery, payment)| {
        let outcome = settle(deps, delivery, payment, policy).await;
        outcome.unwrap_or_else(|cause| Outcome::Later { retry_after_ms: None, cause })
    });
    futures::future::join_all(settled).await
}

async fn settle<D>(
    deps: &D,
    delivery: &Delivery,
    payment: Payment,
    policy: RetryPolicy,
) -> PortResult<Outcome>
where
    D: Grants + Events + Deliveries + Clock,
{
    match payment {
        Payment::Paid | Payment::AlreadyPaid => {
            // An item of an earlier failure goes, since a paid grant has none. The first message of
            // a grant, delivered for the first time, cannot have failed before.
            if delivery.receives > 1 || delivery.message.retry.is_some() {
                deps.remove_failed(&delivery.message.grant).await?;
            }
            Ok(Outcome::Paid)
        }
        Payment::Voided => Ok(Outcome::Voided),
        Payment::Refused(refusal) => refuse(deps, &delivery.message, refusal, policy).await,
        Payment::NotNow { retry_after_ms, cause } => Ok(Outcome::Later { retry_after_ms, cause }),
        Payment::Unknown(cause) => Ok(Outcome::Later { retry_after_ms: None, cause }),
    }
}

/// Counts a refusal and says whether the payment is retried.
async fn refuse<D>(
    deps: &D,
    message: &GrantMessage,
    refusal: Refusal,
    policy: RetryPolicy,
) -> PortResult<Outcome>
where
    D: Grants + Events + Deliveries + Clock,
{
    let grant = &message.grant;
    let seen = deps.failed_grant(grant.source, &grant.member).await?;
    let seen = seen.filter(|failed| failed.grant.id == grant.id);
    let counted = seen.as_ref().map_or(0, |failed| failed.attempts);
    let failed = match seen {
        Some(failed) if failed.status == GrantStatus::PermanentlyFailed => {
            // Killed after it was marked, before its message was moved.
            deps.dead_letter(message).await?;
            return Ok(Outcome::GivenUp);
        }
        // Killed after its last refusal was counted: the same refusal counts once.
        Some(failed) if policy.after_refusal(counted) == GrantStatus::PermanentlyFailed => failed,
        _ => {
            let failed = FailedGrant {
                grant: grant.clone(),
                status: GrantStatus::Failed,
                attempts: counted.saturating_add(1),
                failure: refusal.to_string(),
                failed_at: deps.now(),
            };
            write(deps, &failed, counted).await?;
            failed
        }
    };
    let attempts = failed.attempts;
    if policy.after_refusal(attempts) == GrantStatus::Failed {
        return Ok(Outcome::Retry { attempts, refusal });
    }
    let given_up = FailedGrant { status: GrantStatus::PermanentlyFailed, ..failed };
    deps.publish(&Event::GrantPermanentlyFailed(given_up.clone())).await?;
    write(deps, &given_up, attempts).await?;
    deps.dead_letter(message).await?;
    Ok(Outcome::GivenUp)
}

/// Writes a failed grant, if no other worker did meanwhile; else the message comes back and this
/// worker reads what the other wrote.
async fn write<D: Grants>(deps: &D, failed: &FailedGrant, seen_attempts: u32) -> PortResult<()> {
    match deps.put_failed(failed, seen_attempts).await? {
        Written::Done => Ok(()),
        Written::Changed => Err(PortError::contended("count refusal: another worker did")),
    }
}
