//! Headers that are missing, repeated, over-long or in another alphabet.

use rstest::rstest;
use serde_json::Value;

use super::Scene;

const DROP: &str = r#"{"name":"n","slots":2,"amount":5,"opens_at":"2026-01-01T00:00:00Z",
    "closes_at":"2026-01-31T09:00:00Z"}"#;
const PRODUCT: &str = r#"{"title":"t","target":5,"opens_at":"2026-01-01T00:00:00Z",
    "closes_at":"2026-01-31T09:00:00Z"}"#;
/// Every operation, with a body that is right for it, and whether it needs a room and a key.
const OPERATIONS: &[(&str, &str, &str, bool, bool)] = &[
    ("POST", "/api/v2/wallets/2/deposits", r#"{"amount":5}"#, false, true),
    ("GET", "/api/v2/wallets/2", "", false, false),
    ("GET", "/api/v2/wallets/2/transactions", "", false, false),
    ("GET", "/api/v2/wallets/2/transactions/01ARZ3NDEKTSV4RRFFQ69G5FAV", "", false, false),
    ("POST", "/api/v2/rooms", r#"{"name":"n"}"#, false, false),
    ("GET", "/api/v2/rooms/{room}", "", false, false),
    ("PUT", "/api/v2/rooms/{room}/members/3", "", false, false),
    ("DELETE", "/api/v2/rooms/{room}/members/2", "", false, false),
    ("POST", "/api/v2/sprays", r#"{"amount":5,"recipients":2}"#, true, true),
    ("POST", "/api/v2/sprays/{token}/claims", "", true, false),
    ("GET", "/api/v2/sprays/{token}", "", true, false),
    ("GET", "/api/v2/sprays", "", false, false),
    ("POST", "/api/v2/campaigns", r#"{"name":"n"}"#, false, true),
    ("PUT", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/parts/1", "x", false, false),
    ("POST", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/seal", "", false, false),
    ("POST", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/approve", "{}", false, false),
    ("POST", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/start", "{}", false, false),
    ("POST", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/stop", "{}", false, false),
    ("POST", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/retry", "", false, true),
    ("POST", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/force", "{}", false, false),
    ("POST", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/rollback", "{}", false, false),
    ("GET", "/api/v2/campaigns", "", false, false),
    ("GET", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV", "", false, false),
    ("GET", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/audit", "", false, false),
    ("GET", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/duplicates.csv", "", false, false),
    ("GET", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/failures.csv", "", false, false),
    ("GET", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/progress", "", false, false),
    ("GET", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/rows", "", false, false),
    ("GET", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/rows/kim", "", false, false),
    ("GET", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/parts", "", false, false),
    ("POST", "/api/v2/drops", DROP, false, true),
    ("GET", "/api/v2/drops", "", false, false),
    ("GET", "/api/v2/drops/01ARZ3NDEKTSV4RRFFQ69G5FAV", "", false, false),
    ("POST", "/api/v2/drops/01ARZ3NDEKTSV4RRFFQ69G5FAV/entries", "", false, false),
    ("GET", "/api/v2/drops/01ARZ3NDEKTSV4RRFFQ69G5FAV/entries/2", "", false, false),
    ("POST", "/api/v2/products", PRODUCT, false, false),
    ("GET", "/api/v2/products", "", false, false),
    ("GET", "/api/v2/products/01ARZ3NDEKTSV4RRFFQ69G5FAV", "", false, false),
    (
        "POST",
        "/api/v2/products/01ARZ3NDEKTSV4RRFFQ69G5FAV/investments",
        r#"{"amount":5}"#,
        false,
        true,
    ),
    ("GET", "/api/v2/investments", "", false, false),
    ("GET", "/api/v2/stats", "", false, false),
    ("POST", "/api/v1/spray", r#"{"total_amount":5,"recipient_count":2}"#, true, false),
    ("POST", "/api/v1/receive", r#"{"token":"{token}"}"#, true, false),
    ("GET", "/api/v1/spray/{token}", "", false, false),
    ("POST", "/api/v1/wallet/charge", r#"{"amount":5}"#, false, false),
    ("GET", "/api/v1/wallet/balance", "", false, false),
    ("GET", "/api/v1/wallet", "", false, false),
    ("GET", "/api/v1/transactions", "", false, false),
    ("GET", "/api/v1/transactions/01ARZ3NDEKTSV4RRFFQ69G5FAV", "", false, false),
    ("POST", "/api/v1/rooms", r#"{"room_name":"n"}"#, false, false),
    ("POST", "/api/v1/rooms/{room}/invite", r#"{"user_id":3}"#, false, false),
];

/// Sends an operation with these headers only.
async fn sent(
    scene: &Scene,
    (method, path, body): (&str, &str, &str),
    headers: &[(&'static str, Vec<u8>)],
) -> largesse_tests::http::Reply {
    let mut ask = scene.api.ask(method, scene.path(path));
    for (name, value) in headers {
        ask = ask.header(name, value);
    }
    let body = body.replace("{token}", &scene.token);
    if body.is_empty() { ask.await } else { ask.json(body).await }
}

/// What is no user in v2; v1 wants an integer.
fn bad_users(is_v1: bool) -> Vec<Vec<u8>> {
    let mut bad: Vec<Vec<u8>> = ["", "a b", "a,b", "2,2", "a#b", "a/b", "a.b", "*"]
        .iter()
        .map(|text| text.as_bytes().to_vec())
        .collect();
    bad.extend([vec![0xe9], "\u{ac00}".as_bytes().to_vec(), b"a\tb".to_vec()]);
    bad.extend([vec![b'9'; 65], vec![b'x'; 10_000]]);
    if is_v1 {
        let more = ["ann", "2.5", "2.", "0x2", "2e0", "- 2", "9223372036854775808", "true"];
        bad.extend(more.iter().map(|text| text.as_bytes().to_vec()));
    }
    bad
}

fn bad_rooms(is_v1: bool) -> Vec<Vec<u8>> {
    let mut bad: Vec<Vec<u8>> = vec![Vec::new(), vec![0xe9], vec![b'x'; 65], vec![b'0'; 10_000]];
    if !is_v1 {
        // To v1 these are rooms that the caller is not in.
        let more = ["lobby", "01arz3ndektsv4rrffq69g5fav", "01ARZ3NDEKTSV4RRFFQ69G5FA"];
        bad.extend(more.iter().map(|text| text.as_bytes().to_vec()));
        bad.push(b"81ARZ3NDEKTSV4RRFFQ69G5FAV".to_vec());
    }
    bad
}

fn bad_keys() -> Vec<Vec<u8>> {
    vec![Vec::new(), b"a b".to_vec(), vec![0xe9], vec![b'k'; 256], vec![b'k'; 10_000]]
}

/// Whether a path fits one of the document, whose parts in braces are anything.
fn fits(path: &str, described: &str) -> bool {
    let parts = || path.split('/').zip(described.split('/'));
    let is_same = |(part, described): (&str, &str)| part == described || described.starts_with('{');
    path.split('/').count() == described.split('/').count() && parts().all(is_same)
}

/// Keys and public routes name no member.
#[test]
fn the_operations_are_all_of_the_document_that_name_a_member() {
    let document: Value = serde_json::from_str(super::described::STORED).unwrap();
    let mut described = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if !parameters.iter().any(|parameter| parameter["name"] == "X-USER-ID") {
                continue;
            }
            let is_here = |(m, p, ..): &(&str, &str, &str, bool, bool)| {
                m.eq_ignore_ascii_case(method) && fits(p, path)
            };
            assert!(OPERATIONS.iter().any(is_here), "{method} {path}");
            described += 1;
        }
    }
    assert_eq!(described, OPERATIONS.len());
}

#[tokio::test]
async fn every_route_refuses_headers_that_are_not_as_they_should_be() {
    let scene = Scene::set().await;
    let right: [(&'static str, Vec<u8>); 3] = [
        ("x-user-id", b"2".to_vec()),
        ("x-room-id", scene.room.clone().into_bytes()),
        ("idempotency-key", b"key".to_vec()),
    ];
    for (method, path, body, needs_room, needs_key) in OPERATIONS {
        let is_v1 = path.starts_with("/api/v1/");
        let status = if is_v1 { 422 } else { 400 };
        // A claim takes no key, nor does an entry: the member is the key.
        let ends = ["/claims", "/receive", "/entries"];
        let is_claim = ends.iter().any(|end| path.ends_with(end));
        // Nor does an action on a campaign that says itself what it wants.
        let is_action = path.starts_with("/api/v2/campaigns/") && !needs_key;
        let takes_key = *method == "POST" && !is_claim && !is_action;
        let checks = [
            ("x-user-id", true, true, bad_users(is_v1)),
            ("x-room-id", *needs_room, *needs_room, bad_rooms(is_v1)),
            ("idempotency-key", takes_key, *needs_key, bad_keys()),
        ];
        for (name, is_read, is_needed, bad) in checks {
            let others = || right.iter().filter(|(other, _)| *other != name).cloned();
            let mut wrong: Vec<Vec<(&'static str, Vec<u8>)>> = Vec::new();
            if is_needed {
                wrong.push(others().collect());
            }
            if is_read {
                let value = &right.iter().find(|(other, _)| *other == name).unwrap().1;
                let twice = [(name, value.clone()), (name, value.clone())];
                wrong.push(others().chain(twice).collect());
                wrong.extend(bad.into_iter().map(|bad| others().chain([(name, bad)]).collect()));
            }
            for headers in wrong {
                let reply = sent(&scene, (method, path, body), &headers).await;
                let shown = headers.iter().map(|(n, v)| (n, v.len(), v.escape_ascii().to_string()));
                let what =
                    format!("{method} {path} {:.300}", format!("{:?}", shown.collect::<Vec<_>>()));
                scene.refused(&reply, status, "ERR001", &what);
                assert!(reply.text.to_ascii_lowercase().contains(name), "{what}: {}", reply.text);
            }
        }
    }
}

#[rstest]
#[case("+2")]
#[case(" 2 ")]
#[case("002")]
#[case("2.0")]
#[tokio::test]
async fn v1_takes_any_spelling_of_the_same_integer(#[case] user: &str) {
    let scene = Scene::set().await;
    let reply = scene.api.ask("GET", "/api/v1/wallet/balance").user(user).await.expect(200);
    assert_eq!((reply.number("user_id"), reply.number("balance")), (2, 50_000));
}
