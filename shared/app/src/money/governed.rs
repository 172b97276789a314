//! A money service behind its rate and its circuit breaker.
//!
//! Each grant is a call of its own: the breaker is asked, a permit is taken, its moment is waited for,
//! and one grant goes to the service. Look-ups and reversals take permits too, since a money service
//! counts requests and not payments. So a payment of which the outcome is not known is looked up from
//! here, under a permit of its own, and not by the adapter.
//!
//! A permit is of a moment, so nothing may hold a call up behind it. [`CALLS_MAX`] calls are under way
//! at once, and one above that waits before it takes its permit.
//!
//! A call that is held back is [`Payment::NotNow`], or a port error of kind
//! [`PortErrorKind::Throttled`](crate::ports::PortErrorKind) from look-up and reversal. Nothing has
//! happened, and nothing counts as an attempt (docs/guarantees.md, G13).
//!
//! # Guarantees
//! * A payment without a permit, or before an open breaker, is not made and is "not now":
//!   `a_payment_that_would_wait_beyond_the_deadline_is_not_now`,
//!   `failures_in_a_row_open_the_breaker_for_all_and_one_probe_closes_it`.
//! * A caller that limits its permits takes none behind the limit, and keeps none from others:
//!   `a_permit_behind_the_limit_is_not_taken_and_is_left_to_others`.
//! * Every call takes a permit: `look_ups_and_reversals_take_permits_too`,
//!   `a_payment_in_doubt_is_looked_up_once_under_a_permit_of_its_own`.
//! * A call that waits for others takes its permit afterwards:
//!   `a_call_above_the_most_at_once_takes_its_permit_when_it_can_be_made`.
//! * A call that waited for another until its permit was over is not sent:
//!   `a_call_that_waits_until_its_permit_is_over_is_not_sent`, and opens no breaker:
//!   `a_call_that_came_too_late_is_no_failure_of_the_service`; nor does it close one:
//!   `a_probe_that_came_too_late_is_given_back`.
//! * A refusal is an answer of a service that works, and so is "accepted":
//!   `a_refusal_is_no_failure_of_the_service`, `a_payment_that_is_accepted_is_no_failure`.

use std::sync::Arc;

use futures::future::join_all;
use largesse_domain::breaker::BreakerPolicy;
use largesse_domain::grant::Grant;
use largesse_domain::id::ServiceId;
use largesse_domain::rate::Rate;
use tokio::sync::Semaphore;

use super::Held;
use super::circuit::Circuit;
use super::governor::{Governor, Waiting};
use crate::invocation;
use crate::ports::{
    Breakers, Clock, Ids, Money, Pause, Payment, Permits, PortError, PortErrorKind, PortResult,
    Reversal, Rng, Standing,
};

/// How many calls are under way at once, those that wait for the moment of their permit included.
/// An adapter takes that many at once without holding one up.
pub const CALLS_MAX: usize = 256;

/// Any money service, called within its rate and through its circuit breaker. A process has one for
/// each service, and all its tasks share it.
pub struct Governed<M, D> {
    inner: Arc<M>,
    deps: Arc<D>,
    governor: Governor,
    circuit: Circuit,
    calls: Semaphore,
}

impl<M, D> Governed<M, D>
where
    M: Money,
    D: Permits + Breakers + Clock + Pause + Ids + Rng,
{
    /// `inner` under the name of the service. `rate` is used until the store has one.
    pub fn new(
        inner: Arc<M>,
        deps: Arc<D>,
        service: ServiceId,
        rate: Rate,
        policy: BreakerPolicy,
    ) -> Self {
        let governor = Governor::new(service.clone(), rate);
        let circuit = Circuit::new(service, policy);
        Self { inner, deps, governor, circuit, calls: Semaphore::new(CALLS_MAX) }
    }

    /// Makes a call as soon as it may be made, and counts its outcome.
    async fn call<T, F>(
        &self,
        waiting: Waiting<'_>,
        call: impl FnOnce() -> F,
        has_failed: impl FnOnce(&T) -> Option<bool>,
    ) -> Result<T, Held>
    where
        F: Future<Output = T>,
    {
        let deps = &*self.deps;
        // Before the permit. The semaphore is never closed; if it were, nothing would be held back.
        let _at_once = self.calls.acquire().await.ok();
        let pass = self.circuit.admit(deps).await?;
        let until = match self.governor.permit(deps, waiting).await {
            Ok(until) => until,
            Err(held) => {
                self.circuit.withdraw(deps, pass).await;
                return Err(held);
            }
        };
        // From here to the call nothing is waited for: the permit is of this moment.
        self.circuit.still_admits(pass, deps.now())?;
        let answer = invocation::sent_before(until, call()).await;
        match has_failed(&answer) {
            Some(has_failed) => self.circuit.report(deps, pass, has_failed).await,
            None => self.circuit.withdraw(deps, pass).await,
        }
        Ok(answer)
    }

    async fn pay_one(&self, waiting: Waiting<'_>, grant: &Grant) -> Payment {
        let pay = || async {
            let paid = self.inner.pay(std::slice::from_ref(grant)).await.pop();
            // A service that tells nothing may have paid.
            paid.unwrap_or_else(|| Payment::Unknown(PortError::corrupt("pay: no outcome")))
        };
        match self.call(waiting, pay, has_payment_failed).await {
            Ok(Payment::Unknown(cause)) if self.inner.must_look_up() => {
                self.resolve(grant, cause).await
            }
            Ok(payment) => payment,
            Err(Held { retry_after_ms, cause }) => Payment::NotNow { retry_after_ms, cause },
        }
    }

    /// What a payment without an answer comes to by one look-up under the same id.
    async fn resolve(&self, grant: &Grant, cause: PortError) -> Payment {
        match self.look_up_one(self.governor.wait(), grant).await {
            // By this call or by one before it: the service does not say.
            Ok(Standing::Paid) => Payment::AlreadyPaid,
            Ok(Standing::Voided) => Payment::Voided,
            // A refusal may be the one of an earlier attempt, which is counted. The next attempt is
            // answered, and that answer counts (G13).
            Ok(Standing::NotPaid) => {
                let cause = PortError { kind: PortErrorKind::Throttled, ..cause };
                Payment::NotNow { retry_after_ms: None, cause }
            }
            Ok(Standing::Unknown) | Err(_) => Payment::Unknown(cause),
        }
    }

    async fn look_up_one(&self, waiting: Waiting<'_>, grant: &Grant) -> PortResult<Standing> {
        let look_up = || async {
            let found = self.inner.lookup(std::slice::from_ref(grant)).await?.pop();
            found.ok_or_else(|| PortError::corrupt("look up payment: no outcome"))
        };
        self.call(waiting, look_up, has_failed).await.map_err(|held| held.cause).flatten()
    }
}

/// Whether the service did not work. A refusal, a void and "accepted" are answers. `None` of a call that
/// came too late for its permit: it was not made, so it says nothing of the service.
fn has_payment_failed(payment: &Payment) -> Option<bool> {
    match payment {
        Payment::NotNow { cause, .. } if cause.kind == PortErrorKind::Contended => None,
        Payment::NotNow { .. } | Payment::Unknown(_) => Some(true),
        Payment::Paid | Payment::AlreadyPaid | Payment::Voided => Some(false),
        Payment::Refused(_) | Payment::Pending => Some(false),
    }
}

/// The same of a look-up and a reversal.
fn has_failed<T>(answer: &PortResult<T>) -> Option<bool> {
    match answer {
        Err(error) if error.kind == PortErrorKind::Contended => None,
        answer => Some(answer.is_err()),
    }
}

impl<M, D> Money for Governed<M, D>
where
    M: Money,
    D: Permits + Breakers + Clock + Pause + Ids + Rng,
{
    fn must_look_up(&self) -> bool {
        self.inner.must_look_up()
    }

    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        let pay = |grant| self.pay_one(self.governor.wait(), grant);
        join_all(grants.iter().map(pay)).await
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        let look_up = |grant| self.look_up_one(self.governor.wait(), grant);
        let found = join_all(grants.iter().map(look_up)).await;
        found.into_iter().collect()
    }

    async fn reverse(&self, grant: &Grant) -> PortResult<Reversal> {
        let reverse = || self.inner.reverse(grant);
        self.call(self.governor.wait(), reverse, has_failed)
            .await
            .map_err(|held| held.cause)
            .flatten()
    }
}

#[cfg(test)]
mod tests;
