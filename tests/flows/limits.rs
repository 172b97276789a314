//! Limits of callers: what is refused, with which headers, and who is not affected.

use std::time::Duration;

use largesse_emulator::Service;
use largesse_tests::http::{Api, Ask, Reply};
use rstest::rstest;
use serde_json::json;

const MISSES: &str = "TOKEN_MISSES_MEMBER_MAX";
const CREATIONS: &str = "CREATIONS_MEMBER_MAX";

fn assert_limited(reply: &Reply, policy: &str, quota: u32, wait_s: u32) {
    assert_eq!(reply.verdict(), (429, "ERR007"), "{}", reply.text);
    assert_eq!(reply.header("retry-after"), wait_s.to_string());
    assert_eq!(reply.header("ratelimit-policy"), format!("\"{policy}\";q={quota};w=60"));
    assert_eq!(reply.header("ratelimit"), format!("\"{policy}\";r=0;t={wait_s}"));
}

/// A claim under a token by one of the routes that take one.
fn guess(api: &Api, route: &str, user: &str, room: &str, token: &str) -> Ask {
    match route {
        "v1 claim" => {
            let ask = api.post(user, "/api/v1/receive").room(room);
            ask.json(json!({ "token": token }))
        }
        "v1 read" => api.get(user, format!("/api/v1/spray/{token}")),
        "v2 claim" => api.post(user, format!("/api/v2/sprays/{token}/claims")).room(room),
        _ => api.get(user, format!("/api/v2/sprays/{token}")).room(room),
    }
}

/// A token that is not this one.
fn another(token: &str) -> &'static str {
    if token == "AAA" { "AAB" } else { "AAA" }
}

#[rstest]
#[case("v1 claim", 400)]
#[case("v2 claim", 404)]
#[case("v1 read", 404)]
#[case("v2 read", 404)]
#[tokio::test(start_paused = true)]
async fn a_member_who_guesses_tokens_is_refused_until_the_window_ends(
    #[case] route: &str,
    #[case] missed: u16,
) {
    let api = Api::with_limits(1, &[(MISSES, 3)]);
    let room = api.room(&["7", "8"]).await;
    let token = api.spray(&room, "7", 100, 2).await;
    tokio::time::advance(Duration::from_millis(12_001)).await;
    for _ in 0..3 {
        let reply = guess(&api, route, "8", &room, another(&token)).await;
        assert_eq!(reply.verdict(), (missed, "ERR005"), "{}", reply.text);
    }
    // For every token from now on, by every route.
    for route in [route, "v1 claim", "v2 claim", "v1 read", "v2 read"] {
        for token in [another(&token), &token] {
            let refused = guess(&api, route, "8", &room, token).await;
            assert_limited(&refused, "token-misses-member", 3, 48);
            let kind = if route.starts_with("v1") { "detail" } else { "title" };
            assert!(refused.body.get(kind).is_some(), "{}", refused.text);
        }
    }
    // The sender is not affected.
    guess(&api, "v2 read", "7", &room, &token).await.expect(200);
    tokio::time::advance(Duration::from_millis(47_999)).await;
    api.claim(&room, "8", &token).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn a_miss_changes_nothing_but_its_budgets_and_a_refusal_nothing_at_all() {
    let api = Api::with_limits(2, &[(MISSES, 1)]);
    let room = api.room(&["ann", "bob"]).await;
    let token = api.spray(&room, "ann", 100, 2).await;
    let before = api.dump_business();
    api.claim(&room, "bob", another(&token)).await.expect(404);
    assert!(api.dump_business() == before);
    let counted = api.dump();
    api.claim(&room, "bob", &token).await.expect(429);
    assert!(api.dump() == counted);
}

#[tokio::test(start_paused = true)]
async fn a_replay_uses_no_budget() {
    let api = Api::with_limits(3, &[(CREATIONS, 2)]);
    let make = |key: &str| api.post("ann", "/api/v2/rooms").key(key).json(json!({ "name": "r" }));
    let first = make("k").await.expect(201);
    assert_eq!(first.header("ratelimit-policy"), "\"creations-member\";q=2;w=60");
    assert_eq!(first.header("ratelimit"), "\"creations-member\";r=1;t=60");
    for _ in 0..5 {
        let again = make("k").await.expect(201);
        assert_eq!((again.text.as_str(), again.header("ratelimit")), (first.text.as_str(), ""));
    }
    let second = make("l").await.expect(201);
    assert_eq!(second.header("ratelimit"), "\"creations-member\";r=0;t=60");
    assert_limited(&make("m").await, "creations-member", 2, 60);
    // What is used up bars no replay, and a refusal is not kept under its key.
    make("k").await.expect(201);
    tokio::time::advance(Duration::from_secs(60)).await;
    make("m").await.expect(201);
}

/// Each route that creates something, in both versions, as `7` in the room.
fn creations(api: &Api, room: &str) -> Vec<Ask> {
    let post = |path: &str| api.post("7", path).key(api.new_key()).room(room);
    let (opens, closes) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let spray = json!({ "amount": 2, "recipients": 2 });
    let drop = json!({
        "name": "d", "slots": 1, "amount": 1, "opens_at": opens, "closes_at": closes,
    });
    let product = json!({ "title": "p", "target": 9, "opens_at": opens, "closes_at": closes });
    let v1_spray = json!({ "total_amount": 2, "recipient_count": 2 });
    vec![
        post("/api/v2/rooms").json(json!({ "name": "r" })),
        post("/api/v2/sprays").json(spray),
        post("/api/v2/drops").json(drop),
        post("/api/v2/products").json(product),
        post("/api/v2/campaigns").json(json!({ "name": "c", "default_reason": "r" })),
        post("/api/v1/rooms").json(json!({ "room_name": "r" })),
        post("/api/v1/spray").json(v1_spray),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_creation_counts_for_the_member_and_the_owner() {
    let api = Api::with_limits(4, &[(CREATIONS, 8), ("CREATIONS_OWNER_MAX", 9)]);
    let room = api.room(&["7"]).await;
    api.deposit("7", 100).await;
    for (left, ask) in (0..7_u32).rev().zip(creations(&api, &room)) {
        let made = ask.await;
        assert!((200..300).contains(&made.status), "{}", made.text);
        assert_eq!(made.header("ratelimit"), format!("\"creations-member\";r={left};t=60"));
    }
    for ask in creations(&api, &room) {
        assert_limited(&ask.await, "creations-member", 8, 60);
    }
    // Another member has a budget, and with it the owner's is used up.
    let make = |user: &str| api.post(user, "/api/v2/rooms").json(json!({ "name": "r" }));
    make("8").await.expect(201);
    assert_limited(&make("9").await, "creations-owner", 9, 60);
    // Reads, claims and deposits create nothing.
    api.deposit("8", 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_refused_counts_and_an_invalid_one_does_not() {
    let api = Api::with_limits(5, &[(CREATIONS, 3)]);
    let room = api.room(&["ann"]).await;
    for _ in 0..5 {
        api.try_spray(&room, "ann", 0, 1).await.expect(400);
    }
    for _ in 0..2 {
        assert_eq!(api.try_spray(&room, "ann", 10, 1).await.verdict(), (409, "ERR501"));
    }
    assert_limited(&api.try_spray(&room, "ann", 10, 1).await, "creations-member", 3, 60);
}

/// With the limits of template.yaml, and as many sprays as there are tokens.
#[tokio::test(start_paused = true)]
async fn as_many_sprays_by_one_member_as_there_are_tokens_stop_no_other() {
    let limits = [("REQUESTS_MEMBER_PER_S", 50), (CREATIONS, 600), ("CREATIONS_OWNER_MAX", 6_000)];
    let api = Api::with_limits(6, &limits);
    let room = api.room(&["ann", "bob"]).await;
    api.deposit("ann", 100_000).await;
    api.deposit("bob", 100).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    let mut made = 0;
    for _ in 0..46_656 {
        let reply = api.try_spray(&room, "ann", 1, 1).await;
        match reply.status {
            201 => made += 1,
            _ => assert_eq!(reply.verdict(), (429, "ERR007"), "{}", reply.text),
        }
    }
    assert_eq!(made, 100);
    api.try_spray(&room, "bob", 100, 1).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn requests_above_the_rate_are_refused_before_anything_is_read() {
    let api = Api::with_limits(8, &[("REQUESTS_MEMBER_PER_S", 5)]);
    let get = || api.get("ann", "/api/v2/wallets/ann");
    for _ in 0..10 {
        get().await.expect(200);
    }
    let before = api.sandbox.world.recorder().operation(Service::DynamoDb, "GetItem").calls;
    let refused = get().await;
    assert_eq!(refused.verdict(), (429, "ERR007"));
    assert_eq!(refused.header("ratelimit-policy"), "\"requests-member\";q=10;w=2");
    let after = api.sandbox.world.recorder().operation(Service::DynamoDb, "GetItem").calls;
    assert_eq!(after, before);
    api.get("bob", "/api/v2/wallets/bob").await.expect(200);
    // Each function is a process of its own.
    api.deposit("ann", 1).await;
    tokio::time::advance(Duration::from_millis(200)).await;
    get().await.expect(200);
}

/// Budgets belong to members, rooms and owners. Where a request says that it comes from counts
/// nowhere.
#[tokio::test(start_paused = true)]
async fn a_forged_forwarding_header_gives_no_new_budget() {
    let api = Api::with_limits(9, &[("REQUESTS_MEMBER_PER_S", 5), (MISSES, 3), (CREATIONS, 2)]);
    let room = api.room(&["ann", "bob"]).await;
    let forged = |ask: Ask, n: u32| {
        let address = format!("203.0.113.{n}");
        let ask = ask.header("x-forwarded-for", &address).header("x-real-ip", &address);
        ask.header("forwarded", format!("for={address}")).from(&address)
    };
    let told = async |count: u32, ask: &dyn Fn() -> Ask| {
        let mut refused = Vec::new();
        for n in 0..count {
            let reply = forged(ask(), n).await;
            if reply.status == 429 {
                let policy = reply.header("ratelimit-policy").split(';').next();
                refused.push(policy.unwrap_or_default().trim_matches('"').to_owned());
            }
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        refused
    };
    let make = || api.post("ann", "/api/v2/rooms").json(json!({ "name": "r" }));
    assert_eq!(told(3, &make).await, ["creations-member"; 2], "one room was made before");
    let guess = || guess(&api, "v2 claim", "bob", &room, "AAA");
    assert_eq!(told(5, &guess).await, ["token-misses-member"; 2]);
    let read = || api.get("bob", "/api/v2/wallets/bob");
    assert_eq!(told(12, &read).await, ["requests-member"; 2]);
}
