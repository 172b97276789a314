//! Keys over HTTP: made, listed, rotated, revoked.

use std::time::Duration;

use largesse_tests::http::{Api, Reply};
use largesse_tests::signed::Holder;
use rstest::rstest;
use serde_json::{Value, json};

use super::{ALL, MASTER};

async fn make(api: &Api, operator: &Holder, wish: Value) -> Reply {
    api.sign(operator, api.ask("POST", "/api/v2/keys").json(wish)).await
}

fn states(list: &Reply) -> Vec<&str> {
    let keys = list.body["keys"].as_array().unwrap();
    keys.iter().map(|key| key["state"].as_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_key_is_shown_once_and_listed_without_its_text() {
    let api = Api::signed(11, MASTER);
    let operator = api.holder(MASTER, "ops", "operate").await;
    let wish = json!({
        "owner": "chat", "scopes": ["read", "spray"], "ips": ["203.0.113.7"],
        "expires_at": "2026-02-01T00:00:00Z",
    });
    let made = make(&api, &operator, wish).await.expect(201);
    let holder = Holder::of(&made);
    assert!(holder.key.starts_with(&format!("lgs_{}", holder.id)));
    assert_eq!(made.body["scopes"], json!(["spray", "read"]));
    assert_eq!(made.body["ips"], json!(["203.0.113.7/32"]));
    let ask = api.sign(&holder, api.get("ann", "/api/v2/wallets/ann"));
    ask.from("203.0.113.7").await.expect(200);
    let ask = api.ask("GET", "/api/v2/keys?owner=chat");
    let list = api.sign(&operator, ask).await.expect(200);
    assert_eq!(states(&list), ["live"]);
    let key = &list.body["keys"][0];
    assert_eq!((&key["key_id"], &key["owner"]), (&json!(holder.id), &json!("chat")));
    assert_eq!(key["last_used_at"], "2026-01-01T00:00:00.000Z");
    assert!(!list.text.contains(&holder.key) && !list.text.contains(&holder.secret));
    // Without an owner, those of the caller.
    let list = api.sign(&operator, api.ask("GET", "/api/v2/keys")).await.expect(200);
    assert_eq!(list.body["keys"][0]["key_id"], json!(operator.id));
}

#[tokio::test(start_paused = true)]
async fn a_key_is_refused_from_the_moment_at_which_it_expires() {
    let api = Api::signed(12, MASTER);
    let operator = api.holder(MASTER, "ops", "operate").await;
    let wish = json!({ "owner": "chat", "scopes": ["read"], "expires_at": "2026-01-01T00:00:10Z" });
    let holder = Holder::of(&make(&api, &operator, wish).await.expect(201));
    let ask = || api.sign(&holder, api.get("ann", "/api/v2/wallets/ann"));
    tokio::time::advance(Duration::from_millis(9_999)).await;
    ask().await.expect(200);
    tokio::time::advance(Duration::from_millis(1)).await;
    let reply = ask().await;
    assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("key")));
}

#[rstest]
#[case(json!({ "owner": "a b", "scopes": ["read"] }), "owner")]
#[case(json!({ "owner": "chat", "scopes": [] }), "scopes")]
#[case(json!({ "owner": "chat", "scopes": ["all"] }), "scopes")]
#[case(json!({ "owner": "chat", "scopes": ["read"], "ips": ["here"] }), "ips")]
#[case(json!({ "owner": "chat", "scopes": ["read"], "expires_at": "soon" }), "expires_at")]
#[case(json!({ "owner": "chat", "scopes": ["read"], "expires_at": "2025-12-31T00:00:00Z" }), "expires_at")]
#[case(json!({ "owner": "chat", "scopes": ["read"], "more": 1 }), "more")]
#[case(json!({ "scopes": ["read"] }), "owner")]
#[tokio::test]
async fn a_wish_outside_its_limits_is_named_and_makes_no_key(
    #[case] wish: Value,
    #[case] field: &str,
) {
    let api = Api::signed(13, MASTER);
    let operator = api.holder(MASTER, "ops", "operate").await;
    let reply = make(&api, &operator, wish).await;
    assert_eq!(reply.verdict(), (400, "ERR001"), "{}", reply.text);
    assert_eq!(reply.body["errors"][0]["field"], field);
    let list = api.sign(&operator, api.ask("GET", "/api/v2/keys?owner=chat")).await.expect(200);
    assert!(states(&list).is_empty());
}

#[tokio::test]
async fn an_owner_has_at_most_twenty_live_keys_and_a_revoked_one_makes_room() {
    let api = Api::signed(14, MASTER);
    let operator = api.holder(MASTER, "ops", "operate").await;
    let wish = || json!({ "owner": "chat", "scopes": ["read"] });
    let mut made = Vec::new();
    for _ in 0..20 {
        made.push(Holder::of(&make(&api, &operator, wish()).await.expect(201)));
    }
    assert_eq!(make(&api, &operator, wish()).await.verdict(), (409, "ERR601"));
    let path = format!("/api/v2/keys/{}/rotate", made[3].id);
    let reply = api.sign(&operator, api.ask("POST", path)).await;
    assert_eq!(reply.verdict(), (409, "ERR601"));
    let path = format!("/api/v2/keys/{}", made[3].id);
    for _ in 0..2 {
        api.sign(&operator, api.ask("DELETE", &path)).await.expect(204);
    }
    make(&api, &operator, wish()).await.expect(201);
    assert_eq!(make(&api, &operator, wish()).await.verdict(), (409, "ERR601"));
    // The key that made room is forgotten by the list, and still refused.
    let list = api.sign(&operator, api.ask("GET", "/api/v2/keys?owner=chat")).await.expect(200);
    assert_eq!(states(&list), ["live"; 20]);
    let reply = api.sign(&made[3], api.get("ann", "/api/v2/wallets/ann")).await;
    assert_eq!(reply.body["reason"], "key");
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_made_and_rotated_count_as_creations_of_the_callers_owner() {
    let api = Api::signed_with_limits(16, MASTER, &[("CREATIONS_OWNER_MAX", 3)]);
    let operator = api.holder(MASTER, "ops", "operate").await;
    let wish = |owner: &str| json!({ "owner": owner, "scopes": ["read"] });
    // An invalid one counts nothing.
    make(&api, &operator, json!({ "owner": "a b", "scopes": ["read"] })).await.expect(400);
    let made = make(&api, &operator, wish("chat")).await.expect(201);
    make(&api, &operator, wish("shop")).await.expect(201);
    let path = format!("/api/v2/keys/{}/rotate", made.string("key_id"));
    api.sign(&operator, api.ask("POST", &path)).await.expect(201);
    for refused in [
        make(&api, &operator, wish("chat")).await,
        api.sign(&operator, api.ask("POST", &path)).await,
    ] {
        assert_eq!(refused.verdict(), (429, "ERR007"), "{}", refused.text);
        assert_eq!(refused.header("retry-after"), "60");
        assert_eq!(refused.header("ratelimit-policy"), "\"creations-owner\";q=3;w=60");
    }
    let list = api.sign(&operator, api.ask("GET", "/api/v2/keys?owner=chat")).await.expect(200);
    assert_eq!(states(&list), ["live", "live"]);
    // Another owner has a budget of its own, and so has the next minute.
    let other = api.holder(MASTER, "others", "operate").await;
    make(&api, &other, wish("chat")).await.expect(201);
    tokio::time::advance(Duration::from_secs(60)).await;
    make(&api, &operator, wish("chat")).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_refused_by_every_process_within_a_minute() {
    let api = Api::signed(15, MASTER);
    let operator = api.holder(MASTER, "ops", ALL).await;
    let holder = api.holder(MASTER, "chat", ALL).await;
    let processes: Vec<_> = (0..5).map(|n| api.process(150 + n, MASTER)).collect();
    let ask = |process: usize| {
        let ask = Api::ask_of(&processes[process], "GET", "/api/v2/wallets/ann").user("ann");
        api.sign(&holder, ask)
    };
    for process in 0..5 {
        ask(process).await.expect(200);
    }
    let path = format!("/api/v2/keys/{}", holder.id);
    api.sign(&operator, Api::ask_of(&processes[0], "DELETE", path)).await.expect(204);
    // The process that revoked it knows at once.
    assert_eq!(ask(0).await.body["reason"], "key");
    tokio::time::advance(Duration::from_secs(60)).await;
    for process in 0..5 {
        let reply = ask(process).await;
        assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("key")));
    }
}

#[tokio::test]
async fn keys_that_are_not_there_or_dead_are_refused() {
    let api = Api::signed(16, MASTER);
    let operator = api.holder(MASTER, "ops", "operate").await;
    for id in ["01K9Z3NDEKTSV4RRFFQ69G5FAV", "x"] {
        let rotate = api.ask("POST", format!("/api/v2/keys/{id}/rotate"));
        assert_eq!(api.sign(&operator, rotate).await.verdict(), (404, "ERR005"));
        let revoke = api.ask("DELETE", format!("/api/v2/keys/{id}"));
        assert_eq!(api.sign(&operator, revoke).await.verdict(), (404, "ERR005"));
    }
    let holder = api.holder(MASTER, "chat", "read").await;
    let revoke = api.ask("DELETE", format!("/api/v2/keys/{}", holder.id));
    api.sign(&operator, revoke).await.expect(204);
    let rotate = api.ask("POST", format!("/api/v2/keys/{}/rotate", holder.id));
    assert_eq!(api.sign(&operator, rotate).await.verdict(), (409, "ERR602"));
    for overlap in [json!(604_801), json!(-1), json!("1")] {
        let rotate = api.ask("POST", format!("/api/v2/keys/{}/rotate", operator.id));
        let rotate = rotate.json(json!({ "overlap_s": overlap }));
        assert_eq!(api.sign(&operator, rotate).await.verdict(), (400, "ERR001"));
    }
}

/// Without authentication no caller is known, so no caller keeps keys.
#[tokio::test]
async fn with_open_authentication_no_caller_keeps_keys() {
    let api = Api::new(17);
    let wish = json!({ "owner": "chat", "scopes": ["operate"] });
    let asks = [
        api.post("ann", "/api/v2/keys").json(wish),
        api.get("ann", "/api/v2/keys"),
        api.post("ann", "/api/v2/keys/01K9Z3NDEKTSV4RRFFQ69G5FAV/rotate"),
        api.ask("DELETE", "/api/v2/keys/01K9Z3NDEKTSV4RRFFQ69G5FAV").user("ann"),
    ];
    for ask in asks {
        assert_eq!(ask.await.verdict(), (403, "ERR004"));
    }
    assert!(api.dump()["largesse-edge"].is_empty());
}
