//! Grants are paid: money moves, once.
//!
//! A payment carries the grant's permanent id, so the money service moves the money once, however
//! often a message is delivered. Only a refusal by the money service counts as a failed attempt
//! (docs/guarantees.md, G13). Every other failure leaves the grant as it was: its message comes
//! back later, under the same id.
//!
//! A service that is not the ledger may still decide on a payment that was sent before, so a grant that
//! comes again is looked up first, and sent only when it is not paid.
//!
//! What a crash leaves behind, after each step of a refusal:
//! 1. The refusal is counted on the grant's item. The next delivery is refused again and finds the
//!    count; after the last retry it goes on with step 2 and counts no more.
//! 2. The event is published. It is published again.
//! 3. The grant is marked PERMANENTLY_FAILED. The next delivery goes on with step 4.
//! 4. The slot of a drop goes to a member who waits ([`crate::drop::promote`]), in one transaction; then
//!    the message is done. Else:
//! 5. The message is in the dead-letter queue. It may be there twice; its grant is paid once.
//!
//! # Guarantees
//! * A grant of a frozen pool is not paid, counts nothing, and holds up no grant of another pool:
//!   `a_frozen_pool_pays_nothing_and_others_go_on`.

use futures::future::join_all;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus, RetryPolicy};
use largesse_domain::id::PoolId;

use crate::drop::promote::{PassedOn, pass_on};
use crate::ports::{
    Clock, Deliveries, Drops, Event, Events, Freezes, GrantMessage, Grants, Money, Payment, Pools,
    PortError, PortErrorKind, PortResult, Promotions, Refusal, Standing, Written,
};

/// The ports through which the slot of a drop is passed on.
pub trait PassOn: Drops + Pools + Promotions {}

impl<T: Drops + Pools + Promotions> PassOn for T {}

/// How long the grant of a frozen pool waits: an operator lifts the freeze, which takes its time.
const FROZEN_RETRY_MS: u64 = 600_000;

/// A message as a worker received it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The message.
    pub message: GrantMessage,
    /// How often it was received, this time included.
    pub receives: u32,
}

impl Delivery {
    /// Whether the grant may have been sent before: the first message of a grant, delivered for the
    /// first time, was not.
    const fn is_again(&self) -> bool {
        self.receives > 1 || self.message.retry.is_some()
    }
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
    /// Refused for the last time, and the slot went to a member who waited: the message is done.
    PassedOn,
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
pub async fn pay<M, D>(
    money: &M,
    deps: &D,
    deliveries: &[&Delivery],
    policy: RetryPolicy,
) -> Vec<Outcome>
where
    M: Money,
    D: Grants + Events + Deliveries + PassOn + Freezes + Clock,
{
    // One by one: a look-up that fails keeps no other grant from being paid.
    let known = join_all(deliveries.iter().map(|delivery| known(money, deps, delivery))).await;
    let open = deliveries.iter().zip(&known).filter(|(_, known)| known.is_none());
    let grants: Vec<Grant> = open.map(|(delivery, _)| delivery.message.grant.clone()).collect();
    let mut paid = money.pay(&grants).await.into_iter();
    // A service that tells nothing may have paid.
    let untold = || Payment::Unknown(PortError::corrupt("pay: no outcome"));
    let payments =
        known.into_iter().map(|known| known.or_else(|| paid.next()).unwrap_or_else(untold));
    let settled = deliveries.iter().zip(payments).map(async |(delivery, payment)| {
        let outcome = settle(deps, delivery, payment, policy).await;
        outcome.unwrap_or_else(|cause| Outcome::Later { retry_after_ms: None, cause })
    });
    join_all(settled).await
}

/// What a payment that may have been sent before comes to without being sent; `None`: it is sent.
async fn known<M, D>(money: &M, deps: &D, delivery: &Delivery) -> Option<Payment>
where
    M: Money,
    D: Grants + Freezes,
{
    match deps.is_frozen(delivery.message.grant.source).await {
        Ok(false) => {}
        Ok(true) => {
            let (operation, kind) = ("pay: the pool is frozen", PortErrorKind::Throttled);
            let cause = PortError { operation, kind, cause: None };
            return Some(Payment::NotNow { retry_after_ms: Some(FROZEN_RETRY_MS), cause });
        }
        Err(cause) => return Some(Payment::NotNow { retry_after_ms: None, cause }),
    }
    if !money.must_look_up() || !delivery.is_again() {
        return None;
    }
    let found = money.lookup(std::slice::from_ref(&delivery.message.grant)).await;
    match found.map(|standings| standings.first().copied().unwrap_or(Standing::Unknown)) {
        Ok(Standing::NotPaid) => voided(deps, &delivery.message.grant).await,
        Ok(Standing::Paid) => Some(Payment::AlreadyPaid),
        Ok(Standing::Voided) => Some(Payment::Voided),
        Ok(Standing::Unknown) => Some(Payment::Pending),
        Err(cause) => Some(Payment::NotNow { retry_after_ms: None, cause }),
    }
}

/// A service that is not the ledger does not know which slots were passed on.
async fn voided<D: Grants>(deps: &D, grant: &Grant) -> Option<Payment> {
    if !matches!(grant.source, PoolId::Drop(_)) {
        return None;
    }
    match deps.failed_grant(grant.source, &grant.member).await {
        Ok(Some(failed)) if failed.grant.id == grant.id => {
            (failed.status == GrantStatus::Voided).then_some(Payment::Voided)
        }
        Ok(_) => None,
        Err(cause) => Some(Payment::NotNow { retry_after_ms: None, cause }),
    }
}

async fn settle<D>(
    deps: &D,
    delivery: &Delivery,
    payment: Payment,
    policy: RetryPolicy,
) -> PortResult<Outcome>
where
    D: Grants + Events + Deliveries + PassOn + Clock,
{
    match payment {
        Payment::Paid | Payment::AlreadyPaid => {
            // An item of an earlier failure goes, since a paid grant has none.
            if delivery.is_again() {
                deps.remove_failed(&delivery.message.grant).await?;
            }
            Ok(Outcome::Paid)
        }
        Payment::Voided => Ok(Outcome::Voided),
        Payment::Refused(refusal) => refuse(deps, &delivery.message, refusal, policy).await,
        Payment::NotNow { retry_after_ms, cause } => Ok(Outcome::Later { retry_after_ms, cause }),
        Payment::Pending => {
            let (operation, kind) = ("pay: not decided", PortErrorKind::Unknown);
            let cause = PortError { operation, kind, cause: None };
            Ok(Outcome::Later { retry_after_ms: None, cause })
        }
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
    D: Grants + Events + Deliveries + PassOn + Clock,
{
    let grant = &message.grant;
    let seen = deps.failed_grant(grant.source, &grant.member).await?;
    let seen = seen.filter(|failed| failed.grant.id == grant.id);
    let counted = seen.as_ref().map_or(0, |failed| failed.attempts);
    let failed = match seen {
        Some(failed) if failed.status == GrantStatus::PermanentlyFailed => {
            // Killed after it was marked, before its message was moved.
            return end(deps, message, &failed).await;
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
    end(deps, message, &given_up).await
}

/// Ends a grant that was given up: the slot of a drop goes to a member who waits. Of what is left an
/// operator decides.
async fn end<D>(deps: &D, message: &GrantMessage, given_up: &FailedGrant) -> PortResult<Outcome>
where
    D: Deliveries + PassOn + Clock,
{
    if matches!(given_up.grant.source, PoolId::Drop(_)) {
        match pass_on(deps, given_up).await? {
            // The sweep may have passed it on, or an operator may have sent it again.
            PassedOn::Now | PassedOn::NotGivenUp => return Ok(Outcome::PassedOn),
            PassedOn::NobodyWaits => {}
        }
    }
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
