//! What is refused before any port is touched.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use largesse_edge::kernel;
use largesse_edge::testing::{Untouched, send, settings};
use rstest::rstest;
use serde_json::Value;

async fn post(path: &str, user: &str, body: &str) -> (u16, Value) {
    let deps = Arc::new(Untouched::default());
    let router = wallet::router(Arc::clone(&deps), Arc::new(settings()));
    let router = kernel::wrap(router, Arc::clone(&deps));
    let headers =
        [("X-USER-ID", user), ("Idempotency-Key", "k"), ("Content-Type", "application/json")];
    let (status, _, answer) = send(router, "POST", path, &headers, body).await;
    assert_eq!(deps.remembered(), 0, "a refused request changed something");
    (status, serde_json::from_str(&answer).unwrap())
}

#[rstest]
#[case("/api/v2/wallets/ann/deposits", "ann", r#"{"amount":0}"#, 400, "ERR001")]
#[case("/api/v2/wallets/ann/deposits", "ann", r#"{"amount":1,"memo":"a\u0000"}"#, 400, "ERR001")]
#[case("/api/v2/wallets/ann/deposits", "bob", r#"{"amount":1}"#, 403, "ERR004")]
#[case("/api/v2/wallets/a%20n/deposits", "ann", r#"{"amount":1}"#, 404, "ERR005")]
#[case("/api/v2/wallets/%FF/deposits", "ann", r#"{"amount":1}"#, 404, "ERR005")]
#[case("/api/v2/wallets/ann/deposits", "a n", r#"{"amount":1}"#, 400, "ERR001")]
#[case("/api/v1/wallet/charge", "7", r#"{"amount":0}"#, 422, "ERR001")]
#[case("/api/v1/wallet/charge", "ann", r#"{"amount":1}"#, 422, "ERR001")]
#[case("/api/v1/wallet/charge", "7", r#"{"amount":1000000000001}"#, 422, "ERR001")]
#[tokio::test]
async fn a_deposit_that_is_not_the_callers_or_not_valid_is_refused(
    #[case] path: &str,
    #[case] user: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let (found, answer) = post(path, user, body).await;
    assert_eq!((found, &answer["code"]), (status, &Value::from(code)), "{answer}");
}
