//! What is refused before any port is touched.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use largesse_edge::kernel;
use largesse_edge::testing::{Untouched, send, settings};
use rstest::rstest;
use serde_json::Value;

#[rstest]
#[case("POST", "/api/v2/rooms", r#"{"name":" "}"#, 400, "ERR001")]
#[case("POST", "/api/v2/rooms", r#"{"name":"a\nb"}"#, 400, "ERR001")]
#[case("POST", "/api/v2/rooms", r#"{"name":"a","members":["b c"]}"#, 400, "ERR001")]
#[case("POST", "/api/v2/rooms", r#"{"members":[]}"#, 400, "ERR001")]
#[case("PUT", "/api/v2/rooms/lobby/members/bob", "", 404, "ERR005")]
#[case("DELETE", "/api/v2/rooms/01ARZ3NDEKTSV4RRFFQ69G5FAV/members/b%20c", "", 404, "ERR005")]
#[case("POST", "/api/v1/rooms", r#"{"room_name":7}"#, 422, "ERR001")]
#[case("POST", "/api/v1/rooms", r#"{"room_name":""}"#, 422, "ERR001")]
#[case("POST", "/api/v1/rooms/lobby/invite", r#"{"user_id":8}"#, 403, "ERR004")]
#[case("POST", "/api/v1/rooms/lobby/invite", r#"{"user_id":"x"}"#, 422, "ERR001")]
#[tokio::test]
async fn a_room_request_that_is_not_valid_is_refused(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let deps = Arc::new(Untouched::default());
    let router = admin::router(Arc::clone(&deps), Arc::new(settings()));
    let router = kernel::wrap(router, Arc::clone(&deps));
    let headers = [("X-USER-ID", "7"), ("Content-Type", "application/json")];
    let (found, _, answer) = send(router, method, path, &headers, body).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((found, &answer["code"]), (status, &Value::from(code)), "{answer}");
    assert_eq!(deps.remembered(), 0, "a refused request changed something");
}
