//! What is refused before any port is touched.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use largesse_edge::kernel;
use largesse_edge::testing::{Untouched, send, settings};
use rstest::rstest;
use serde_json::Value;

const ROOM: (&str, &str) = ("X-ROOM-ID", "01ARZ3NDEKTSV4RRFFQ69G5FAV");
const USER: (&str, &str) = ("X-USER-ID", "7");

#[rstest]
#[case("/api/v2/sprays/ABC/claims", &[USER], "", 400, "ERR001")]
#[case("/api/v2/sprays/ABC/claims", &[USER, ROOM, ("Idempotency-Key", "")], "", 400, "ERR001")]
#[case("/api/v1/receive", &[USER, ROOM], "{}", 422, "ERR001")]
#[case("/api/v1/receive", &[USER, ROOM], r#"{"token":7}"#, 422, "ERR001")]
#[case("/api/v1/receive", &[ROOM], r#"{"token":"ABC"}"#, 422, "ERR001")]
#[case("/api/v1/receive", &[USER, ("X-ROOM-ID", "lobby")], r#"{"token":"ABC"}"#, 403, "ERR004")]
#[tokio::test]
async fn a_claim_that_is_not_valid_is_refused(
    #[case] path: &str,
    #[case] headers: &[(&str, &str)],
    #[case] body: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let deps = Arc::new(Untouched::default());
    let router = spray_claim::router(Arc::clone(&deps), Arc::new(settings()));
    let (found, _, answer) = send(kernel::wrap(router, deps), "POST", path, headers, body).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((found, &answer["code"]), (status, &Value::from(code)), "{answer}");
}
