//! Event source mappings: what Lambda does between a queue, a stream, a rule or a schedule and a
//! function.
//!
//! A pump begins as much work as it may whenever it is asked to; each piece runs in a task of its
//! own, so a slow handler holds up nothing but its own share of the concurrency. Between pieces the
//! pump sleeps until its source changes, a handler ends, or something falls due.

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
pub(crate) use stream::{Progress, StreamPump};

use crate::clock::WorldClock;
use crate::connector::{LambdaStep, Services};

/// Why a handler failed. The pump only needs to know that it did.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A function as a pump calls it.
pub(crate) type Handler<E, R> =
    Arc<dyn Fn(E) -> BoxFuture<'static, Result<R, BoxError>> + Send + Sync>;

/// How long a pump without anything due sleeps at most.
const IDLE: Duration = Duration::from_secs(3_600);

/// A mapping from a source to a handler.
pub(crate) trait Pump: Send + Sync {
    /// Begins one piece of work, if there is one and there is room for it.
    fn begin(self: Arc<Self>) -> bool;

    /// When there will be work without anything else happening, in epoch milliseconds.
    fn next_due_ms(&self) -> Option<i64>;

    /// Changes whenever there may be new work.
    fn listen(&self) -> watch::Receiver<u64>;

    /// Notified when a piece of this pump's work ends.
    fn ended(&self) -> &Notify;

    /// The queue that is told what this pump gave up on.
    fn failure_queue(&self) -> Option<&str> {
        None
    }

    /// Whether `settle_with_time` waits for this pump's next due time. A schedule is always due
    /// again, so waiting for it would never end.
    fn is_awaited(&self) -> bool {
        true
    }
}

/// Counts the handlers that run anywhere in the world.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    running: Arc<watch::Sender<usize>>,
    /// Held shared from taking work to counting it, so that a count never misses work that was
    /// taken and not yet counted.
    taking: Arc<RwLock<()>>,
}

impl Default for Activity {
    fn default() -> Self {
        Self { running: Arc::new(watch::channel(0).0), taking: Arc::default() }
    }
}

impl Activity {
    /// Announces that work is about to be taken.
    pub(crate) fn taking(&self) -> RwLockReadGuard<'_, ()> {
        self.taking.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a handler. Watchers hear of its end only: whoever waits, waits for that.
    pub(crate) fn enter(&self) -> Active {
        self.running.send_if_modified(|count| {
            *count = count.saturating_add(1);
            false
        });
        Active { activity: self.clone() }
    }

    /// How many handlers run, with no work between being taken and being counted.
    pub(crate) fn count(&self) -> usize {
        let _nobody_takes = self.taking.write().unwrap_or_else(PoisonError::into_inner);
        *self.running.borrow()
    }

    /// Announces new work to whoever waits for a handler's end.
    pub(crate) fn stir(&self) {
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

/// Room for a number of handlers at once.
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

/// One taken place; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Runs a handler for `source` as Lambda does: a panic and a timeout are failures, not the end of
/// the world. Faults may keep it from running, run it twice, let others `see` what it works on, or
/// lose its answer.
pub(crate) async fn invoke<E: Clone, R>(
    services: &Services,
    source: &str,
    handler: &Handler<E, R>,
    event: E,
    timeout: Duration,
    see: impl FnOnce(),
) -> Result<R, BoxError> {
    let result = match services.lambda_step("Invoke", source).await {
        LambdaStep::Lost => return Err("the invocation was lost".into()),
        LambdaStep::Goes => run(handler, event, timeout).await,
        LambdaStep::GoesTwice => {
            let first = run(handler, event.clone(), timeout);
            futures::future::join(first, run(handler, event, timeout)).await.1
        }
        LambdaStep::GoesVisibly => {
            see();
            run(handler, event, timeout).await
        }
    };
    if services.lambda_step("Acknowledge", source).await == LambdaStep::Lost {
        return Err("the answer of the invocation was lost".into());
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

/// Keeps a pump going until `stop` says otherwise.
pub(crate) async fn drive(pump: Arc<dyn Pump>, clock: WorldClock, mut stop: watch::Receiver<bool>) {
    let mut source = pump.listen();
    loop {
        // Marked as seen before looking: what changes while looking wakes the next wait.
        source.borrow_and_update();
        while !*stop.borrow() && Arc::clone(&pump).begin() {
            // On one thread, let the work begin before more of it is taken.
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
