//! What is refused before any port is touched.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use largesse_edge::kernel;
use largesse_edge::testing::{Untouched, send, settings};
use rstest::rstest;
use serde_json::Value;

const ROOM: (&str, &str) = ("X-ROOM-ID", "01ARZ3NDEKTSV4RRFFQ69G5FAV");
const USER: (&str, &str) = ("X-USER-ID", "7");
const KEY: (&str, &str) = ("Idempotency-Key", "k");
const JSON: (&str, &str) = ("Content-Type", "application/json");

async fn post(path: &str, headers: &[(&str, &str)], body: &str) -> (u16, Value) {
    let deps = Arc::new(Untouched::default());
    let router = spray_create::router(Arc::clone(&deps), Arc::new(settings()));
    let router = kernel::wrap(router, Arc::clone(&deps));
    let (status, _, answer) = send(router, "POST", path, headers, body).await;
    assert_eq!(deps.remembered(), 0, "a refused request changed something");
    (status, serde_json::from_str(&answer).unwrap())
}

#[rstest]
#[case("{}", "amount", "missing")]
#[case(r#"{"amount":10}"#, "recipients", "missing")]
#[case(r#"{"amount":0,"recipients":1}"#, "amount", "out_of_range")]
#[case(r#"{"amount":1000000000001,"recipients":1}"#, "amount", "out_of_range")]
#[case(r#"{"amount":9,"recipients":10}"#, "amount", "out_of_range")]
#[case(r#"{"amount":9000,"recipients":1001}"#, "recipients", "out_of_range")]
#[case(r#"{"amount":9,"recipients":0}"#, "recipients", "out_of_range")]
#[case(r#"{"amount":9,"recipients":1,"split":"half"}"#, "split", "invalid")]
#[case(r#"{"amount":9,"recipients":1,"expires_in_s":9}"#, "expires_in_s", "out_of_range")]
#[case(r#"{"amount":9,"recipients":1,"expires_in_s":604801}"#, "expires_in_s", "out_of_range")]
#[case(r#"{"amount":9,"recipients":1,"expires_in_s":"60"}"#, "expires_in_s", "wrong_type")]
#[case(r#"{"amount":9,"recipients":1,"memo":""}"#, "memo", "unknown")]
#[tokio::test]
async fn a_spray_outside_its_limits_names_the_field(
    #[case] body: &str,
    #[case] field: &str,
    #[case] code: &str,
) {
    let (status, problem) = post("/api/v2/sprays", &[USER, ROOM, KEY, JSON], body).await;
    assert_eq!((status, &problem["code"]), (400, &Value::from("ERR001")), "{problem}");
    assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    assert_eq!(problem["errors"][0]["code"], code, "{problem}");
}

#[rstest]
#[case(&[ROOM, KEY, JSON], 400, "X-USER-ID")]
#[case(&[USER, KEY, JSON], 400, "X-ROOM-ID")]
#[case(&[USER, ("X-ROOM-ID", "lobby"), KEY, JSON], 400, "X-ROOM-ID")]
#[case(&[USER, ROOM, JSON], 400, "Idempotency-Key")]
#[case(&[USER, ROOM, KEY, KEY, JSON], 400, "Idempotency-Key")]
#[tokio::test]
async fn a_spray_needs_its_headers(
    #[case] headers: &[(&str, &str)],
    #[case] status: u16,
    #[case] field: &str,
) {
    let body = r#"{"amount":10,"recipients":1}"#;
    let (found, problem) = post("/api/v2/sprays", headers, body).await;
    assert_eq!((found, &problem["errors"][0]["field"]), (status, &Value::from(field)));
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_refused() {
    let (status, problem) = post("/api/v2/sprays", &[USER, ROOM, KEY], "{}").await;
    assert_eq!((status, &problem["code"]), (415, &Value::from("ERR001")));
}

#[tokio::test]
async fn v1_tells_all_that_is_wrong_at_once() {
    let body = r#"{"total_amount": 0, "recipient_count": "x"}"#;
    let (status, answer) = post("/api/v1/spray", &[("X-USER-ID", "ann")], body).await;
    assert_eq!(status, 422);
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(answer) });
}

#[rstest]
#[case("", "missing")]
#[case("{", "json_invalid")]
#[case(r#"{"total_amount":2,"recipient_count":3}"#, "value_error")]
#[case(r#"{"total_amount":"2.5","recipient_count":1}"#, "int_parsing")]
#[case(r#"{"total_amount":1e3,"recipient_count":1}"#, "int_from_float")]
#[case(r#"{"total_amount":true,"recipient_count":1}"#, "int_type")]
#[case(r#"{"total_amount":2000,"recipient_count":1001}"#, "less_than_equal")]
#[case(r#"{"total_amount":-5,"recipient_count":1}"#, "greater_than")]
#[tokio::test]
async fn v1_answers_422_in_pydantics_words(#[case] body: &str, #[case] kind: &str) {
    let (status, answer) = post("/api/v1/spray", &[USER, ROOM, JSON], body).await;
    assert_eq!((status, &answer["detail"][0]["type"]), (422, &Value::from(kind)), "{answer}");
    assert_eq!(answer["code"], "ERR001");
}

#[tokio::test]
async fn v1_forbids_a_room_that_cannot_exist() {
    let body = r#"{"total_amount":"20","recipient_count":" 3 ","extra":1}"#;
    let (status, answer) = post("/api/v1/spray", &[USER, ("X-ROOM-ID", "lobby")], body).await;
    assert_eq!((status, &answer["code"]), (403, &Value::from("ERR004")));
}
