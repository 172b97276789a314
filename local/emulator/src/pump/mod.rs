//! Event source mappings: what Lambda does between a queue, a stream, a rule or a schedule and a
//! function.
//!
//! A pump starts work until it has none or has reached its concurrency. Each piece of work is a
//! task, so a slow handler delays only its own slot. Between pieces the pump waits until its source
//! changes, a handler ends, or a time is reached.

mod queue;
mod record;
mod rule;
mod schedule;
mod stream;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Notify, watch};

pub(crate) use queue::QueuePump;
pub(crate) use rule::RulePump;
pub(crate) use schedule::SchedulePump;
pub(crate) use stream::{Progress, StreamPump, StreamState};

use crate::clock::WorldClock;
use crate::connector::{LambdaStep, Services};

/// The error of a handler. A pump logs it and does not look inside.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A function as a pump calls it.
pub(crate) type Handler<E, R> =
    Arc<dyn Fn(E) -> BoxFuture<'static, Result<R, BoxError>> + Send + Sync>;

/// The longest wait of a pump without a next due time.
const IDLE: Duration = Duration::from_secs(3_600);

/// A mapping from a source to a handler.
pub(crate) trait Pump: Send + Sync {
    /// Starts one piece of work, if there is one and a slot is free.
    fn begin(self: Arc<Self>) -> bool;

    /// The time of the next work that needs no other change, in epoch milliseconds.
    fn next_due_ms(&self) -> Option<i64>;

    /// Changes when there may be new work.
    fn listen(&self) -> watch::Receiver<u64>;

    /// Notified when a piece of work ends.
    fn ended(&self) -> &Notify;

    /// The queue for reports of discarded records.
    fn failure_queue(&self) -> Option<&str> {
        None
    }

    /// Whether `settle_with_time` waits for this pump's next due time. A schedule always has a next
    /// one, so the wait would never end.
    fn is_awaited(&self) -> bool {
        true
    }
}

/// Counts the running handlers of all pumps.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    running: Arc<watch::Sender<usize>>,
    /// Held shared from taking work to counting it, so that a count never misses work between the
    /// two.
    taking: Arc<RwLock<()>>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { running: Arc::new(watch::channel(0).0), taking: Arc::default() }
    }
}

impl Activity {
    /// Called before work is taken; the caller keeps the guard until it has counted the work.
    pub(crate) fn taking(&self) -> RwLockReadGuard<'_, ()> {
        self.taking.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a handler. Watchers are woken by its end only.
    pub(crate) fn enter(&self) -> Active {
        self.running.send_if_modified(|count| {
            *count = count.saturating_add(1);
            false
        });
        Active { activity: self.clone() }
    }

    /// The number of running handlers, with no work between taken and counted.
    pub(crate) fn count(&self) -> usize {
        let _no_taking = self.taking.write().unwrap_or_else(PoisonError::into_inner);
        *self.running.borrow()
    }

    /// Wakes watchers because of new work.
    pub(crate) fn wake(&self) {
        self.running.send_modify(|_| {});
    }

    /// Changes whenever a handler ends.
    pub(crate) fn watch(&self) -> watch::Receiver<usize> {
        self.running.subscribe()
    }

    /// Waits until no handler runs.
    pub(crate) async fn idle(&self) {
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.watch().wait_for(|count| *count == 0).await;
    }
}

/// One running handler; ends when dropped, also when its task is cancelled.
#[derive(Debug)]
pub(crate) struct Active {
    activity: Activity,
}

impl Drop for Active {
    fn drop(&mut self) {
        self.activity.running.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// The slots for handlers that run at once.
#[derive(Debug)]
pub(crate) struct Slots {
    taken: AtomicUsize,
    max: usize,
}

impl Slots {
    pub(crate) fn new(max: usize) -> Self {
        Self { taken: AtomicUsize::new(0), max: max.max(1) }
    }

    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        let room = |taken: usize| (taken < self.max).then(|| taken.saturating_add(1));
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, room).ok()?;
        Some(Slot { slots: Arc::clone(self) })
    }
}

/// One taken slot; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs a handler for `source` as Lambda does: a panic or a timeout fails this invocation only.
/// Faults may prevent the run, run it twice, call `show` to make its messages visible meanwhile, or
/// lose its result.
pub(crate) async fn invoke<E: Clone, R>(
    services: &Services,
    source: &str,
    handler: &Handler<E, R>,
    event: E,
    timeout: Duration,
    show: impl FnOnce(),
) -> Result<R, BoxError> {
    let result = match services.lambda_step("Invoke", source).await {
        LambdaStep::Lost => return Err("the invocation was lost".into()),
        LambdaStep::Goes => run(handler, event, timeout).await,
        LambdaStep::GoesTwice => {
            let first = run(handler, event.clone(), timeout);
            futures::future::join(first, run(handler, event, timeout)).await.1
        }
        LambdaStep::GoesVisibly => {
            show();
            run(handler, event, timeout).await
        }
    };
    if services.lambda_step("Acknowledge", source).await == LambdaStep::Lost {
        return Err("the result of the invocation was lost".into());
    }
    result
}

async fn run<E, R>(handler: &Handler<E, R>, event: E, timeout: Duration) -> Result<R, BoxError> {
    let run = AssertUnwindSafe(async { handler(event).await }).catch_unwind();
    match tokio::time::timeout(timeout, run).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(format!("the handler panicked: {}", text_of(&*panic)).into()),
        Err(_) => Err(format!("the handler took longer than {timeout:?}").into()),
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Runs a pump until `stop` is set.
pub(crate) async fn drive(pump: Arc<dyn Pump>, clock: WorldClock, mut stop: watch::Receiver<bool>) {
    let mut source = pump.listen();
    loop {
        // Marked as seen before the check: a change during the check ends the next wait.
        source.borrow_and_update();
        while !*stop.borrow() && Arc::clone(&pump).begin() {
            // On one thread, the work must start before more of it is taken.
            tokio::task::yield_now().await;
        }
        if *stop.borrow_and_update() {
            return;
        }
        let wait = pump.next_due_ms().map_or(IDLE, |due_ms| clock.until(due_ms));
        tokio::select! {
            biased;
            _ = stop.changed() => {}
            () = pump.ended().notified() => {}
            _ = source.changed() => {}
            () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
        }
    }
}
