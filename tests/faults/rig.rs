//! A world with everything attached, in which the first run of a function can be killed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::event::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::streams::DynamoDbEventResponse as StreamAnswer;
use axum::Router;
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use largesse_app::pool::sweep;
use largesse_app::ports::{Clock, PortResult};
use largesse_app::spray::claim::{Claim, ClaimError, Claimed, claim};
use largesse_app::spray::refund;
use largesse_aws::Store;
use largesse_domain::audit::Totals;
use largesse_domain::grant::{Grant, GrantStatus, RetryPolicy};
use largesse_domain::id::RoomId;
use largesse_domain::ledger::TransferKind;
use largesse_domain::pool::{Ask, Attempt, Draw, Drawn};
use largesse_domain::spray::Spray;
use largesse_edge::cursor::CursorKey;
use largesse_edge::{EdgeConfig, kernel};
use largesse_tests::http::Reply;
use largesse_tests::kill::kill_at;
use largesse_tests::{Sandbox, money, user};
use serde_json::Value;
use tower::ServiceExt;

/// Runs of a schedule until one goes through.
const RUNS_MAX: usize = 3;

/// Which function's first run is killed, at which await.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kill {
    pub(crate) outbox: Option<usize>,
    pub(crate) grant_pay: Option<usize>,
    /// The stream's batches are kept for the test to hand to outboxes of its own.
    pub(crate) keeps_batches: bool,
}

pub(crate) struct Rig {
    pub(crate) sandbox: Sandbox,
    /// Whether the killed run got as far as the await it was to be killed at.
    pub(crate) struck: Arc<AtomicBool>,
    pub(crate) router: Router,
    /// Batches of the stream that were kept.
    pub(crate) batches: Arc<Mutex<Vec<StreamEvent>>>,
}

/// Runs `work`, killed at the first run's `k`-th await; an error, as Lambda sees a dead function.
async fn first_killed<F: Future>(
    k: Option<usize>,
    ran: Arc<AtomicBool>,
    struck: Arc<AtomicBool>,
    work: F,
) -> Result<F::Output, largesse_emulator::BoxError> {
    let Some(k) = k.filter(|_| !ran.swap(true, Ordering::SeqCst)) else { return Ok(work.await) };
    match kill_at(k, work).await {
        Some(output) => Ok(output),
        None => {
            struck.store(true, Ordering::SeqCst);
            Err("killed".into())
        }
    }
}

impl Rig {
    pub(crate) fn new(seed: u64, kill: Kill) -> Self {
        let sandbox = Sandbox::new(seed);
        let struck = Arc::new(AtomicBool::new(false));
        let stack = sandbox.world.stack().clone();
        let (ran, hit, store) = (Arc::default(), struck.clone(), sandbox.another_process(seed + 1));
        let outbox = stack.function("outbox").unwrap();
        let batches: Arc<Mutex<Vec<StreamEvent>>> = Arc::default();
        let kept = batches.clone();
        let on_stream = sandbox.world.on_stream(outbox.streams[0].clone(), move |event| {
            let (ran, hit, store): (Arc<AtomicBool>, _, _) =
                (Arc::clone(&ran), hit.clone(), store.clone());
            let kept = kept.clone();
            let work = async move {
                if kill.keeps_batches {
                    kept.lock().unwrap().push(event);
                    return StreamAnswer::default();
                }
                outbox::handle(&*store, event).await
            };
            first_killed(kill.outbox, ran, hit, work)
        });
        on_stream.unwrap();
        let (ran, hit, store) = (Arc::default(), struck.clone(), sandbox.another_process(seed + 2));
        let grant_pay = stack.function("grant-pay").unwrap();
        let on_queue = sandbox.world.on_queue(grant_pay.queues[0].clone(), move |event| {
            let (ran, hit, store): (Arc<AtomicBool>, _, _) =
                (Arc::clone(&ran), hit.clone(), store.clone());
            let policy = RetryPolicy::default();
            let work = async move { grant_pay::handle(&*store, event, policy).await };
            first_killed(kill.grant_pay, ran, hit, work)
        });
        on_queue.unwrap();
        let edge = EdgeConfig::open(CursorKey::new("0123456789abcdef0123456789abcdef").unwrap());
        let (store, edge) = (sandbox.store.clone(), Arc::new(edge));
        let routes = stack
            .functions
            .iter()
            .filter_map(|function| largesse::compose::routes_of(function, &store, &edge));
        let router = kernel::wrap(routes.fold(Router::new(), Router::merge), store.clone());
        Self { sandbox, struck, router, batches }
    }

    pub(crate) fn was_struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }

    /// A spray by `s`, in a room with `a`, `b` and `c`, open for ten minutes.
    pub(crate) async fn spray(&self, recipients: u64) -> (RoomId, Spray) {
        let room = self.sandbox.room(&["s", "a", "b", "c"]).await;
        (room, self.sandbox.spray(room, "s", recipients * 10, recipients).await)
    }

    /// Pays what is recorded, letting time pass for retries.
    pub(crate) async fn pay(&self) {
        self.sandbox.world.settle_with_time().await.unwrap();
    }

    /// Lets the window of every spray pass, runs the schedules, and says where the money is then.
    pub(crate) async fn wind_up(&self) -> Totals {
        tokio::time::advance(Duration::from_secs(700)).await;
        let store = self.sandbox.another_process(99);
        let stop_at = || store.now().plus_ms(300_000);
        // A schedule's run may fail; the next one makes up for it.
        let mut sweeps = Vec::new();
        while sweeps.len() < RUNS_MAX && !matches!(sweeps.last(), Some(Ok(_))) {
            sweeps.push(sweep::run(&*store, stop_at()).await);
            self.pay().await;
        }
        let mut failed = 1;
        for _ in 0..RUNS_MAX {
            if failed > 0 {
                let run = refund::run(&*store, stop_at()).await;
                failed = run.map_or(1, |report| report.failed);
                self.pay().await;
            }
        }
        let totals = money::assert_conserved(&self.sandbox.world);
        let unpaid = money::books(&self.sandbox.world).grants;
        let unpaid: Vec<_> = unpaid.iter().map(|g| (g.status, g.attempts, &g.failure)).collect();
        let queue = |name: &str| self.sandbox.world.queue(&format!("largesse-{name}")).unwrap();
        let queues = ["grants.fifo", "grants-dlq.fifo", "outbox-dlq"].map(queue);
        assert_eq!(totals.escrows, 0, "{totals:?}\n{unpaid:?}\n{queues:?}");
        totals
    }

    /// Everything that was recorded is paid, and nothing lies in a queue.
    pub(crate) fn assert_all_paid(&self) {
        let grants = money::books(&self.sandbox.world).grants;
        let unpaid = grants.iter().filter(|grant| grant.status != GrantStatus::Success);
        assert_eq!(unpaid.collect::<Vec<_>>(), [] as [&Grant; 0]);
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

    pub(crate) async fn balance(&self, name: &str) -> u64 {
        let user = user(name);
        let wallet = largesse_app::ports::Wallets::wallet(&*self.sandbox.store, &user);
        wallet.await.unwrap().balance.get()
    }

    /// A request; status and body.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let reply = self.ask(method, path, headers, body).await;
        (reply.status, reply.body)
    }

    /// A request; all of its answer.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Reply { status: parts.status.as_u16(), headers: parts.headers, text, body }
    }
}

/// A claim of `name`; the key is the caller's own.
pub(crate) fn claim_by<'a>(
    store: &'a Store,
    room: RoomId,
    spray: &Spray,
    name: &str,
) -> impl Future<Output = Result<Claimed, ClaimError>> + use<'a> {
    let key = Some(Attempt::from_bits(name.bytes().map(u64::from).sum()));
    let wish = Claim { room, token: spray.token, member: user(name), key };
    claim(store, wish)
}

/// A draw whose process ended before the record.
pub(crate) async fn drawn_but_not_recorded(rig: &Rig, spray: &Spray, name: &str) -> (Drawn, u64) {
    let at = rig.sandbox.store.now();
    let draw = Draw { member: user(name), at, attempt: Attempt::from_bits(1), ask: Ask::Next };
    let process = rig.sandbox.another_process(50);
    let won = largesse_app::ports::Pools::draw(&*process, spray.pool.id, draw).await;
    let won = won.unwrap().unwrap();
    (won.drawn, won.amount.get())
}

pub(crate) async fn refund_all(store: &Store) -> PortResult<refund::BatchReport> {
    refund::run(store, store.now().plus_ms(300_000)).await
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
