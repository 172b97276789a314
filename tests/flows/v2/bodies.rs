//! The exact answers of every route of v2.

use std::time::Duration;

use largesse_tests::http::{Api, Reply, redacted};
use serde_json::{Value, json};

fn snapshot(name: &str, body: &Value) {
    insta::with_settings!({ sort_maps => true, prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!(format!("v2_{name}"), redacted(body));
    });
}

/// A millisecond passes, so that histories have one order.
async fn a_moment() {
    tokio::time::advance(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn every_success_has_its_exact_body() {
    let api = Api::new(1);
    let health = api.ask("GET", "/api/v2/health").await.expect(200);
    assert_eq!(
        (health.string("status").as_str(), health.body["version"].is_string()),
        ("ok", true)
    );
    let deposit = api.post("ann", "/api/v2/wallets/ann/deposits").key("1");
    let deposit = deposit.json(json!({ "amount": 1_000, "memo": "January" })).await;
    snapshot("deposit", &deposit.expect(201).body);
    a_moment().await;
    let room = api.post("ann", "/api/v2/rooms").key("2");
    let room = room.json(json!({ "name": "Lunch", "members": ["bob", "eve"] })).await.expect(201);
    snapshot("room_made", &room.body);
    let room = room.string("room_id");
    let member = format!("/api/v2/rooms/{room}/members/dan");
    for (method, changed) in [("PUT", 4), ("PUT", 4), ("DELETE", 3), ("DELETE", 3)] {
        let reply = api.ask(method, &member).user("bob").await.expect(204);
        assert_eq!((reply.text.as_str(), reply.header("content-type")), ("", ""));
        let path = format!("/api/v2/rooms/{room}");
        let members = api.get("ann", path).await.expect(200).body["members"].clone();
        assert_eq!(members.as_array().unwrap().len(), changed);
    }
    snapshot("room", &api.get("eve", format!("/api/v2/rooms/{room}")).await.expect(200).body);
    let spray = api.try_spray(&room, "ann", 1_000, 3).await.expect(201);
    snapshot("spray_made", &spray.body);
    a_moment().await;
    let token = spray.string("token");
    snapshot("claim", &api.claim(&room, "bob", &token).await.expect(201).body);
    let look = || api.get("ann", format!("/api/v2/sprays/{token}")).room(&room);
    snapshot("spray_pending", &look().await.expect(200).body);
    api.settle().await;
    snapshot("spray_open", &look().await.expect(200).body);
    snapshot("wallet", &api.get("ann", "/api/v2/wallets/ann").await.expect(200).body);
    tokio::time::advance(Duration::from_secs(600)).await;
    snapshot("spray_over", &look().await.expect(200).body);
    api.refund_due().await;
    snapshot("spray_refunded", &look().await.expect(200).body);
    snapshot("sprays", &api.get("ann", "/api/v2/sprays").await.expect(200).body);
    let list = api.get("ann", "/api/v2/wallets/ann/transactions").await.expect(200);
    snapshot("transactions", &list.body);
    let id = list.body["transactions"][1]["transaction_id"].as_str().unwrap();
    let one = api.get("ann", format!("/api/v2/wallets/ann/transactions/{id}")).await.expect(200);
    snapshot("transaction_spray", &one.body);
    let list = api.get("bob", "/api/v2/wallets/bob/transactions").await.expect(200);
    snapshot("transaction_claim", &list.body["transactions"][0]);
}

#[tokio::test(start_paused = true)]
async fn every_refusal_is_a_problem_with_all_its_members() {
    let api = Api::new(2);
    let room = api.room(&["ann", "bob", "eve"]).await;
    let token = api.spray(&room, "ann", 1, 1).await;
    api.claim(&room, "bob", &token).await.expect(201);
    let problem = |name: &str, reply: Reply| {
        assert_eq!(reply.header("content-type"), "application/problem+json");
        snapshot(&format!("problem_{name}"), &reply.body);
    };
    problem("own", api.claim(&room, "ann", &token).await);
    problem("twice", api.claim(&room, "bob", &token).await);
    problem("exhausted", api.claim(&room, "eve", &token).await);
    problem("forbidden", api.claim(&room, "dan", &token).await);
    problem("not_found", api.claim(&room, "eve", "zzz").await);
    problem("insufficient", api.try_spray(&room, "ann", 5, 1).await);
    let ask = api.post("ann", "/api/v2/sprays").room(&room).key("1");
    problem("invalid", ask.json(r#"{"amount":5,"recipients":"2"}"#).await);
    tokio::time::advance(Duration::from_secs(600)).await;
    problem("expired", api.claim(&room, "eve", &token).await);
}

#[tokio::test]
async fn every_answer_carries_the_same_headers() {
    let api = Api::new(3);
    let room = api.room(&["ann"]).await;
    let large = "x".repeat(65_537);
    let answers = [
        (200, api.ask("GET", "/api/v2/health")),
        (200, api.get("ann", "/api/v2/wallets/ann")),
        (204, api.ask("PUT", format!("/api/v2/rooms/{room}/members/bob")).user("ann")),
        (400, api.ask("GET", "/api/v2/wallets/ann")),
        (422, api.ask("GET", "/api/v1/wallet")),
        (403, api.get("ann", "/api/v2/wallets/bob")),
        (404, api.get("ann", "/nothing")),
        (404, api.get("ann", "/api/v1/nothing")),
        (405, api.ask("DELETE", "/api/v2/rooms")),
        (405, api.ask("DELETE", "/api/v1/rooms")),
        (413, api.post("ann", "/api/v2/rooms").json(&large)),
        (413, api.post("ann", "/api/v1/rooms").json(&large)),
        (415, api.post("ann", "/api/v2/rooms").raw("{}")),
    ];
    for (status, ask) in answers {
        let reply = ask.await.expect(status);
        assert_eq!(reply.header("x-request-id").len(), 26, "{status}: a ULID of ours");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{status}");
        assert_eq!(reply.header("cache-control"), "no-store", "{status}");
    }
}

#[tokio::test]
async fn a_callers_request_id_is_taken_over_where_it_is_well_formed() {
    let api = Api::new(4);
    let ask = |id: &str| api.ask("GET", "/api/v2/wallets/x").header("x-request-id", id);
    for id in ["a", "trace_1-Z", &"x".repeat(64)] {
        let reply = ask(id).await;
        assert_eq!((reply.header("x-request-id"), &reply.body["request_id"]), (id, &json!(id)));
    }
    for id in ["", "a b", "<script>", "a\u{e9}", &"x".repeat(65)] {
        let reply = ask(id).await;
        assert_ne!(reply.header("x-request-id"), id);
        assert_eq!(reply.header("x-request-id").len(), 26);
    }
}

/// A fault of the store: nobody learns what it was, and nothing is half done.
#[tokio::test(start_paused = true)]
async fn an_outage_is_503_with_a_time_to_come_back() {
    use largesse_emulator::{Fault, Faults, Matching};
    let api = Api::new(5);
    api.deposit("ann", 5).await;
    let before = api.dump_business();
    let faults = Faults::seeded(1).always(Matching::any(), Fault::Throttle);
    api.sandbox.world.set_fault_hook(Some(std::sync::Arc::new(faults)));
    let v2 = api.post("ann", "/api/v2/wallets/ann/deposits").key("1").json(r#"{"amount":5}"#);
    let v1 = api.post("7", "/api/v1/wallet/charge").json(r#"{"amount":5}"#);
    let read = api.get("ann", "/api/v2/wallets/ann");
    for ask in [v2, v1, read] {
        let reply = ask.await;
        assert_eq!(reply.verdict(), (503, "ERR008"), "{}", reply.text);
        assert_eq!(reply.header("retry-after"), "1");
        assert!(!reply.text.contains("Throttl") && !reply.text.contains("largesse-"));
    }
    api.sandbox.world.set_fault_hook(None);
    assert_eq!(api.dump_business(), before);
}
