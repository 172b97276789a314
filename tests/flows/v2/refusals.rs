//! Who is refused after all was well-formed: each with its code, and no business changed.

use std::time::Duration;

use largesse_domain::money::BALANCE_MAX;
use largesse_tests::http::{Api, Reply};
use serde_json::{Value, json};

const NOWHERE: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

#[tokio::test(start_paused = true)]
async fn a_refused_request_changes_nothing_but_what_is_remembered_of_it() {
    for recipients in [2, 60] {
        let api = Api::new(recipients);
        let room = api.room(&["ann", "bob", "eve", "dan"]).await;
        let other = api.room(&["ann", "bob", "eve", "dan"]).await;
        let token = api.spray(&room, "ann", 60, recipients).await;
        let full = api.spray(&room, "ann", 2, 1).await;
        api.claim(&room, "bob", &token).await.expect(201);
        api.claim(&room, "bob", &full).await.expect(201);
        api.settle().await;
        api.deposit("bob", 5).await;
        api.deposit("dan", 5).await;
        api.sandbox.overwrite_balance("dan", BALANCE_MAX).await;
        let before = api.dump_business();
        let same = |reply: Reply, status: u16, code: &str| {
            assert_eq!(reply.verdict(), (status, code), "{}", reply.text);
            assert!(api.dump_business() == before, "{code}: something changed");
        };
        same(api.claim(&room, "mob", &token).await, 403, "ERR004");
        same(api.claim(NOWHERE, "bob", &token).await, 403, "ERR004");
        same(api.claim(&other, "eve", &token).await, 404, "ERR005");
        same(api.claim(&room, "eve", "zzz").await, 404, "ERR005");
        same(api.claim(&room, "mob", "zzz").await, 403, "ERR004");
        same(api.claim(&room, "ann", &token).await, 403, "ERR101");
        same(api.claim(&room, "bob", &token).await, 409, "ERR102");
        same(api.claim(&room, "eve", &full).await, 409, "ERR103");
        let claims = format!("/api/v2/sprays/{token}/claims?limit=1");
        same(api.post("eve", claims).room(&room).await, 400, "ERR001");
        for method in ["PUT", "DELETE"] {
            let member = format!("/api/v2/rooms/{room}/members/eve?force=1");
            same(api.ask(method, member).user("ann").await, 400, "ERR001");
        }
        same(api.try_spray(&room, "bob", 1_000, 2).await, 409, "ERR501");
        same(api.try_spray(&room, "mob", 1, 1).await, 403, "ERR004");
        same(api.try_spray(NOWHERE, "bob", 1, 1).await, 403, "ERR004");
        let ask = api.post("dan", "/api/v2/wallets/dan/deposits").key("full");
        same(ask.json(json!({ "amount": 1 })).await, 409, "ERR502");
        let ask = api.post("eve", "/api/v2/wallets/bob/deposits").key("theirs");
        same(ask.json(json!({ "amount": 1 })).await, 403, "ERR004");
        for method in ["PUT", "DELETE"] {
            let path = format!("/api/v2/rooms/{room}/members/bob");
            same(api.ask(method, path).user("mob").await, 403, "ERR004");
            let path = format!("/api/v2/rooms/{NOWHERE}/members/bob");
            same(api.ask(method, path).user("bob").await, 403, "ERR004");
        }
        tokio::time::advance(Duration::from_secs(600)).await;
        same(api.claim(&room, "eve", &token).await, 410, "ERR104");
        same(api.claim(&room, "bob", &token).await, 410, "ERR104");
        api.sandbox.overwrite_balance("dan", 5).await;
    }
}

#[tokio::test]
async fn what_is_anothers_is_not_shown() {
    let api = Api::new(1);
    let room = api.room(&["ann", "bob"]).await;
    let made = api.deposit("ann", 60).await;
    let spray = api.try_spray(&room, "ann", 60, 2).await.expect(201);
    let (id, token) = (spray.string("spray_id"), spray.string("token"));
    let transaction = made.string("transaction_id");
    let get = |user: &str, path: String| api.get(user, path).room(&room).into_future();
    for (user, path, verdict) in [
        ("bob", "/api/v2/wallets/ann".to_owned(), (403, "ERR004")),
        ("bob", "/api/v2/wallets/ann/transactions".to_owned(), (403, "ERR004")),
        ("bob", format!("/api/v2/wallets/ann/transactions/{transaction}"), (403, "ERR004")),
        ("bob", format!("/api/v2/wallets/bob/transactions/{transaction}"), (404, "ERR005")),
        ("bob", format!("/api/v1/transactions/{transaction}"), (422, "ERR001")),
        ("mob", format!("/api/v2/rooms/{room}"), (403, "ERR004")),
        ("ann", format!("/api/v2/rooms/{NOWHERE}"), (403, "ERR004")),
        ("bob", format!("/api/v2/sprays/{id}"), (404, "ERR005")),
        ("bob", format!("/api/v2/sprays/{NOWHERE}"), (404, "ERR005")),
        ("bob", format!("/api/v2/sprays/{token}"), (403, "ERR004")),
        ("mob", format!("/api/v2/sprays/{token}"), (404, "ERR005")),
        ("ann", format!("/api/v2/sprays/{token}"), (200, "")),
        ("ann", format!("/api/v2/sprays/{id}"), (200, "")),
    ] {
        let reply = get(user, path.clone()).await;
        assert_eq!(reply.verdict(), verdict, "{user} {path}: {}", reply.text);
    }
    let bobs = api.get("bob", "/api/v2/sprays").await.expect(200).body;
    assert_eq!(bobs["sprays"], json!([]));
}

/// A user who is not in the room cannot tell a live token from an expired one or from none.
#[tokio::test(start_paused = true)]
async fn a_token_tells_an_outsider_nothing() {
    let api = Api::new(2);
    let room = api.room(&["ann", "bob"]).await;
    let live = api.spray(&room, "ann", 60, 2).await;
    let none = if live == "ZZZ" { "ZZY" } else { "ZZZ" };
    let told = |reply: Reply| {
        let mut body = reply.body;
        body["request_id"] = Value::Null;
        (reply.status, body)
    };
    for at_once in [true, false] {
        if !at_once {
            tokio::time::advance(Duration::from_secs(600)).await;
            api.refund_due().await;
        }
        let claims = told(api.claim(&room, "mob", &live).await);
        assert_eq!(claims, told(api.claim(&room, "mob", none).await));
        let look = |token: &str| api.get("mob", format!("/api/v2/sprays/{token}")).room(&room);
        assert_eq!(told(look(&live).await), told(look(none).await));
    }
}

#[tokio::test(start_paused = true)]
async fn by_its_token_a_spray_is_shown_for_seven_days_and_by_its_id_for_ever() {
    let api = Api::new(3);
    let room = api.room(&["ann", "bob"]).await;
    api.deposit("ann", 60).await;
    let spray = api.try_spray(&room, "ann", 60, 2).await.expect(201);
    let by = |name: &str| {
        let path = format!("/api/v2/sprays/{}", spray.string(name));
        api.get("ann", path).room(&room).into_future()
    };
    tokio::time::advance(Duration::from_secs(604_800 - 1)).await;
    by("token").await.expect(200);
    tokio::time::advance(Duration::from_secs(1)).await;
    let old = by("token").await;
    assert_eq!(old.verdict(), (410, "ERR104"));
    assert_eq!(old.body["token_status"], -2);
    tokio::time::advance(Duration::from_secs(365 * 86_400)).await;
    api.refund_due().await;
    let spray = by("spray_id").await.expect(200);
    assert_eq!(
        (&spray.body["status"], &spray.body["refund"]["amount"]),
        (&json!("refunded"), &json!(60))
    );
}
