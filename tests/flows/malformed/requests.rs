//! Wrong methods, types, versions, sizes, paths and queries.

use rstest::rstest;
use serde_json::Value;

use super::Scene;

#[tokio::test]
async fn a_wrong_method_is_refused_at_every_route() {
    let scene = Scene::set().await;
    let description = scene.api.ask("GET", "/api/openapi.json").await.expect(200).body;
    for (path, item) in description["paths"].as_object().unwrap() {
        let path = path.replace("{user}", "2").replace("{id}", "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        let path = path.replace("{room_id}", &scene.room);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"] {
            if item.get(method.to_ascii_lowercase()).is_some() {
                continue;
            }
            let reply = scene.ask(method, &path).json("{}").await;
            assert_eq!(reply.verdict(), (405, "ERR001"), "{method} {path}: {}", reply.text);
            let allowed = reply.header("allow");
            for (allows, _) in item.as_object().unwrap() {
                assert!(allowed.contains(&allows.to_uppercase()), "{method} {path}: {allowed}");
            }
            scene.refused(&reply, 405, "ERR001", &format!("{method} {path}"));
        }
    }
}

#[rstest]
#[case(&[])]
#[case(&["text/plain"])]
#[case(&["application/jsonl"])]
#[case(&["application/problem+json"])]
#[case(&["application/x-www-form-urlencoded"])]
#[case(&["multipart/form-data; boundary=application/json"])]
#[case(&["*/*"])]
#[case(&["application/json", "application/json"])]
#[case(&["text/plain, application/json"])]
#[tokio::test]
async fn v2_takes_bodies_that_are_declared_as_json_only(#[case] kinds: &[&str]) {
    let scene = Scene::set().await;
    for (path, body) in [
        ("/api/v2/wallets/2/deposits", r#"{"amount":5}"#),
        ("/api/v2/rooms", r#"{"name":"n"}"#),
        ("/api/v2/sprays", r#"{"amount":5,"recipients":2}"#),
        ("/api/v2/campaigns", r#"{"name":"n"}"#),
    ] {
        let mut ask = scene.ask("POST", path).raw(body);
        for kind in kinds {
            ask = ask.header("content-type", kind);
        }
        scene.refused(&ask.await, 415, "ERR001", &format!("{path} {kinds:?}"));
    }
}

#[rstest]
#[case("/api")]
#[case("/api/")]
#[case("/api/v0/rooms")]
#[case("/api/v3/rooms")]
#[case("/api/v11/rooms")]
#[case("/api/V2/rooms")]
#[case("/v2/rooms")]
#[case("/api/v2")]
#[case("/api/v2/")]
#[case("/api/v2/rooms/")]
#[case("/api/v2//rooms")]
#[case("/api/v2/Rooms")]
#[case("/api/v1/rooms/")]
#[case("/api/v2/../v2/rooms")]
#[case("/api/v2/%2e%2e/v2/rooms")]
#[case("/api/v2/rooms%00")]
#[case("/api/v2/rooms;x=1")]
#[case("/api/v2/nothing")]
#[tokio::test]
async fn what_is_no_route_is_not_found(#[case] path: &str) {
    let scene = Scene::set().await;
    for method in ["GET", "POST"] {
        let reply = scene.ask(method, path).json(r#"{"name":"n"}"#).await;
        scene.refused(&reply, 404, "ERR005", &format!("{method} {path}"));
    }
}

#[tokio::test]
async fn a_body_above_64_kib_is_refused_at_every_route() {
    let scene = Scene::set().await;
    let description = scene.api.ask("GET", "/api/openapi.json").await.expect(200).body;
    let large = |len: usize| format!("{}{{\"amount\":5}}", " ".repeat(len));
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if ["/", "/api/v2/health", "/api/openapi.json", "/docs"].contains(&path.as_str()) {
                continue;
            }
            let path = path.replace("{user}", "2").replace("{id}", "01ARZ3NDEKTSV4RRFFQ69G5FAV");
            let path = path.replace("{room_id}", &scene.room);
            let method = method.to_uppercase();
            // A part of a campaign may be larger.
            let len = if path.contains("/parts/") { 6_291_456 } else { 65_536 };
            let reply = scene.ask(&method, &path).json(large(len)).await;
            scene.refused(&reply, 413, "ERR001", &format!("{method} {path}"));
        }
    }
}

/// A name that cannot be is one that does not exist; or, in a wallet's place, a room's, another's.
#[rstest]
#[case("GET", "/api/v2/wallets/%00", 404)]
#[case("GET", "/api/v2/wallets/%FF", 404)]
#[case("GET", "/api/v2/wallets/a%2Fb", 404)]
#[case("GET", "/api/v2/wallets/%EA%B0%80/transactions", 404)]
#[case("POST", "/api/v2/wallets/a%20b/deposits", 404)]
#[case("GET", "/api/v2/wallets/2/transactions/none", 404)]
#[case("GET", "/api/v2/wallets/2/transactions/01ARZ3NDEKTSV4RRFFQ69G5FAU", 404)]
#[case("GET", "/api/v2/rooms/lobby", 404)]
#[case("PUT", "/api/v2/rooms/lobby/members/3", 404)]
#[case("PUT", "/api/v2/rooms/{room}/members/a%20b", 404)]
#[case("PUT", "/api/v2/rooms/{room}/members/%00", 404)]
#[case("DELETE", "/api/v2/rooms/{room}/members/%F0%9F%92%B8", 404)]
#[case("GET", "/api/v2/sprays/%FF%FE%FD", 404)]
#[case("GET", "/api/v2/sprays/01ARZ3NDEKTSV4RRFFQ69G5FAv", 404)]
#[case("POST", "/api/v2/sprays/abc/claims", 404)]
#[case("GET", "/api/v2/campaigns/none", 404)]
#[case("GET", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAv/audit", 404)]
#[case("GET", "/api/v2/campaigns/%FF/duplicates.csv", 404)]
#[case("POST", "/api/v2/campaigns/none/seal", 404)]
#[case("PUT", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/parts/0", 404)]
#[case("PUT", "/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/parts/%31x", 404)]
#[case("GET", "/api/v1/spray/%FF%FE%FD", 404)]
#[case("GET", "/api/v1/transactions/%00", 404)]
#[case("GET", "/api/v1/transactions/1", 404)]
#[tokio::test]
async fn a_malformed_name_is_not_found(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
) {
    let scene = Scene::set().await;
    let reply = scene.ask(method, path).json(r#"{"amount":5}"#).await;
    scene.refused(&reply, status, "ERR005", &format!("{method} {path}"));
}

#[rstest]
#[case("/api/v2/wallets/2/transactions", &[
    "limit=0", "limit=101", "limit=-1", "limit=1.0", "limit=1e1", "limit=", "limit=%00", "limit=+1",
    "limit=99999999999999999999", "limit=1&limit=1", "page=1", "LIMIT=1", "=", "type=", "type=CLAIM",
    "type=gift", "type=claim&type=claim", "from=", "from=yesterday", "from=2026-02-30T00:00:00Z",
    "from=2026-1-01", "from=2026-02-30", "from=1e9", "from=%ED%A0%80", "to=9999-12-31T23:59:59Z", "to=-1",
    "from=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z",
])]
#[case("/api/v2/sprays", &["limit=0", "limit=x", "limit=1&limit=2", "type=spray", "status=open"])]
#[case("/api/v2/rooms/{room}", &["limit=0", "limit=1001", "after=1"])]
#[case("/api/v2/wallets/2", &["x=1", "limit=1"])]
#[case("/api/v2/campaigns", &["limit=0", "limit=101", "state=DRAFT", "cursor=x"])]
#[case("/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV", &["x=1", "limit=1"])]
#[case("/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/audit", &["limit=0", "after=1", "cursor=x"])]
#[case("/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/duplicates.csv", &["limit=0", "limit=3001"])]
#[case("/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/failures.csv", &["limit=0", "cursor=x"])]
#[case("/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/progress", &["from=x", "limit=1"])]
#[case("/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/rows", &["status=failed", "limit=101"])]
#[case("/api/v2/sprays/{token}", &["cursor=1"])]
#[tokio::test]
async fn v2_refuses_queries_that_it_does_not_know(#[case] path: &str, #[case] queries: &[&str]) {
    let scene = Scene::set().await;
    for query in queries {
        let reply = scene.ask("GET", &format!("{path}?{query}")).await;
        scene.refused(&reply, 400, "ERR001", &format!("{path}?{query}"));
        assert!(reply.body["errors"][0]["field"].is_string(), "{}", reply.text);
    }
}

#[rstest]
#[case("/api/v1/wallet")]
#[case("/api/v1/transactions")]
#[tokio::test]
async fn v1_answers_422_to_a_malformed_query(#[case] path: &str) {
    let scene = Scene::set().await;
    for query in [
        "page=0",
        "page=-1",
        "page=x",
        "page=1.5",
        "page=",
        "page=99999999999999999999",
        "page=1e3",
        "per_page=0",
        "per_page=101",
        "per_page=ten",
        "type=charge",
        "type=GIFT",
        "type=",
        "start_date=yesterday",
        "start_date=2026-02-30",
        "start_date=",
        "end_date=2026-1-1",
        "end_date=%00",
        "start_date=2026-01-01T25:00:00",
    ] {
        let reply = scene.ask("GET", &format!("{path}?{query}")).await;
        scene.refused(&reply, 422, "ERR001", &format!("{path}?{query}"));
        let issue = &reply.body["detail"][0];
        assert_eq!(issue["loc"][0], "query", "{issue}");
        assert_eq!(issue["loc"][1], query.split('=').next().unwrap(), "{issue}");
    }
    let all = "page=0&per_page=0&type=x&start_date=x&end_date=x";
    let reply = scene.ask("GET", &format!("{path}?{all}")).await;
    assert_eq!(reply.body["detail"].as_array().map(Vec::len), Some(5), "{}", reply.text);
    assert_ne!(reply.body["detail"], Value::Null);
}

/// In a query, a bare `+` is a blank.
#[rstest]
#[case("/api/v1/wallet", "start_date", 422)]
#[case("/api/v1/transactions", "end_date", 422)]
#[case("/api/v2/wallets/2/transactions", "from", 400)]
#[case("/api/v2/wallets/2/transactions", "to", 400)]
#[tokio::test]
async fn a_bare_plus_in_a_time_gets_an_error_that_says_how_to_write_it(
    #[case] path: &str,
    #[case] name: &str,
    #[case] status: u16,
) {
    let scene = Scene::set().await;
    for blank in ["+", "%20"] {
        let path = format!("{path}?{name}=2026-01-01T00:00:00{blank}09:00");
        let reply = scene.ask("GET", &path).await;
        scene.refused(&reply, status, "ERR001", &path);
        assert!(reply.text.contains("came as a blank; write it as %2B"), "{}", reply.text);
    }
    let path = format!("{path}?{name}=2026-01-01T00:00:00%2B09:00");
    scene.ask("GET", &path).await.expect(200);
    let reply = scene.ask("GET", &path.replace("%2B09:00", "x+y")).await;
    scene.refused(&reply, status, "ERR001", &path);
    assert!(!reply.text.contains("%2B"), "{}", reply.text);
}
