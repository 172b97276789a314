//! One process's view of a shared circuit breaker.

use std::sync::{Mutex, MutexGuard, PoisonError};

use largesse_domain::breaker::{Admission, Breaker, BreakerPolicy, Failures};
use largesse_domain::id::ServiceId;
use largesse_domain::time::Timestamp;
use tokio::sync::Mutex as AsyncMutex;

use super::Held;
use crate::caches::BREAKER_MS;
use crate::ports::{BreakerWritten, Breakers, Clock, Ids, PortResult, Rng, StoredBreaker};

/// How old the view may be, in milliseconds: each process reads the breaker once in that time.
const VIEW_MS: u64 = BREAKER_MS;

const OPEN: &str = "money service: the circuit breaker is open";
const UNREADABLE: &str = "money service: the circuit breaker cannot be read";

/// The breaker, as this process sees it.
pub(super) struct Circuit {
    service: ServiceId,
    policy: BreakerPolicy,
    view: Mutex<View>,
    /// One task at a time reads the breaker or takes the probe.
    turn: AsyncMutex<()>,
}

#[derive(Default)]
struct View {
    seen: StoredBreaker,
    /// Why the breaker could not be read.
    failed: Option<Held>,
    /// When to read again; `None` at first.
    fresh_until: Option<Timestamp>,
    failures: Failures,
}

/// A call that may be made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pass {
    /// As any other.
    Normal,
    /// As the probe of this breaker.
    Probe(StoredBreaker),
}

impl Circuit {
    pub(super) fn new(service: ServiceId, policy: BreakerPolicy) -> Self {
        Self { service, policy, view: Mutex::default(), turn: AsyncMutex::default() }
    }

    /// Locks, also after a panic elsewhere: the view is never half-written.
    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, read: PortResult<StoredBreaker>, now: Timestamp) {
        let mut view = self.view();
        view.fresh_until = Some(now.plus_ms(VIEW_MS));
        match read {
            Ok(seen) => (view.seen, view.failed) = (seen, None),
            Err(error) => view.failed = Some(Held::by(UNREADABLE, error)),
        }
    }

    /// What the view says; `None` when it is too old.
    fn admission(&self, now: Timestamp) -> Option<Result<Admission, Held>> {
        let view = self.view();
        let fresh_until = view.fresh_until.filter(|until| now < *until)?;
        if let Some(held) = &view.failed {
            return Some(Err(held.clone()));
        }
        let breaker = view.seen.breaker;
        Some(match breaker.admit(now) {
            Admission::Refused { until } => {
                // A probe may report long before its time is over: the next view tells.
                let is_probed = matches!(breaker, Breaker::HalfOpen { .. });
                let until = if is_probed { until.min(fresh_until) } else { until };
                Err(Held::until(until.ms_since(now), OPEN))
            }
            admission => Ok(admission),
        })
    }

    /// Whether a call may be made.
    pub(super) async fn admit<D>(&self, deps: &D) -> Result<Pass, Held>
    where
        D: Breakers + Clock + Ids,
    {
        match self.admission(deps.now()) {
            Some(Ok(Admission::Pass)) => return Ok(Pass::Normal),
            Some(Err(held)) => return Err(held),
            _ => {}
        }
        let _turn = self.turn.lock().await;
        let now = deps.now();
        // Another task may have read it meanwhile.
        let fresh = self.admission(now);
        let admission = match fresh {
            Some(admission) => admission?,
            None => {
                self.look(deps.breaker(&self.service).await, now);
                self.admission(now).unwrap_or(Ok(Admission::Pass))?
            }
        };
        if admission != Admission::Probe {
            return Ok(Pass::Normal);
        }
        let seen = self.view().seen;
        let probed = seen.breaker.probed(&self.policy, now, deps.ulid());
        match deps.put_breaker(&self.service, seen, probed).await {
            Ok(BreakerWritten::Done(stored)) => {
                self.look(Ok(stored), now);
                Ok(Pass::Probe(stored))
            }
            // Another worker took the probe, or has reported.
            Ok(BreakerWritten::Changed(stored)) => {
                self.look(Ok(stored), now);
                if stored.breaker == Breaker::Closed {
                    Ok(Pass::Normal)
                } else {
                    Err(Held::until(VIEW_MS, OPEN))
                }
            }
            Err(error) => {
                self.look(Err(error.clone()), now);
                Err(Held::by(UNREADABLE, error))
            }
        }
    }

    /// Whether an admitted call may still be made, after the wait for its permit. It reads nothing,
    /// since the permit's moment has come.
    pub(super) fn still_admits(&self, pass: Pass, now: Timestamp) -> Result<(), Held> {
        let breaker = self.view().seen.breaker;
        match (pass, breaker) {
            (Pass::Probe(_), _) | (Pass::Normal, Breaker::Closed) => Ok(()),
            (Pass::Normal, Breaker::Open { until, .. } | Breaker::HalfOpen { until, .. }) => {
                Err(Held::until(until.ms_since(now), OPEN))
            }
        }
    }

    /// Counts the outcome of a call that was made. A breaker that cannot be written stays as it is:
    /// the outcome of the call is what counts.
    pub(super) async fn report<D>(&self, deps: &D, pass: Pass, is_failure: bool)
    where
        D: Breakers + Clock + Rng,
    {
        let seen = match pass {
            Pass::Probe(stored) => stored,
            Pass::Normal => {
                let mut view = self.view();
                let opens = view.failures.count(&self.policy, is_failure);
                if !opens || view.seen.breaker != Breaker::Closed {
                    return;
                }
                view.seen
            }
        };
        let breaker = if is_failure {
            seen.breaker.opened(&self.policy, deps.now(), deps.below(u32::MAX))
        } else {
            Breaker::Closed
        };
        self.write(deps, seen, breaker).await;
    }

    /// The call was not made after all.
    pub(super) async fn withdraw<D: Breakers + Clock>(&self, deps: &D, pass: Pass) {
        if let Pass::Probe(stored) = pass {
            self.write(deps, stored, stored.breaker.unprobed(deps.now())).await;
        }
    }

    async fn write<D: Breakers + Clock>(&self, deps: &D, seen: StoredBreaker, breaker: Breaker) {
        let now = deps.now();
        match deps.put_breaker(&self.service, seen, breaker).await {
            Ok(BreakerWritten::Done(stored)) => {
                let service = &self.service;
                tracing::warn!(%service, breaker.state = ?stored.breaker, "the circuit breaker changed");
                self.look(Ok(stored), now);
            }
            // Another worker was first: its word stands.
            Ok(BreakerWritten::Changed(stored)) => self.look(Ok(stored), now),
            Err(error) => {
                tracing::warn!(error.cause = error.causes(), "the circuit breaker was not written");
            }
        }
    }
}
