//! From the claim to the wallet: at once, late, or never.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use largesse_app::ports::{GrantMessage, GrantQueue, Grants};
use largesse_emulator::{Call, Fault, FaultHook, Faults, Matching, Service, World};
use largesse_tests::http::Api;
use largesse_tests::{money, user};
use rstest::rstest;
use serde_json::json;

const QUEUE: &str = "largesse-grants.fifo";
const DEAD: &str = "largesse-grants-dlq.fifo";

/// Fails the ledger during the first invocations, and records when each began and ended.
struct Failing {
    world: World,
    first: usize,
    fault: Fault,
    seen: Mutex<Seen>,
}

#[derive(Clone, Default)]
struct Seen {
    begun_ms: Vec<i64>,
    ended_ms: Vec<i64>,
    /// In which invocations a payment was tried.
    tried: BTreeSet<usize>,
}

impl Failing {
    fn install(api: &Api, first: usize, fault: Fault) -> Arc<Self> {
        let (world, seen) = (api.sandbox.world.clone(), Mutex::default());
        let failing = Arc::new(Self { world, first, fault, seen });
        api.sandbox.world.set_fault_hook(Some(failing.clone()));
        failing
    }

    /// Lets everything work again; returns what was seen.
    fn end(&self) -> Seen {
        self.world.set_fault_hook(None);
        self.seen.lock().unwrap().clone()
    }
}

impl FaultHook for Failing {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        let now_ms = self.world.clock().now_ms();
        let mut seen = self.seen.lock().unwrap();
        let about = |name: &str| call.resources.iter().any(|resource| resource == name);
        match (call.service, call.operation.as_str()) {
            (Service::Lambda, "Invoke") if about(QUEUE) => seen.begun_ms.push(now_ms),
            (Service::Lambda, "Acknowledge") if about(QUEUE) => seen.ended_ms.push(now_ms),
            _ => {}
        }
        let invocation = seen.begun_ms.len();
        let is_payment = call.operation == "TransactWriteItems" && about("largesse-ledger");
        if is_payment && invocation > 0 {
            seen.tried.insert(invocation);
        }
        let fails = is_payment && (1..=self.first).contains(&invocation);
        let fault = fails.then_some(self.fault);
        async move { fault }.boxed()
    }
}

/// One spray of one share, claimed and not yet paid; returns the room and the token.
async fn claimed(api: &Api) -> (String, String) {
    let room = api.room(&["ann", "bob"]).await;
    let token = api.spray(&room, "ann", 700, 1).await;
    assert_eq!(api.claim(&room, "bob", &token).await.expect(201).number("amount"), 700);
    (room, token)
}

async fn status(api: &Api, (room, token): &(String, String)) -> String {
    let spray = api.get("ann", format!("/api/v2/sprays/{token}")).room(room).await.expect(200);
    spray.body["claims"][0]["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_claim_is_paid_and_its_sender_sees_it() {
    let api = Api::new(1);
    let spray = claimed(&api).await;
    assert_eq!((status(&api, &spray).await.as_str(), api.balance("bob").await), ("PENDING", 0));
    api.settle().await;
    assert_eq!((status(&api, &spray).await.as_str(), api.balance("bob").await), ("SUCCESS", 700));
}

/// A claim whose payment the money service refuses: the member's wallet is full.
async fn claimed_by_a_full_wallet(api: &Api) -> (String, String) {
    api.sandbox.fill_wallet("bob").await;
    claimed(api).await
}

/// The member spends, so that the wallet has room again.
async fn make_room(api: &Api) {
    let room = api.room(&["bob"]).await;
    api.try_spray(&room, "bob", 1_000, 1).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn a_refused_payment_is_retried_three_times_three_seconds_apart() {
    let api = Api::new(2);
    let spray = claimed_by_a_full_wallet(&api).await;
    let watching = Failing::install(&api, 0, Fault::Throttle);
    api.settle().await;
    assert_eq!(status(&api, &spray).await, "FAILED");
    for _ in 0..2 {
        tokio::time::advance(Duration::from_secs(3)).await;
        api.settle().await;
    }
    assert_eq!(status(&api, &spray).await, "FAILED");
    make_room(&api).await;
    api.sandbox.world.settle_with_time().await.unwrap();
    let seen = watching.end();
    assert_eq!((status(&api, &spray).await.as_str(), seen.begun_ms.len()), ("SUCCESS", 4));
    for (ended, begun) in seen.ended_ms.iter().zip(seen.begun_ms.iter().skip(1)) {
        let waited_ms = begun - ended;
        assert!((2_990..=3_010).contains(&waited_ms), "{waited_ms} ms between attempts");
    }
    assert!(api.sandbox.world.queue(DEAD).unwrap().is_empty());
    assert_eq!(api.sandbox.world.bus().put_count(), 0);
    // What is paid has no item of its failures.
    assert!(money::books(&api.sandbox.world).failed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_refused_for_good_is_given_up_published_and_kept() {
    let api = Api::new(3);
    let spray = claimed_by_a_full_wallet(&api).await;
    let watching = Failing::install(&api, 0, Fault::Throttle);
    api.sandbox.world.settle_with_time().await.unwrap();
    let seen = watching.end();
    assert_eq!(status(&api, &spray).await, "PERMANENTLY_FAILED");
    assert_eq!(seen.begun_ms.len(), 4, "one attempt and three retries");

    let events = api.sandbox.world.bus().events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].detail_type, "grant.permanently_failed");
    let detail = &events[0].detail;
    assert_eq!((&detail["member"], &detail["amount"]), (&json!("bob"), &json!(700)));
    assert_eq!(detail["attempts"], 4);
    let mut envelope = events[0].envelope();
    let example = published("grant.permanently_failed");
    // The bus makes its id of the time.
    for name in ["id", "time"] {
        envelope[name] = example[name].clone();
    }
    assert_eq!(envelope, example);

    let message = dead_letter(&api);
    assert_eq!((&message["member"], &message["grant_id"]), (&json!("bob"), &detail["grant_id"]));
    assert!(api.sandbox.world.queue(QUEUE).unwrap().is_empty());
    let (source, bob) = (message["source"].as_str().unwrap().parse().unwrap(), user("bob"));
    let failed = api.sandbox.store.failed_grant(source, &bob);
    assert_eq!(failed.await.unwrap().unwrap().attempts, 4);
}

/// G13: a busy, absent or denied ledger is no refusal.
#[rstest]
#[case(Fault::Throttle)]
#[case(Fault::AccessDenied)]
#[case(Fault::InternalError)]
#[tokio::test(start_paused = true)]
async fn a_ledger_that_does_not_work_counts_as_no_attempt(#[case] fault: Fault) {
    let api = Api::new(9);
    let spray = claimed(&api).await;
    let failing = Failing::install(&api, 40, fault);
    let mut now_ms = api.sandbox.world.clock().now_ms();
    let begun_ms = now_ms;
    while status(&api, &spray).await == "PENDING" {
        api.sandbox.world.settle_with_time().await.unwrap();
        let later_ms = api.sandbox.world.clock().now_ms();
        assert!(later_ms > now_ms, "nothing waits any more");
        now_ms = later_ms;
    }
    let seen = failing.end();
    assert_eq!((status(&api, &spray).await.as_str(), api.balance("bob").await), ("SUCCESS", 700));
    assert!(seen.tried.len() > 40, "{} invocations tried", seen.tried.len());
    // The delays grow to minutes: forty attempts take hours, not seconds.
    assert!(now_ms - begun_ms > 3 * 3_600_000, "{} ms", now_ms - begun_ms);
    assert_eq!(api.sandbox.world.bus().put_count(), 0);
    assert!(api.sandbox.world.queue(DEAD).unwrap().is_empty());
    assert!(money::books(&api.sandbox.world).failed.is_empty());
}

/// An event as it was published once. The seed decides all of it but its time, so that it is
/// published so again; `.ci/run` holds it against its schema.
fn published(detail_type: &str) -> serde_json::Value {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../events/schemas/examples");
    let example = std::fs::read(format!("{examples}/{detail_type}.json"));
    serde_json::from_slice(&example.unwrap_or_default()).unwrap_or_default()
}

/// The one message in the dead-letter queue.
fn dead_letter(api: &Api) -> serde_json::Value {
    let dead = api.sandbox.world.queue(DEAD).unwrap().messages;
    assert_eq!(dead.len(), 1, "{dead:?}");
    serde_json::from_str(&dead[0].body).unwrap()
}

/// G5: an outcome that is not known is looked up under the same id, and is no failure.
#[rstest]
#[case(Fault::ReplyLost)]
#[case(Fault::ResetBeforeCommit)]
#[tokio::test(start_paused = true)]
async fn a_payment_of_unknown_outcome_is_no_failure(#[case] fault: Fault) {
    let api = Api::new(6);
    let spray = claimed(&api).await;
    let failing = Failing::install(&api, 12, fault);
    api.sandbox.world.settle_with_time().await.unwrap();
    failing.end();
    assert_eq!((status(&api, &spray).await.as_str(), api.balance("bob").await), ("SUCCESS", 700));
    assert_eq!(api.sandbox.world.bus().put_count(), 0);
    assert!(api.sandbox.world.queue(DEAD).unwrap().is_empty());
    assert!(money::books(&api.sandbox.world).failed.is_empty());
}

/// Throttles the ledger until one payment happens, whose reply is lost; then gives so many calls
/// another fault.
struct PaidUnheard {
    calls: Mutex<u64>,
    paid_at: u64,
    later: (Fault, u64),
}

impl FaultHook for PaidUnheard {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        let is_payment = call.operation == "TransactWriteItems"
            && call.resources.iter().any(|table| table == "largesse-ledger");
        let mut calls = self.calls.lock().unwrap();
        *calls += u64::from(is_payment);
        let fault = match calls.checked_sub(self.paid_at) {
            None => Some(Fault::Throttle),
            Some(0) => Some(Fault::ReplyLost),
            Some(after) => (after <= self.later.1).then_some(self.later.0),
        };
        let fault = fault.filter(|_| is_payment);
        async move { fault }.boxed()
    }
}

/// One attempt pays, its reply is lost, and the SDK's own repeats are refused.
#[rstest]
#[case((Fault::Throttle, 20))]
#[case((Fault::TransactionInProgress, 10))]
#[tokio::test(start_paused = true)]
async fn a_payment_that_happened_unheard_is_not_given_up(
    #[case] later: (Fault, u64),
    #[values(1, 6, 16)] paid_at: u64,
) {
    let api = Api::new(8);
    let spray = claimed(&api).await;
    let calls = Mutex::new(0);
    api.sandbox.world.set_fault_hook(Some(Arc::new(PaidUnheard { calls, paid_at, later })));
    api.sandbox.world.settle_with_time().await.unwrap();
    api.sandbox.world.set_fault_hook(None);
    assert_eq!((status(&api, &spray).await.as_str(), api.balance("bob").await), ("SUCCESS", 700));
    assert_eq!(api.sandbox.world.bus().put_count(), 0);
    assert!(api.sandbox.world.queue(DEAD).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_member_behind_one_whose_payment_fails_is_paid() {
    let api = Api::new(4);
    let room = api.room(&["ann", "bob", "eve"]).await;
    let token = api.spray(&room, "ann", 1_000, 2).await;
    api.claim(&room, "bob", &token).await.expect(201);
    let failing = Failing::install(&api, 1, Fault::Throttle);
    api.settle().await;
    api.claim(&room, "eve", &token).await.expect(201);
    api.settle().await;
    assert_eq!((api.balance("bob").await, api.balance("eve").await), (0, 500));
    api.sandbox.world.settle_with_time().await.unwrap();
    assert_eq!((api.balance("bob").await, api.balance("eve").await), (500, 500));
    failing.end();
}

/// The answers of functions and of the ledger are lost, so messages and records come again.
#[tokio::test(start_paused = true)]
async fn what_is_delivered_twice_is_paid_once() {
    for (seed, lost) in [
        Matching::operation("Acknowledge").of(Service::Lambda),
        Matching::operation("TransactWriteItems").on("largesse-ledger"),
        Matching::operation("SendMessageBatch").on(QUEUE),
    ]
    .into_iter()
    .enumerate()
    {
        let api = Api::new(seed as u64);
        let spray = claimed(&api).await;
        let faults = Faults::seeded(1);
        let faults = faults.nth(1, lost.clone(), Fault::ReplyLost);
        let faults = Arc::new(faults.nth(2, lost.clone(), Fault::ReplyLost));
        api.sandbox.world.set_fault_hook(Some(faults.clone()));
        api.sandbox.world.settle_with_time().await.unwrap();
        api.sandbox.world.set_fault_hook(None);
        assert!(faults.injected() > 0, "{lost:?}");
        assert_eq!(status(&api, &spray).await, "SUCCESS", "{lost:?}");
        assert_eq!(api.balance("bob").await, 700, "{lost:?}");
        let path = "/api/v2/wallets/bob/transactions";
        let rows = api.get("bob", path).await.expect(200).body["transactions"].clone();
        assert_eq!(rows.as_array().unwrap().len(), 1, "{lost:?}");
        assert!(api.sandbox.world.queue(DEAD).unwrap().is_empty(), "{lost:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_sent_again_when_the_queue_has_forgotten_it_is_paid_once() {
    let api = Api::new(5);
    let spray = claimed(&api).await;
    api.settle().await;
    let grant = money::books(&api.sandbox.world).grants().next().unwrap();
    let again = GrantMessage::first(grant);
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(301)).await;
        let not_taken = api.sandbox.store.send(std::slice::from_ref(&again)).await.unwrap();
        assert_eq!((not_taken.len(), api.sandbox.world.queue(QUEUE).unwrap().visible), (0, 1));
        api.settle().await;
        assert!(api.sandbox.world.queue(QUEUE).unwrap().is_empty());
    }
    assert_eq!((status(&api, &spray).await.as_str(), api.balance("bob").await), ("SUCCESS", 700));
}
