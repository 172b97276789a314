//! Grants are paid: money moves, once.
//!
//! A payment carries the grant's permanent id, so the money service moves the money once, however
//! often a message is delivered. Only a refusal by the money service counts as a failed attempt
//! (docs/guarantees.md, G13). Every other failure leaves the grant as it was: its message comes
//! back later, under the same id.
//!
//! A service that is not the ledger may still decide on a payment that was sent before, so a grant that
//! comes again is looked up first, and sent only when it is not paid. Nor does it know which grants were
//! given up: their items are read before each call, and neither a voided grant nor one that was given up
//! is sent. So a minute after a grant was given up no call for it is under way, and only then is its slot
//! passed on. (The ledger refuses a payment after a void, and a void after a payment.)
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
//! * With a service that is not the ledger, a grant whose slot was passed on is not paid too:
//!   `a_message_that_comes_back_while_the_sweep_passes_its_slot_on_is_not_sent`,
//!   `a_call_that_was_under_way_when_its_grant_was_given_up_keeps_the_slot`.
//! * A grant that was voided or given up is sent by no message:
//!   `what_was_voided_or_given_up_is_not_sent_by_a_message_that_comes_late`.
//! * A grant of a frozen pool is not paid, counts nothing, and holds up no grant of another pool:
//!   `a_frozen_pool_pays_nothing_and_others_go_on`.

use futures::future::join_all;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus, RetryPolicy};
use largesse_domain::id::PoolId;

use crate::drop::promote::{CALLS_END_MS, PassedOn, pass_on};
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

/// What is known of a grant before it is sent.
enum Known {
    /// It is sent.
    Open,
    /// Its payment comes to this without being sent.
    Settled(Payment),
    /// It was given up, and is not paid.
    GivenUp(FailedGrant),
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
    let open = deliveries.iter().zip(&known).filter(|(_, known)| matches!(known, Known::Open));
    let grants: Vec<Grant> = open.map(|(delivery, _)| delivery.message.grant.clone()).collect();
    let mut paid = money.pay(&grants).await.into_iter();
    // A service that tells nothing may have paid.
    let untold = || Payment::Unknown(PortError::corrupt("pay: no outcome"));
    let known = known.into_iter().map(|known| match known {
        Known::Open => Known::Settled(paid.next().unwrap_or_else(untold)),
        known => known,
    });
    let rules = Rules { policy, pass_on_after_ms: pass_on_after_ms(money) };
    let settled = deliveries.iter().zip(known).map(async |(delivery, known)| {
        let message = &delivery.message;
        let outcome = match known {
            Known::GivenUp(given_up) => end(deps, message, &given_up, rules).await,
            Known::Settled(payment) => settle(deps, delivery, payment, rules).await,
            Known::Open => Err(PortError::corrupt("pay: no outcome")),
        };
        outcome.unwrap_or_else(|cause| Outcome::Later { retry_after_ms: None, cause })
    });
    join_all(settled).await
}

/// What is done with a payment that was refused.
#[derive(Clone, Copy)]
struct Rules {
    policy: RetryPolicy,
    /// How long after a grant was given up its slot is passed on.
    pass_on_after_ms: u64,
}

/// The ledger never pays what was passed on, nor does it pass on what is paid.
fn pass_on_after_ms<M: Money>(money: &M) -> u64 {
    if money.must_look_up() { CALLS_END_MS } else { 0 }
}

/// What is known of a grant with a service that is not the ledger.
async fn known<M, D>(money: &M, deps: &D, delivery: &Delivery) -> Known
where
    M: Money,
    D: Grants + Freezes,
{
    match deps.is_frozen(delivery.message.grant.source).await {
        Ok(false) => {}
        Ok(true) => {
            let (operation, kind) = ("pay: the pool is frozen", PortErrorKind::Throttled);
            let cause = PortError { operation, kind, cause: None };
            return Known::Settled(Payment::NotNow {
                retry_after_ms: Some(FROZEN_RETRY_MS),
                cause,
            });
        }
        Err(cause) => return Known::Settled(Payment::NotNow { retry_after_ms: None, cause }),
    }
    if !money.must_look_up() {
        return Known::Open;
    }
    let grant = &delivery.message.grant;
    let not_now = |cause| Known::Settled(Payment::NotNow { retry_after_ms: None, cause });
    let failed = match deps.failed_grant(grant.source, &grant.member).await {
        Ok(failed) => failed.filter(|failed| failed.grant.id == grant.id),
        Err(cause) => return not_now(cause),
    };
    // The first message may be delivered long after another one of its grant.
    if failed.is_none() && !delivery.is_again() {
        return Known::Open;
    }
    let found = money.lookup(std::slice::from_ref(grant)).await;
    match found.map(|standings| standings.first().copied().unwrap_or(Standing::Unknown)) {
        Ok(Standing::NotPaid) => match failed {
            Some(failed) if failed.status == GrantStatus::PermanentlyFailed => {
                Known::GivenUp(failed)
            }
            Some(failed) if failed.status == GrantStatus::Voided => Known::Settled(Payment::Voided),
            Some(_) | None => Known::Open,
        },
        Ok(Standing::Paid) => Known::Settled(Payment::AlreadyPaid),
        Ok(Standing::Voided) => Known::Settled(Payment::Voided),
        Ok(Standing::Unknown) => Known::Settled(Payment::Pending),
        Err(cause) => not_now(cause),
    }
}

async fn settle<D>(
    deps: &D,
    delivery: &Delivery,
    payment: Payment,
    rules: Rules,
) -> PortResult<Outcome>
where
    D: Grants + Events + Deliveries + PassOn + Clock,
{
    match payment {
        Payment::Paid | Payment::AlreadyPaid => {
            // An item of an earlier failure goes, since a paid grant has none.
            if delivery.is_again() || matches!(payment, Payment::AlreadyPaid) {
                deps.remove_failed(&delivery.message.grant).await?;
            }
            Ok(Outcome::Paid)
        }
        Payment::Voided => Ok(Outcome::Voided),
        Payment::Refused(refusal) => refuse(deps, &delivery.message, refusal, rules).await,
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
    rules: Rules,
) -> PortResult<Outcome>
where
    D: Grants + Events + Deliveries + PassOn + Clock,
{
    let (grant, policy) = (&message.grant, rules.policy);
    let seen = deps.failed_grant(grant.source, &grant.member).await?;
    let seen = seen.filter(|failed| failed.grant.id == grant.id);
    let counted = seen.as_ref().map_or(0, |failed| failed.attempts);
    let failed = match seen {
        Some(failed) if failed.status == GrantStatus::PermanentlyFailed => {
            // Killed after it was marked, before its message was moved.
            return end(deps, message, &failed, rules).await;
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
    // From the mark on no call begins, so it is the time from which the last one is waited for.
    let (status, failed_at) = (GrantStatus::PermanentlyFailed, deps.now());
    let given_up = FailedGrant { status, failed_at, ..failed };
    deps.publish(&Event::GrantPermanentlyFailed(given_up.clone())).await?;
    write(deps, &given_up, attempts).await?;
    end(deps, message, &given_up, rules).await
}

/// Ends a grant that was given up: the slot of a drop goes to a member who waits. Of what is left an
/// operator decides.
async fn end<D>(
    deps: &D,
    message: &GrantMessage,
    given_up: &FailedGrant,
    rules: Rules,
) -> PortResult<Outcome>
where
    D: Deliveries + PassOn + Clock,
{
    if matches!(given_up.grant.source, PoolId::Drop(_)) {
        let (now, at) = (deps.now(), given_up.failed_at.plus_ms(rules.pass_on_after_ms));
        if now < at {
            let (operation, kind) =
                ("pass on slot: a call may be under way", PortErrorKind::Contended);
            let cause = PortError { operation, kind, cause: None };
            return Ok(Outcome::Later { retry_after_ms: Some(at.ms_since(now)), cause });
        }
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
