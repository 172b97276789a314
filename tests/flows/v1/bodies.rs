//! What v1 answers when it says yes, field by field, and what it takes.

use largesse_tests::http::redacted;
use rstest::rstest;
use serde_json::{Value, json};

use super::V1;

/// A name, and the answer with ids and times left out.
fn snapshot(name: &str, body: &Value) {
    insta::with_settings!({ sort_maps => true, prepend_module_to_snapshot => false }, {
        insta::assert_json_snapshot!(format!("v1_{name}"), redacted(body));
    });
}

#[tokio::test(start_paused = true)]
async fn every_success_has_its_exact_body() {
    let v1 = V1::new(1);
    snapshot("charge", &v1.charge(1, 50_000).await.expect(200).body);
    let made = v1.api.post("1", "/api/v1/rooms").json(json!({ "room_name": "점심" })).await;
    snapshot("room", &made.expect(200).body);
    let room = v1.room(&[1, 2, 3]).await;
    let invite = v1.api.post("1", format!("/api/v1/rooms/{room}/invite"));
    snapshot("invite", &invite.json(json!({ "user_id": 4 })).await.expect(200).body);
    let spray = v1.try_spray(1, &room, 2, 2).await.expect(200);
    snapshot("spray", &spray.body);
    let token = spray.string("token");
    snapshot("look_before", &v1.look(1, &room, &token).await.expect(200).body);
    snapshot("receive", &v1.receive(2, &room, &token).await.expect(200).body);
    v1.receive(3, &room, &token).await.expect(200);
    v1.api.settle().await;
    snapshot("look", &v1.look(1, &room, &token).await.expect(200).body);
    snapshot("balance", &v1.get(2, "wallet/balance").await.expect(200).body);
    snapshot("wallet", &v1.get(1, "wallet").await.expect(200).body);
    let list = v1.get(1, "transactions").await.expect(200);
    snapshot("transactions", &list.body);
    for (name, user) in [("transaction_spray", 1), ("transaction_receive", 2)] {
        let list = v1.get(user, "transactions").await.expect(200);
        let id = list.body["transactions"][0]["id"].as_str().unwrap();
        snapshot(name, &v1.get(user, &format!("transactions/{id}")).await.expect(200).body);
    }
    let charge = list.body["transactions"][1]["id"].as_str().unwrap();
    let charge = v1.get(1, &format!("transactions/{charge}")).await.expect(200);
    snapshot("transaction_charge", &charge.body);
}

#[tokio::test(start_paused = true)]
async fn a_wallet_without_a_history_is_empty() {
    let v1 = V1::new(2);
    snapshot("wallet_empty", &v1.get(404, "wallet").await.expect(200).body);
    snapshot("balance_empty", &v1.get(404, "wallet/balance").await.expect(200).body);
    snapshot("transactions_empty", &v1.get(404, "transactions").await.expect(200).body);
}

#[tokio::test(start_paused = true)]
async fn every_refusal_has_its_exact_body() {
    let v1 = V1::new(3);
    let room = v1.room(&[1, 2, 3]).await;
    let token = v1.spray(1, &room, 1, 1).await;
    v1.receive(2, &room, &token).await.expect(200);
    snapshot("refused_twice", &v1.receive(2, &room, &token).await.expect(400).body);
    snapshot("refused_exhausted", &v1.receive(3, &room, &token).await.expect(400).body);
    snapshot("refused_own", &v1.receive(1, &room, &token).await.expect(400).body);
    snapshot("refused_token", &v1.receive(3, &room, "zzz").await.expect(400).body);
    snapshot("refused_room", &v1.receive(9, &room, &token).await.expect(403).body);
    snapshot("refused_poor", &v1.try_spray(1, &room, 5, 1).await.expect(400).body);
    let ask = v1.api.ask("POST", "/api/v1/spray").user("x");
    let reply = ask.json(r#"{"total_amount":"1.5","recipient_count":0}"#).await.expect(422);
    snapshot("refused_invalid", &reply.body);
    let reply = v1.api.post("1", "/api/v1/wallet/charge").json(r#"{"amount":5"#).await.expect(422);
    snapshot("refused_json", &reply.body);
}

#[rstest]
#[case(r#"{"total_amount":"10","recipient_count":"2"}"#)]
#[case(r#"{"total_amount":" +10 ","recipient_count":"002"}"#)]
#[case(r#"{"total_amount":10.0,"recipient_count":"2.0"}"#)]
#[case(r#"{"total_amount":"\t0010.00\n","recipient_count":2.000}"#)]
#[case(r#"{"total_amount":10,"recipient_count":2,"extra":{"deep":[1]}}"#)]
#[tokio::test(start_paused = true)]
async fn integers_may_be_texts_and_further_fields_are_ignored(#[case] body: &str) {
    let v1 = V1::new(4);
    let room = v1.room(&[1, 2]).await;
    v1.charge(1, 10).await.expect(200);
    // A body without a type has always been taken as JSON.
    v1.api.post("1", "/api/v1/spray").room(&room).raw(body).await.expect(200);
    assert_eq!(v1.get(1, "wallet/balance").await.number("balance"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_replays_the_first_answer_in_v1_too() {
    let v1 = V1::new(5);
    let charge = || v1.api.post("1", "/api/v1/wallet/charge").key("once");
    let first = charge().json(json!({ "amount": 5 })).await.expect(200);
    let second = charge().json(json!({ "amount": 5 })).await.expect(200);
    assert_eq!(
        (first.text, first.headers.get("idempotency-replayed")),
        (second.text.clone(), None)
    );
    assert_eq!(second.header("idempotency-replayed"), "true");
    let other = charge().json(json!({ "amount": 6 })).await;
    assert_eq!(other.verdict(), (422, "ERR006"));
    assert_eq!(v1.get(1, "wallet/balance").await.number("balance"), 5);
}
