//! `Idempotency-Key`: one key, one effect, one answer.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use largesse_emulator::{Call, Fault, FaultHook, Faults, Matching};
use largesse_tests::http::{Api, Ask, Reply};
use rstest::rstest;
use serde_json::json;
use tokio::sync::Notify;

const DEPOSITS: &str = "/api/v2/wallets/ann/deposits";

fn deposit(api: &Api, key: &str, amount: u64) -> Ask {
    api.post("ann", DEPOSITS).key(key).json(json!({ "amount": amount }))
}

fn assert_replay(first: &Reply, second: &Reply) {
    assert_eq!((second.status, &second.text), (first.status, &first.text));
    assert_eq!(first.header("idempotency-replayed"), "");
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(first.header("content-type"), second.header("content-type"));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_first_answer_for_a_day_whatever_has_happened_since() {
    let api = Api::new(1);
    let first = deposit(&api, "k", 5).await.expect(201);
    deposit(&api, "other", 7).await.expect(201);
    tokio::time::advance(Duration::from_secs(86_399)).await;
    let second = deposit(&api, "k", 5).await;
    assert_replay(&first, &second);
    assert_eq!((second.number("balance"), api.balance("ann").await), (5, 12));
    tokio::time::advance(Duration::from_secs(1)).await;
    let third = deposit(&api, "k", 5).await.expect(201);
    assert_eq!((third.header("idempotency-replayed"), third.number("balance")), ("", 17));
}

#[tokio::test]
async fn every_post_replays_and_refuses_another_payload() {
    let api = Api::new(2);
    let room = api.room(&["ann", "bob"]).await;
    api.deposit("ann", 1_000).await;
    let sprays = json!({ "amount": 10, "recipients": 2 });
    let others = json!({ "amount": 11, "recipients": 2 });
    for (path, body, other) in [
        (DEPOSITS, json!({ "amount": 5 }), json!({ "amount": 5, "memo": "m" })),
        ("/api/v2/rooms", json!({ "name": "a" }), json!({ "name": "b" })),
        ("/api/v2/sprays", sprays, others),
    ] {
        let ask = |body: &serde_json::Value| api.post("ann", path).room(&room).key("k").json(body);
        let first = ask(&body).await.expect(201);
        let before = api.dump();
        assert_replay(&first, &ask(&body).await);
        assert_eq!(ask(&other).await.verdict(), (422, "ERR006"), "{path}");
        // The same in other bytes is not the same: what was signed is what counts.
        let spaced = api.post("ann", path).room(&room).key("k").json(format!("{body} "));
        assert_eq!(spaced.await.verdict(), (422, "ERR006"), "{path}");
        assert!(api.dump() == before, "{path}: a repeat changed something");
    }
}

#[tokio::test]
async fn a_refusal_is_replayed_too() {
    let api = Api::new(3);
    let room = api.room(&["ann"]).await;
    let ask = || {
        let ask = api.post("ann", "/api/v2/sprays").room(&room).key("k");
        ask.json(json!({ "amount": 10, "recipients": 1 }))
    };
    let first = ask().await.expect(409);
    assert_eq!(first.code(), "ERR501");
    api.deposit("ann", 10).await;
    assert_replay(&first, &ask().await);
}

#[tokio::test]
async fn what_was_never_valid_leaves_its_key_free() {
    let api = Api::new(4);
    deposit(&api, "k", 0).await.expect(400);
    deposit(&api, "k", 5).await.expect(201);
}

#[tokio::test]
async fn another_caller_with_the_same_key_sees_nothing_of_it() {
    let api = Api::new(5);
    let room = api.room(&["ann", "bob"]).await;
    let ask = |user: &str, name: &str| {
        api.post(user, "/api/v2/rooms").key("k").json(json!({ "name": name }))
    };
    let anns = ask("ann", "ann's").await.expect(201);
    let bobs = ask("bob", "bob's").await.expect(201);
    assert_ne!(anns.string("room_id"), bobs.string("room_id"));
    assert_eq!(bobs.header("idempotency-replayed"), "");
    // Nor does another route, nor another room.
    deposit(&api, "k", 5).await.expect(201);
    let spray = |room: &str| {
        let ask = api.post("ann", "/api/v2/sprays").room(room).key("k");
        ask.json(json!({ "amount": 2, "recipients": 1 }))
    };
    spray(&room).await.expect(201);
    assert_eq!(spray(&anns.string("room_id")).await.verdict(), (422, "ERR006"));
}

#[rstest]
#[case(DEPOSITS, r#"{"amount":5}"#)]
#[case("/api/v2/sprays", r#"{"amount":5,"recipients":1}"#)]
#[tokio::test]
async fn where_money_moves_a_key_is_needed(#[case] path: &str, #[case] body: &str) {
    let api = Api::new(6);
    let room = api.room(&["ann"]).await;
    api.deposit("ann", 5).await;
    let before = api.dump();
    let reply = api.post("ann", path).room(&room).json(body).await;
    assert_eq!(reply.verdict(), (400, "ERR001"));
    assert_eq!(reply.body["errors"][0]["field"], "Idempotency-Key");
    assert_eq!(reply.body["errors"][0]["code"], "missing");
    assert!(api.dump() == before);
}

/// Holds up the first transaction until it is let go.
#[derive(Default)]
struct Gate {
    reached: Notify,
    open: Notify,
}

impl FaultHook for Gate {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        async {
            if call.operation == "TransactWriteItems" {
                self.reached.notify_one();
                self.open.notified().await;
            }
            None
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_waits_two_seconds_for_the_first_request_and_is_then_refused() {
    let api = Api::new(7);
    let gate = Arc::new(Gate::default());
    api.sandbox.world.set_fault_hook(Some(gate.clone()));
    let running = tokio::spawn(deposit(&api, "k", 5).into_future());
    gate.reached.notified().await;
    let begun_ms = api.sandbox.world.clock().now_ms();
    let repeat = deposit(&api, "k", 5).await;
    assert_eq!(repeat.verdict(), (409, "ERR006"));
    assert_eq!(api.sandbox.world.clock().now_ms() - begun_ms, 2_000);
    assert_eq!(repeat.header("retry-after"), "1");
    assert_eq!(deposit(&api, "k", 6).await.verdict(), (422, "ERR006"));
    gate.open.notify_one();
    let first = running.await.unwrap().expect(201);
    assert_replay(&first, &deposit(&api, "k", 5).await);
    assert_eq!(api.balance("ann").await, 5);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_that_meets_the_first_request_gets_its_answer() {
    let api = Api::new(12);
    let gate = Arc::new(Gate::default());
    api.sandbox.world.set_fault_hook(Some(gate.clone()));
    let running = tokio::spawn(deposit(&api, "k", 5).into_future());
    gate.reached.notified().await;
    let repeat = tokio::spawn(deposit(&api, "k", 5).into_future());
    tokio::time::sleep(Duration::from_secs(1)).await;
    gate.open.notify_one();
    assert_replay(&running.await.unwrap().expect(201), &repeat.await.unwrap());
    assert_eq!(api.balance("ann").await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_at_once_with_one_key_move_the_money_once() {
    let api = Api::new(8);
    let asks = (0..100).map(|_| tokio::spawn(deposit(&api, "k", 5).into_future()));
    let replies: Vec<Reply> = join_all(asks).await.into_iter().map(Result::unwrap).collect();
    let first = replies.iter().find(|reply| reply.status == 201).unwrap();
    for reply in &replies {
        assert_eq!((reply.status, &reply.text), (201, &first.text));
    }
    assert_eq!(api.balance("ann").await, 5);
}

/// The member is the key of a claim: an `Idempotency-Key` is ignored.
#[rstest]
#[case(3)]
#[case(60)]
#[tokio::test]
async fn a_repeated_claim_is_told_its_amount_with_or_without_a_key(#[case] recipients: u64) {
    let api = Api::new(9);
    let room = api.room(&["ann", "bob"]).await;
    let token = api.spray(&room, "ann", 1_000, recipients).await;
    let claim = |key: &str| {
        let ask = api.post("bob", format!("/api/v2/sprays/{token}/claims")).room(&room);
        if key.is_empty() { ask } else { ask.key(key) }
    };
    let first = claim("k").await.expect(201);
    for settled in [false, true] {
        if settled {
            api.settle().await;
        }
        for key in ["k", "other", ""] {
            let refused = claim(key).await;
            assert_eq!(refused.verdict(), (409, "ERR102"));
            assert_eq!(refused.number("amount"), first.number("amount"));
            assert_eq!(refused.header("idempotency-replayed"), "");
        }
    }
    let v1 = api.post("bob", "/api/v1/receive").room(&room).json(json!({ "token": token }));
    assert_eq!(v1.await.status, 422, "v1 members are integers");
    assert_eq!(api.balance("bob").await, first.number("amount"));
    assert!(
        api.sandbox
            .world
            .database()
            .scan("largesse-edge")
            .unwrap()
            .iter()
            .all(|item| { !format!("{item:?}").contains("claims") })
    );
}

#[tokio::test]
async fn a_write_takes_no_query() {
    let api = Api::new(12);
    let body = json!({ "amount": 5 });
    let ask = |path: &str| api.post("ann", path.to_owned()).key("k").json(body.clone());
    let refused = ask("/api/v2/wallets/ann/deposits?amount=7").await;
    assert_eq!(refused.verdict(), (400, "ERR001"));
    assert_eq!(refused.body["errors"][0]["field"], "amount");
    // Nothing came of it, not even of its key.
    ask("/api/v2/wallets/ann/deposits").await.expect(201);
    assert_eq!(api.balance("ann").await, 5);
}

#[tokio::test(start_paused = true)]
async fn a_lost_creates_repeat_is_answered_though_the_sender_has_left_the_room() {
    let api = Api::new(12);
    let room = api.room(&["ann", "bob"]).await;
    api.deposit("ann", 1_000).await;
    let create = || {
        let ask = api.post("ann", "/api/v2/sprays").room(&room).key("k");
        ask.json(json!({ "amount": 10, "recipients": 2 }))
    };
    // The first two count the creation for ann and lease one of the owner's. The answer is not kept,
    // however often the SDK tries.
    let lost = Matching::operation("UpdateItem").on("largesse-edge");
    let faults = (3..=7)
        .fold(Faults::seeded(1), |plan, nth| plan.nth(nth, lost.clone(), Fault::ResetBeforeCommit));
    api.sandbox.world.set_fault_hook(Some(Arc::new(faults)));
    let first = create().await.expect(201);
    api.sandbox.world.set_fault_hook(None);
    let path = format!("/api/v2/rooms/{room}/members/ann");
    api.ask("DELETE", path).user("ann").await.expect(204);
    tokio::time::advance(Duration::from_secs(16)).await;
    let again = create().await.expect(201);
    assert_eq!(again.text, first.text);
    assert_eq!(api.balance("ann").await, 990);
}
