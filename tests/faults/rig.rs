//! An environment with everything attached, in which one run of a function can be killed.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::event::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::streams::DynamoDbEventResponse as StreamAnswer;
use axum::Router;
use largesse_app::pool::sweep;
use largesse_app::ports::{Clock, PortResult};
use largesse_app::spray::refund;
use largesse_aws::Store;
use largesse_domain::audit::Totals;
use largesse_domain::grant::{GrantStatus, RetryPolicy};
use largesse_domain::id::RoomId;
use largesse_domain::ledger::TransferKind;
use largesse_domain::pool::BucketStatus;
use largesse_domain::spray::Spray;
use largesse_edge::cursor::CursorKey;
use largesse_edge::{EdgeConfig, kernel};
use largesse_emulator::BoxError;
use largesse_tests::kill::kill_at;
use largesse_tests::{Sandbox, money};

/// Runs of a schedule until one succeeds.
const RUNS_MAX: usize = 3;

pub(crate) const GRANTS: &str = "largesse-grants.fifo";
pub(crate) const GRANTS_DLQ: &str = "largesse-grants-dlq.fifo";
pub(crate) const OUTBOX_DLQ: &str = "largesse-outbox-dlq";
/// The logical id of the outbox in template.yaml.
pub(crate) const OUTBOX: &str = "OutboxFunction";

/// A run of a function that is killed at one of its awaits. Both count from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strike {
    pub(crate) run: usize,
    pub(crate) at: usize,
}

/// Which run of which function is killed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kill {
    pub(crate) outbox: Option<Strike>,
    pub(crate) grant_pay: Option<Strike>,
    /// The stream's batches are kept for the test to hand to outboxes of its own.
    pub(crate) keeps_batches: bool,
}

/// Counts the runs of one function, and kills the one that is to be killed.
#[derive(Clone)]
struct Killer {
    strike: Option<Strike>,
    runs: Arc<AtomicUsize>,
    struck: Arc<AtomicBool>,
}

impl Killer {
    fn new(strike: Option<Strike>, struck: &Arc<AtomicBool>) -> Self {
        Self { strike, runs: Arc::default(), struck: struck.clone() }
    }

    /// Runs `work`; an error, as Lambda sees a dead function, when it is killed.
    async fn run<F: Future>(self, work: F) -> Result<F::Output, BoxError> {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        let Some(strike) = self.strike.filter(|strike| strike.run == run) else {
            return Ok(work.await);
        };
        match kill_at(strike.at, work).await {
            Some(output) => Ok(output),
            None => {
                self.struck.store(true, Ordering::SeqCst);
                Err("killed".into())
            }
        }
    }
}

pub(crate) struct Rig {
    pub(crate) sandbox: Sandbox,
    /// Whether the killed run reached the await at which it was to be killed.
    struck: Arc<AtomicBool>,
    pub(crate) router: Router,
    /// Batches of the stream that were kept.
    pub(crate) batches: Arc<Mutex<Vec<StreamEvent>>>,
    /// Whether the workers understand version 2 of a message: as they do version 1.
    pub(crate) reads_version_2: Arc<AtomicBool>,
}

impl Rig {
    pub(crate) fn new(seed: u64, kill: Kill) -> Self {
        let sandbox = Sandbox::new(seed);
        let struck = Arc::new(AtomicBool::new(false));
        let batches: Arc<Mutex<Vec<StreamEvent>>> = Arc::default();
        let reads_version_2: Arc<AtomicBool> = Arc::default();
        let edge = EdgeConfig::open(CursorKey::new("0123456789abcdef0123456789abcdef").unwrap());
        let (store, edge) = (sandbox.store.clone(), Arc::new(edge));
        let functions = &sandbox.world.stack().functions;
        let routes = functions
            .iter()
            .filter_map(|function| largesse::compose::routes_of(function, &store, &edge));
        let router = kernel::wrap(routes.fold(Router::new(), Router::merge), store.clone());
        let rig = Self { sandbox, struck, router, batches, reads_version_2 };
        rig.attach_outbox(rig.sandbox.another_process(seed + 1), kill);
        rig.attach_grant_pay(rig.sandbox.another_process(seed + 2), kill);
        rig
    }

    fn attach_outbox(&self, store: Arc<Store>, kill: Kill) {
        let killer = Killer::new(kill.outbox, &self.struck);
        let kept = self.batches.clone();
        let world = &self.sandbox.world;
        let trigger = world.stack().function("outbox").unwrap().streams[0].clone();
        let attached = world.on_stream(trigger, move |event| {
            let (store, kept) = (store.clone(), kept.clone());
            let work = async move {
                if kill.keeps_batches {
                    kept.lock().unwrap().push(event);
                    return StreamAnswer::default();
                }
                outbox::handle(&*store, event).await
            };
            killer.clone().run(work)
        });
        attached.unwrap();
    }

    fn attach_grant_pay(&self, store: Arc<Store>, kill: Kill) {
        let killer = Killer::new(kill.grant_pay, &self.struck);
        let reads_version_2 = self.reads_version_2.clone();
        let world = &self.sandbox.world;
        let trigger = world.stack().function("grant-pay").unwrap().queues[0].clone();
        let attached = world.on_queue(trigger, move |mut event| {
            let store = store.clone();
            if reads_version_2.load(Ordering::SeqCst) {
                for message in &mut event.records {
                    let body = message.body.take().unwrap_or_default();
                    message.body = Some(body.replace("\"version\":2", "\"version\":1"));
                }
            }
            let policy = RetryPolicy::default();
            killer
                .clone()
                .run(async move { grant_pay::handle(&*store, &*store, event, policy).await })
        });
        attached.unwrap();
    }

    pub(crate) fn was_struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    /// A spray by `s`, in a room with `a`, `b` and `c`, open for ten minutes.
    pub(crate) async fn spray(&self, recipients: u64) -> (RoomId, Spray) {
        let room = self.sandbox.room(&["s", "a", "b", "c"]).await;
        (room, self.sandbox.spray(room, "s", recipients * 10, recipients).await)
    }

    /// Runs all functions until nothing is left to do, and lets time pass for retries.
    pub(crate) async fn pay(&self) {
        self.sandbox.world.settle_with_time().await.unwrap();
    }

    /// Lets the window of every spray pass, runs the schedules, and asserts that everything has
    /// ended. Returns where the money is then.
    pub(crate) async fn wind_up(&self) -> Totals {
        tokio::time::advance(Duration::from_secs(700)).await;
        let store = self.sandbox.another_process(99);
        let stop_at = || store.now().plus_ms(300_000);
        // A run may fail; the next one does what is left.
        for _ in 0..RUNS_MAX {
            let swept = sweep::run(&*store, stop_at()).await;
            self.pay().await;
            if swept.is_ok_and(|report| report.failed == 0) {
                break;
            }
        }
        for _ in 0..RUNS_MAX {
            let refunded = refund::run(&*store, stop_at()).await;
            if refunded.is_ok_and(|report| report.failed == 0) {
                break;
            }
        }
        self.assert_ended()
    }

    /// Every entry is paid, given up or voided; every remainder is returned; no message waits.
    pub(crate) fn assert_ended(&self) -> Totals {
        let totals = money::assert_conserved(&self.sandbox.world);
        let books = money::books(&self.sandbox.world);
        let queue = |name| self.sandbox.world.queue(name).unwrap();
        let mut owed = 0;
        let mut given_up = 0;
        for grant in books.unpaid() {
            let failed = books.failed.iter().find(|failed| failed.grant == grant);
            let status = failed.map(|failed| failed.status);
            assert_eq!(status, Some(GrantStatus::PermanentlyFailed), "{grant:?}");
            owed += grant.amount.get();
            given_up += 1;
        }
        assert!(books.buckets.iter().all(|bucket| bucket.status == BucketStatus::Closed));
        assert_eq!(totals.escrows, owed, "{totals:?}");
        assert!(queue(GRANTS).is_empty() && queue(OUTBOX_DLQ).is_empty());
        assert!(queue(GRANTS_DLQ).messages.len() >= given_up, "each that was given up lies there");
        totals
    }

    /// Every entry is paid, none was refused, and no queue has a message.
    pub(crate) fn assert_all_paid(&self) {
        let books = money::books(&self.sandbox.world);
        assert_eq!((books.unpaid(), books.failed), (Vec::new(), Vec::new()));
        for queue in &self.sandbox.world.stack().queues {
            let view = self.sandbox.world.queue(&queue.name).unwrap();
            assert!(view.is_empty(), "{}: {view:?}", queue.name);
        }
    }

    /// How many transfers of a kind there are.
    pub(crate) fn transfers(&self, kind: TransferKind) -> usize {
        let books = money::books(&self.sandbox.world);
        books.transfers.iter().filter(|transfer| transfer.order.kind == kind).count()
    }

    /// What a wallet holds, read behind the adapters.
    pub(crate) fn balance(&self, name: &str) -> u64 {
        let wallets = money::books(&self.sandbox.world).wallets;
        let wallet = wallets.iter().find(|wallet| wallet.user.as_str() == name);
        wallet.map_or(0, |wallet| wallet.balance.get())
    }
}

pub(crate) async fn refund_all(store: &Store) -> PortResult<refund::BatchReport> {
    refund::run(store, store.now().plus_ms(300_000)).await
}

pub(crate) async fn sweep_all(store: &Store) -> PortResult<sweep::SweepReport> {
    sweep::run(store, store.now().plus_ms(300_000)).await
}

/// Every call takes a while, so that what runs at the same time meets.
pub(crate) struct Distance(Duration);

impl Distance {
    pub(crate) const fn ms(there: u64) -> Self {
        Self(Duration::from_millis(there))
    }
}

impl largesse_emulator::FaultHook for Distance {
    fn before<'a>(
        &'a self,
        _call: &'a largesse_emulator::Call,
    ) -> futures::future::BoxFuture<'a, Option<largesse_emulator::Fault>> {
        let fault = largesse_emulator::Fault::DelayRequest(self.0);
        Box::pin(async move { Some(fault) })
    }
}
