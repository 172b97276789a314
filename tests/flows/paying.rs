//! From the claim to the wallet: at once, late, or never.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use largesse_app::ports::{GrantQueue, GrantRef};
use largesse_tests::http::Api;
use largesse_tests::{money, user};
use largesse_world::{Call, Fault, Faults, Interpose, Matching, Service, World};
use serde_json::json;

const QUEUE: &str = "largesse-grants.fifo";
const DEAD: &str = "largesse-grants-dlq.fifo";

/// Fails the ledger during the first payments, and notes when each began and ended.
struct Failing {
    world: World,
    first: usize,
    times_ms: Mutex<(Vec<i64>, Vec<i64>)>,
}

impl Interpose for Failing {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        let now_ms = self.world.clock().now_ms();
        let mut times = self.times_ms.lock().unwrap();
        let about = |name: &str| call.resources.iter().any(|resource| resource == name);
        match (call.service, call.operation.as_str()) {
            (Service::Lambda, "Invoke") if about(QUEUE) => times.0.push(now_ms),
            (Service::Lambda, "Acknowledge") if about(QUEUE) => times.1.push(now_ms),
            _ => {}
        }
        let is_payment = call.operation == "TransactWriteItems" && about("largesse-ledger");
        let fails = is_payment && (1..=self.first).contains(&times.0.len());
        async move { fails.then_some(Fault::InternalError) }.boxed()
    }
}

/// One spray of one share, claimed and not yet paid; returns the room and the token.
async fn claimed(api: &Api) -> (String, String) {
    let room = api.room(&["ann", "bob"]).await;
    let token = api.spray(&room, "ann", 700, 1).await;
    assert_eq!(api.claim(&room, "bob", &token).await.expect(201).number("amount"), 700);
    (room, token)
}

fn failing(api: &Api, first: usize) -> Arc<Failing> {
    let world = api.sandbox.world.clone();
    let failing = Arc::new(Failing { world, first, times_ms: Mutex::default() });
    api.sandbox.world.interpose(Some(failing.clone()));
    failing
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

#[tokio::test(start_paused = true)]
async fn a_failing_payment_is_retried_three_times_three_seconds_apart() {
    let api = Api::new(2);
    let spray = claimed(&api).await;
    let failing = failing(&api, 3);
    api.settle().await;
    assert_eq!((status(&api, &spray).await.as_str(), api.balance("bob").await), ("FAILED", 0));
    api.sandbox.world.settle_with_time().await.unwrap();
    api.sandbox.world.interpose(None);
    assert_eq!((status(&api, &spray).await.as_str(), api.balance("bob").await), ("SUCCESS", 700));
    let (begun, ended) = failing.times_ms.lock().unwrap().clone();
    assert_eq!(begun.len(), 4, "one try and three retries");
    for (ended, begun) in ended.iter().zip(begun.iter().skip(1)) {
        let waited_ms = begun - ended;
        assert!((2_990..=3_010).contains(&waited_ms), "{waited_ms} ms between tries");
    }
    assert!(api.sandbox.world.queue(DEAD).unwrap().is_empty());
    assert_eq!(api.sandbox.world.bus().put_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_fails_for_ever_is_given_up_told_and_kept() {
    let api = Api::new(3);
    let spray = claimed(&api).await;
    let failing = failing(&api, usize::MAX);
    api.sandbox.world.settle_with_time().await.unwrap();
    api.sandbox.world.interpose(None);
    assert_eq!(status(&api, &spray).await, "PERMANENTLY_FAILED");
    assert_eq!(api.balance("bob").await, 0);
    let tries = failing.times_ms.lock().unwrap().0.len();
    assert_eq!(tries, 4, "one try and three retries");

    let events = api.sandbox.world.bus().events();
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0].detail_type, "grant.permanently_failed");
    let detail = &events[0].detail;
    assert_eq!((&detail["member"], &detail["amount"]), (&json!("bob"), &json!(700)));
    assert_eq!(detail["attempts"], 4);

    let dead = api.sandbox.world.queue(DEAD).unwrap().messages;
    assert_eq!(dead.len(), 1, "{dead:?}");
    let message: serde_json::Value = serde_json::from_str(&dead[0].body).unwrap();
    assert_eq!((&message["member"], &message["grant_id"]), (&json!("bob"), &detail["grant_id"]));
    assert!(api.sandbox.world.queue(QUEUE).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_member_behind_one_who_cannot_be_paid_is_paid() {
    let api = Api::new(4);
    let room = api.room(&["ann", "bob", "eve"]).await;
    let token = api.spray(&room, "ann", 1_000, 2).await;
    api.claim(&room, "bob", &token).await.expect(201);
    let failing = failing(&api, 1);
    api.settle().await;
    api.claim(&room, "eve", &token).await.expect(201);
    api.settle().await;
    assert_eq!((api.balance("bob").await, api.balance("eve").await), (0, 500));
    api.sandbox.world.settle_with_time().await.unwrap();
    assert_eq!((api.balance("bob").await, api.balance("eve").await), (500, 500));
    drop(failing);
    api.sandbox.world.interpose(None);
}

/// The answers of functions and of the ledger are lost, so messages and records come again.
#[tokio::test(start_paused = true)]
async fn what_is_delivered_twice_is_paid_once() {
    for (seed, lost) in [
        Matching::operation("Acknowledge").of(Service::Lambda),
        Matching::operation("TransactWriteItems").on("largesse-ledger"),
        Matching::operation("UpdateItem").on("largesse-grants"),
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
        api.sandbox.world.interpose(Some(faults.clone()));
        api.sandbox.world.settle_with_time().await.unwrap();
        api.sandbox.world.interpose(None);
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
    let grants = money::books(&api.sandbox.world).grants;
    let again = GrantRef { pool: grants[0].pool, member: user("bob"), id: grants[0].id };
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(301)).await;
        let not_taken = api.sandbox.store.send(std::slice::from_ref(&again)).await.unwrap();
        assert_eq!((not_taken.len(), api.sandbox.world.queue(QUEUE).unwrap().visible), (0, 1));
        api.settle().await;
        assert!(api.sandbox.world.queue(QUEUE).unwrap().is_empty());
    }
    assert_eq!((status(&api, &spray).await.as_str(), api.balance("bob").await), ("SUCCESS", 700));
}
