//! Calls of a slow ledger that are late.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use largesse_app::campaign::ChunkOutcome;
use largesse_app::campaign::pay::pay_chunk;
use largesse_app::ports::Clock;
use largesse_domain::campaign::State;
use largesse_domain::time::Timestamp;
use largesse_emulator::{Call, Fault, FaultHook, Outcome, WorldClock};

use super::scene::{SETTINGS, Work};

/// How long after a stop nothing more is paid (docs/guarantees.md, G9).
const PAID_MS: u64 = 5_000;

/// A ledger of which each call takes long, and which turns calls away at first.
struct SlowLedger {
    clock: WorldClock,
    /// Which operation is turned away, and how often still.
    turned_away: Mutex<(&'static str, u32)>,
    takes: Duration,
    /// When money moved.
    paid_at: Mutex<Vec<Timestamp>>,
}

fn of_ledger(call: &Call) -> bool {
    call.resources.iter().any(|table| table == "largesse-ledger")
}

impl FaultHook for SlowLedger {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        async move {
            if !of_ledger(call) {
                return None;
            }
            tokio::time::sleep(self.takes).await;
            let (operation, left) = &mut *self.turned_away.lock().unwrap();
            if call.operation != *operation || *left == 0 {
                return None;
            }
            *left -= 1;
            Some(Fault::Throttle)
        }
        .boxed()
    }

    fn after<'a>(&'a self, call: &'a Call, outcome: Outcome) -> BoxFuture<'a, Option<Fault>> {
        if of_ledger(call) && call.operation == "TransactWriteItems" && outcome.status == 200 {
            self.paid_at.lock().unwrap().push(Timestamp::from_ms(self.clock.now_ms()));
        }
        async { None }.boxed()
    }
}

/// The ledger is slow and throttled, so that a payment that was begun before the stop would be made
/// long after it.
#[tokio::test(start_paused = true)]
async fn a_slow_ledger_pays_nothing_five_seconds_after_a_stop() {
    for (seed, operation, times) in
        [(1, "BatchGetItem", 2), (2, "TransactWriteItems", 2), (3, "TransactWriteItems", 4)]
    {
        let work = Work::new(seed, 5).await;
        let ledger = Arc::new(SlowLedger {
            clock: work.sandbox.world.clock().clone(),
            turned_away: Mutex::new((operation, times)),
            takes: Duration::from_millis(1_500),
            paid_at: Mutex::default(),
        });
        let (store, message) = (&*work.sandbox.store, work.message(0).await);
        work.sandbox.world.set_fault_hook(Some(ledger.clone()));
        let stopped = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            work.stop().await;
            store.now()
        };
        let stop_at = store.now().plus_ms(50_000);
        let paying = pay_chunk(&*work.money, store, &message, SETTINGS, stop_at);
        let (outcome, stopped_at) = futures::join!(paying, stopped);
        assert!(matches!(outcome, ChunkOutcome::Dropped), "{outcome:?}");
        work.sandbox.world.set_fault_hook(None);
        let paid_at = ledger.paid_at.lock().unwrap().clone();
        let is_late = |at: &Timestamp| *at > stopped_at.plus_ms(PAID_MS);
        assert!(!paid_at.iter().any(is_late), "{operation} {times}: {paid_at:?} {stopped_at:?}");
        assert_eq!(work.state().await, State::Stopped);
        // It goes on, and pays each row once.
        work.attach_all();
        work.start().await;
        work.settle().await;
        work.assert_all_paid().await;
    }
}
