//! How many calls an operation makes one after another.
//!
//! A fault hook holds every call back until no task can run without a reply. Then it lets all held
//! calls go at once: that is one round. The count depends on no clock, so it is the same on every
//! machine.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use futures::FutureExt;
use futures::future::BoxFuture;
use largesse_emulator::{Call, Fault, FaultHook, Service, World};
use tokio::sync::watch;

/// How often all tasks run before every call that will be made counts as made. Far above the few dozen steps that the SDK takes between two calls.
const IDLE_YIELDS: u32 = 256;

struct Gate {
    waiting: AtomicU64,
    opened: watch::Sender<u64>,
}

impl FaultHook for Gate {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        async move {
            // The steps of Lambda around a handler are not calls of a function.
            if call.service != Service::Lambda {
                let mut opened = self.opened.subscribe();
                let now = *opened.borrow_and_update();
                self.waiting.fetch_add(1, Ordering::Relaxed);
                // The gate outlives its calls; without it, nothing would be held back.
                let _ = opened.wait_for(|round| *round > now).await;
            }
            None
        }
        .boxed()
    }
}

/// Runs an operation and counts its rounds. On a runtime with one thread, else rounds mix.
pub(super) async fn count<T>(world: &World, operation: impl Future<Output = T>) -> (T, u64) {
    let gate = Arc::new(Gate { waiting: AtomicU64::new(0), opened: watch::Sender::new(0) });
    world.set_fault_hook(Some(gate.clone()));
    let mut operation = pin!(operation);
    let mut rounds = 0_u64;
    let done = loop {
        let mut done = None;
        for _ in 0..IDLE_YIELDS {
            let polled =
                std::future::poll_fn(|context| Poll::Ready(operation.as_mut().poll(context)));
            if let Poll::Ready(out) = polled.await {
                done = Some(out);
                break;
            }
            tokio::task::yield_now().await;
        }
        if let Some(done) = done {
            break done;
        }
        if gate.waiting.swap(0, Ordering::Relaxed) > 0 {
            rounds = rounds.saturating_add(1);
            gate.opened.send_modify(|round| *round = round.saturating_add(1));
        }
    };
    world.set_fault_hook(None);
    // Calls that go on after the answer are let through.
    gate.opened.send_modify(|round| *round = round.saturating_add(1));
    (done, rounds)
}
