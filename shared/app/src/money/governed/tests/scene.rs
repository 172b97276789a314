//! Ports in memory, and a service that answers as it is told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use largesse_domain::breaker::Breaker;
use largesse_domain::grant::Reason;
use largesse_domain::id::Ulid;
use largesse_domain::money::Amount;
use largesse_domain::rate::{Moment, RateState, Tolerance, Wish};
use largesse_domain::time::Timestamp;
use tokio::time::Instant;

use super::super::*;
use crate::invocation::{self, Invocation};
use crate::ports::{BreakerWritten, Leased, PortErrorKind, StoredBreaker};

pub(super) const BEGINS_MS: i64 = 1_000_000;

/// Ports in memory, one store for all workers.
pub(super) struct Memory {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) rate: Option<RateState>,
    pub(super) breaker: StoredBreaker,
    pub(super) is_away: bool,
    pub(super) leases: u32,
    reads: u32,
    pub(super) writes: u32,
    ulids: u128,
}

impl Memory {
    #[expect(clippy::disallowed_methods, reason = "the virtual clock of the test")]
    fn new() -> Arc<Self> {
        Arc::new(Self { start: Instant::now(), state: Mutex::default() })
    }

    pub(super) fn state<T>(&self, with: impl FnOnce(&mut State) -> T) -> T {
        with(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ask<T>(&self, with: impl FnOnce(&mut State) -> T) -> PortResult<T> {
        self.state(
            |state| {
                if state.is_away { Err(error(PortErrorKind::Unknown)) } else { Ok(with(state)) }
            },
        )
    }
}

pub(super) fn error(kind: PortErrorKind) -> PortError {
    PortError { operation: "test", kind, cause: None }
}

impl Permits for Memory {
    async fn lease(&self, _: &ServiceId, rate: Rate, wish: &Wish) -> PortResult<Leased> {
        self.ask(|state| {
            state.leases += 1;
            let rate = state.rate.get_or_insert(RateState { rate, tat: Moment(0) });
            match rate.lease(wish) {
                Ok(block) => {
                    rate.tat = block.end();
                    Leased::Block(block)
                }
                Err(next) => Leased::None { next },
            }
        })
    }

    async fn set_rate(&self, _: &ServiceId, rate: Rate) -> PortResult<()> {
        self.ask(|state| state.rate = state.rate.map(|state| state.change(rate)))
    }
}

impl Breakers for Memory {
    async fn breaker(&self, _: &ServiceId) -> PortResult<StoredBreaker> {
        self.ask(|state| {
            state.reads += 1;
            state.breaker
        })
    }

    async fn put_breaker(
        &self,
        _: &ServiceId,
        seen: StoredBreaker,
        breaker: Breaker,
    ) -> PortResult<BreakerWritten> {
        self.ask(|state| {
            if state.breaker != seen {
                return BreakerWritten::Changed(state.breaker);
            }
            state.writes += 1;
            state.breaker = StoredBreaker { breaker, version: seen.version + 1 };
            BreakerWritten::Done(state.breaker)
        })
    }
}

impl Clock for Memory {
    fn now(&self) -> Timestamp {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap();
        Timestamp::from_ms(BEGINS_MS).plus_ms(elapsed)
    }
}

impl Pause for Memory {
    async fn pause_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
}

impl Ids for Memory {
    fn ulid(&self) -> Ulid {
        self.state(|state| {
            state.ulids += 1;
            Ulid::from_parts(self.now().ms_unsigned(), state.ulids)
        })
    }
}

impl Rng for Memory {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// A service that answers as it is told, in order, and pays when it is told nothing.
pub(super) struct Bank {
    pub(super) memory: Arc<Memory>,
    answers: Mutex<VecDeque<Payment>>,
    pub(super) calls: Mutex<Vec<i64>>,
    must_look_up: bool,
    /// Until when the permits of the calls counted.
    pub(super) told: Mutex<Vec<Option<i64>>>,
    /// How long a payment takes.
    pub(super) takes_ms: AtomicU64,
}

impl Bank {
    fn call(&self) -> Payment {
        let now = self.memory.now().ms() - BEGINS_MS;
        self.calls.lock().unwrap().push(now);
        let until = invocation::sent_until().map(|until| until.ms() - BEGINS_MS);
        self.told.lock().unwrap().push(until);
        self.answers.lock().unwrap().pop_front().unwrap_or(Payment::Paid)
    }

    pub(super) fn will(&self, answers: impl IntoIterator<Item = Payment>) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.lock().unwrap().len()
    }
}

impl Money for Bank {
    fn must_look_up(&self) -> bool {
        self.must_look_up
    }

    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        assert_eq!(grants.len(), 1);
        let payment = self.call();
        let takes_ms = self.takes_ms.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(takes_ms)).await;
        vec![payment]
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        assert_eq!(grants.len(), 1);
        match self.call() {
            Payment::Unknown(error) => Err(error),
            _ => Ok(vec![Standing::Paid]),
        }
    }

    async fn reverse(&self, _: &Grant) -> PortResult<Reversal> {
        match self.call() {
            Payment::Unknown(error) => Err(error),
            _ => Ok(Reversal::Reversed),
        }
    }
}

pub(super) struct Scene {
    pub(super) memory: Arc<Memory>,
    pub(super) bank: Arc<Bank>,
    pub(super) workers: Vec<Governed<Bank, Memory>>,
}

pub(super) fn scene(limit: u32, workers: usize) -> Scene {
    scene_of(limit, workers, false)
}

pub(super) fn scene_of(limit: u32, workers: usize, must_look_up: bool) -> Scene {
    let memory = Memory::new();
    let bank = Arc::new(Bank {
        memory: memory.clone(),
        answers: Mutex::default(),
        calls: Mutex::default(),
        must_look_up,
        told: Mutex::default(),
        takes_ms: AtomicU64::default(),
    });
    let rate = Rate::new(limit, Tolerance::default()).unwrap();
    let worker = |_| {
        let (service, policy) = ("bank".parse().unwrap(), BreakerPolicy::default());
        Governed::new(bank.clone(), memory.clone(), service, rate, policy)
    };
    let workers = (0..workers).map(worker).collect();
    Scene { memory, bank, workers }
}

pub(super) fn grants(count: usize) -> Vec<Grant> {
    let grant = Grant {
        id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
        source: "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap(),
        member: "m".parse().unwrap(),
        amount: Amount::new(5).unwrap(),
        reason: Reason::Share,
        funder: "f".parse().unwrap(),
        memo: None,
    };
    vec![grant; count]
}

/// P for paid, R for refused, N for not now, U for unknown.
pub(super) fn letters(payments: &[Payment]) -> String {
    let letter = |payment: &Payment| match payment {
        Payment::Paid | Payment::AlreadyPaid | Payment::Voided => 'P',
        Payment::Refused(_) => 'R',
        Payment::NotNow { .. } => 'N',
        Payment::Unknown(_) | Payment::Pending => 'U',
    };
    payments.iter().map(letter).collect()
}

pub(super) fn unknown() -> Payment {
    Payment::Unknown(error(PortErrorKind::Unknown))
}

pub(super) fn not_now() -> Payment {
    Payment::NotNow { retry_after_ms: None, cause: error(PortErrorKind::Throttled) }
}

pub(super) fn retry_after_ms(payment: &Payment) -> Option<u64> {
    match payment {
        Payment::NotNow { retry_after_ms, cause } => {
            assert_eq!(cause.kind, PortErrorKind::Throttled, "nothing has happened");
            *retry_after_ms
        }
        other => panic!("{other:?}"),
    }
}

/// Within an invocation that is over so many milliseconds from now.
pub(super) async fn within<F: Future>(memory: &Memory, ms: u64, work: F) -> F::Output {
    invocation::scope(Invocation::until(memory.now().plus_ms(ms)), work).await
}
