//! Grants are paid: money moves, once.
//!
//! A payment carries the grant's permanent id, so the money service moves the money once, however
//! often a message is delivered. Only a refusal by the money service counts as a failed attempt
//! (docs/guarantees.md, G13). Every other failure leaves the grant as it was: its message comes
//! back later, under the same id.
//!
//! A service that is not the ledger may still decide on a payment that was sent before, so a grant that
//! comes again is looked up first, and sent only when it is not paid. Nor does it know which slots of a
//! drop were passed on, so the grant of a slot is sent only when its item does not say that it was given
//! up or voided. A first message needs that too: a late copy of it may come after the slot went to
//! another member.
//!
//! What a crash leaves behind, after each step of a refusal:
//! 1. The refusal is counted on the grant's item. The next delivery is refused again and finds the
//!    count; after the last retry it goes on with step 2 and counts no more.
//! 2. The event is published. It is published again.
//! 3. The grant is marked PERMANENTLY_FAILED. The next delivery goes on with step 4.
//! 4. The slot of a drop goes to a member who waits ([`crate::drop::promote`]), in one transaction; then
//!    the message is done. Else:
//! 5. The message is in the dead-letter queue. It may be there twice; its grant is paid once.

use futures::future::join_all;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus, RetryPolicy};
use largesse_domain::id::PoolId;

use crate::drop::promote::{PassedOn, pass_on};
use crate::ports::{
    Clock, Deliveries, Drops, Event, Events, GrantMessage, Grants, Money, Payment, Pools,
    PortError, PortErrorKind, PortResult, Promotions, Refusal, Standing, Written,
};

/// The ports through which the slot of a drop is passed on.
pub trait PassOn: Drops + Pools + Promotions {}

impl<T: Drops + Pools + Promotions> PassOn for T {}

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
    D: Grants + Events + Deliveries + PassOn + Clock,
{
    // One by one: a look-up that fails keeps no other grant from being paid.
    let known = join_all(deliveries.iter().map(|delivery| known(money, deps, delivery))).await;
    let open = deliveries.iter().zip(&known).filter(|(_, known)| known.is_none());
    let grants: Vec<Grant> = open.map(|(delivery, _)| delivery.message.grant.clone()).collect();
    let mut paid = money.pay(&grants).await.into_iter();
    // A service that tells nothing may have paid.
    let untold = || Payment::Unknown(PortError::corrupt("pay: no outcome"));
    let known = known
        .into_iter()
        .map(|known| known.unwrap_or_else(|| Known::Payment(paid.next().unwrap_or_else(untold))));
    let settled = deliveries.iter().zip(known).map(async |(delivery, known)| {
        let outcome = match known {
            Known::Payment(payment) => settle(deps, delivery, payment, policy).await,
            Known::GivenUp(failed) => end(deps, &delivery.message, &failed).await,
        };
        outcome.unwrap_or_else(|cause| Outcome::Later { retry_after_ms: None, cause })
    });
    join_all(settled).await
}

/// What a delivery comes to.
enum Known {
    /// What became of its payment.
    Payment(Payment),
    /// Its grant was given up, and no operator has sent it again.
    GivenUp(Box<FailedGrant>),
}

/// What a delivery comes to without being sent to the money service; `None`: it is sent.
async fn known<M, D>(money: &M, deps: &D, delivery: &Delivery) -> Option<Known>
where
    M: Money,
    D: Grants,
{
    if !money.must_look_up() {
        return None;
    }
    let grant = &delivery.message.grant;
    if !delivery.is_again() {
        return ended(deps, grant).await;
    }
    let found = money.lookup(std::slice::from_ref(grant)).await;
    let payment = match found.map(|found| found.first().copied().unwrap_or(Standing::Unknown)) {
        Ok(Standing::NotPaid) => return ended(deps, grant).await,
        Ok(Standing::Paid) => Payment::AlreadyPaid,
        Ok(Standing::Voided) => Payment::Voided,
        Ok(Standing::Unknown) => Payment::Pending,
        Err(cause) => Payment::NotNow { retry_after_ms: None, cause },
    };
    Some(Known::Payment(payment))
}

/// Whether the grant of a slot has ended: a service that is not the ledger does not know it. The slot of
/// a grant that was given up may be passed on at any moment, so its payment is not tried again.
async fn ended<D: Grants>(deps: &D, grant: &Grant) -> Option<Known> {
    if !matches!(grant.source, PoolId::Drop(_)) {
        return None;
    }
    let failed = match deps.failed_grant(grant.source, &grant.member).await {
        Ok(failed) => failed.filter(|failed| failed.grant.id == grant.id)?,
        Err(cause) => return Some(Known::Payment(Payment::NotNow { retry_after_ms: None, cause })),
    };
    match failed.status {
        GrantStatus::Voided => Some(Known::Payment(Payment::Voided)),
        GrantStatus::PermanentlyFailed => Some(Known::GivenUp(Box::new(failed))),
        GrantStatus::Pending | GrantStatus::Success | GrantStatus::Failed => None,
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
