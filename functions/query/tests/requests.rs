//! What is refused before any port is touched, and what needs none.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use largesse_edge::kernel;
use largesse_edge::testing::{Untouched, send, settings};
use rstest::rstest;
use serde_json::Value;

const ROOM: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

async fn get(path: &str, headers: &[(&str, &str)]) -> (u16, http::HeaderMap, String) {
    let deps = Arc::new(Untouched::default());
    let router = query::router(Arc::clone(&deps), Arc::new(settings()));
    send(kernel::wrap(router, deps), "GET", path, headers, "").await
}

#[rstest]
#[case("/api/v2/wallets/7?x=1", 400, "ERR001")]
#[case("/api/v2/wallets/8", 403, "ERR004")]
#[case("/api/v2/wallets/a%2Fb", 404, "ERR005")]
#[case("/api/v2/wallets/7/transactions?type=gift", 400, "ERR001")]
#[case("/api/v2/wallets/7/transactions?from=yesterday", 400, "ERR001")]
#[case("/api/v2/wallets/7/transactions?limit=0", 400, "ERR001")]
#[case("/api/v2/wallets/7/transactions?limit=1&limit=1", 400, "ERR001")]
#[case("/api/v2/wallets/7/transactions?cursor=forged", 400, "ERR001")]
#[case("/api/v2/wallets/7/transactions/nope", 404, "ERR005")]
#[case("/api/v2/rooms/lobby", 404, "ERR005")]
#[case("/api/v2/sprays?cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAA", 400, "ERR001")]
#[case("/api/v2/sprays/abc", 404, "ERR005")]
#[case("/api/v2/sprays/ABCD", 404, "ERR005")]
#[case("/api/v2/sprays/ABC?limit=1", 400, "ERR001")]
#[case("/api/v2/sprays/01ARZ3NDEKTSV4RRFFQ69G5FAv", 404, "ERR005")]
#[case("/api/v1/spray/abc", 404, "ERR005")]
#[case("/api/v1/transactions/nope", 404, "ERR005")]
#[case("/api/v1/transactions?page=0", 422, "ERR001")]
#[case("/api/v1/transactions?per_page=101", 422, "ERR001")]
#[case("/api/v1/transactions?type=charge", 422, "ERR001")]
#[case("/api/v1/wallet?start_date=2026-02-30", 422, "ERR001")]
#[case("/api/v1/unknown", 404, "ERR005")]
#[tokio::test]
async fn a_read_that_is_not_valid_or_not_the_callers_is_refused(
    #[case] path: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let (found, _, body) = get(path, &[("X-USER-ID", "7"), ("X-ROOM-ID", ROOM)]).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((found, &body["code"]), (status, &Value::from(code)), "{body}");
}

#[tokio::test]
async fn a_token_is_read_in_a_room() {
    let (status, _, body) = get("/api/v2/sprays/ABC", &[("X-USER-ID", "7")]).await;
    assert!(status == 400 && body.contains("X-ROOM-ID"), "{body}");
}

#[tokio::test]
async fn v1_forgets_about_rooms_that_cannot_exist() {
    let headers = [("X-USER-ID", "7"), ("X-ROOM-ID", "lobby")];
    assert_eq!(get("/api/v1/spray/ABC", &headers).await.0, 404);
}

#[rstest]
#[case("/api/v2/health", "application/json", "\"status\":\"ok\"")]
#[case("/api/openapi.json", "application/json", "\"openapi\"")]
#[case("/docs", "text/html; charset=utf-8", "/api/openapi.json")]
#[tokio::test]
async fn the_service_describes_itself_to_everybody(
    #[case] path: &str,
    #[case] kind: &str,
    #[case] holds: &str,
) {
    let (status, headers, body) = get(path, &[]).await;
    assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, kind));
    assert!(body.contains(holds));
}
