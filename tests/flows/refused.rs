//! Requests that are refused by what they say: no function calls AWS before it refuses them.

use largesse_tests::http::{Api, Reply};
use rstest::rstest;
use serde_json::Value;

const ULID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const USER: (&str, &str) = ("x-user-id", "7");
const ROOM: (&str, &str) = ("x-room-id", ULID);
const LOBBY: (&str, &str) = ("x-room-id", "lobby");
const KEY: (&str, &str) = ("idempotency-key", "k");
const JSON: (&str, &str) = ("content-type", "application/json");

type Headers<'a> = &'a [(&'static str, &'static str)];

/// Sends a request that must be refused before anything is read or written.
async fn refused(method: &str, path: &str, headers: Headers<'_>, body: &str) -> Reply {
    let api = Api::new(1);
    let ask =
        headers.iter().fold(api.ask(method, path), |ask, (name, value)| ask.header(name, value));
    let reply = ask.raw(body).await;
    let calls = api.sandbox.world.recorder().operations();
    assert!(calls.is_empty(), "{method} {path} called AWS: {calls:?}");
    reply
}

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
#[case("POST", "/api/v2/wallets/7/deposits", r#"{"amount":0}"#, 400, "ERR001")]
#[case("POST", "/api/v2/wallets/7/deposits", r#"{"amount":1,"memo":"a\u0000"}"#, 400, "ERR001")]
#[case("POST", "/api/v2/wallets/8/deposits", r#"{"amount":1}"#, 403, "ERR004")]
#[case("POST", "/api/v2/wallets/a%20n/deposits", r#"{"amount":1}"#, 404, "ERR005")]
#[case("POST", "/api/v2/wallets/%FF/deposits", r#"{"amount":1}"#, 404, "ERR005")]
#[case("POST", "/api/v1/wallet/charge", r#"{"amount":0}"#, 422, "ERR001")]
#[case("POST", "/api/v1/wallet/charge", r#"{"amount":1000000000001}"#, 422, "ERR001")]
#[case("POST", "/api/v1/receive", "{}", 422, "ERR001")]
#[case("POST", "/api/v1/receive", r#"{"token":7}"#, 422, "ERR001")]
#[tokio::test]
async fn a_write_that_is_not_valid_or_not_the_callers_is_refused(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[case] status: u16,
    #[case] code: &str,
) {
    let reply = refused(method, path, &[USER, ROOM, KEY, JSON], body).await;
    assert_eq!(reply.verdict(), (status, code), "{}", reply.text);
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
    let reply = refused("GET", path, &[USER, ROOM], "").await;
    assert_eq!(reply.verdict(), (status, code), "{}", reply.text);
}

#[rstest]
#[case("/api/v2/sprays", &[ROOM, KEY, JSON], "X-USER-ID")]
#[case("/api/v2/sprays", &[("x-user-id", "a n"), ROOM, KEY, JSON], "X-USER-ID")]
#[case("/api/v2/sprays", &[USER, KEY, JSON], "X-ROOM-ID")]
#[case("/api/v2/sprays", &[USER, LOBBY, KEY, JSON], "X-ROOM-ID")]
#[case("/api/v2/sprays", &[USER, ROOM, JSON], "Idempotency-Key")]
#[case("/api/v2/sprays", &[USER, ROOM, KEY, KEY, JSON], "Idempotency-Key")]
#[case("/api/v2/sprays/ABC/claims", &[USER], "X-ROOM-ID")]
#[case("/api/v2/wallets/7/deposits", &[USER, JSON], "Idempotency-Key")]
#[tokio::test]
async fn a_missing_or_malformed_header_is_named(
    #[case] path: &str,
    #[case] headers: Headers<'_>,
    #[case] field: &str,
) {
    let reply = refused("POST", path, headers, r#"{"amount":10,"recipients":1}"#).await;
    let found = &reply.body["errors"][0]["field"];
    assert_eq!((reply.verdict(), found), ((400, "ERR001"), &Value::from(field)), "{}", reply.text);
}

#[tokio::test]
async fn a_token_is_read_in_a_room() {
    let reply = refused("GET", "/api/v2/sprays/ABC", &[USER], "").await;
    assert_eq!((reply.status, &reply.body["errors"][0]["field"]), (400, &"X-ROOM-ID".into()));
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
    let reply = refused("POST", "/api/v2/sprays", &[USER, ROOM, KEY, JSON], body).await;
    assert_eq!(reply.verdict(), (400, "ERR001"), "{}", reply.text);
    assert_eq!(reply.body["errors"][0]["field"], field, "{}", reply.text);
    assert_eq!(reply.body["errors"][0]["code"], code, "{}", reply.text);
}

#[tokio::test]
async fn a_body_that_is_not_declared_as_json_is_refused() {
    let reply = refused("POST", "/api/v2/sprays", &[USER, ROOM, KEY], "{}").await;
    assert_eq!(reply.verdict(), (415, "ERR001"));
}

#[tokio::test]
async fn v1_reports_everything_that_is_wrong_at_once() {
    let body = r#"{"total_amount": 0, "recipient_count": "x"}"#;
    let reply = refused("POST", "/api/v1/spray", &[("x-user-id", "ann")], body).await;
    assert_eq!(reply.status, 422);
    insta::with_settings!({ sort_maps => true }, { insta::assert_json_snapshot!(reply.body) });
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
    let reply = refused("POST", "/api/v1/spray", &[USER, ROOM, JSON], body).await;
    assert_eq!(reply.verdict(), (422, "ERR001"), "{}", reply.text);
    assert_eq!(reply.body["detail"][0]["type"], kind, "{}", reply.text);
}

#[rstest]
#[case("POST", "/api/v1/spray", r#"{"total_amount":"20","recipient_count":" 3 ","extra":1}"#, 403)]
#[case("POST", "/api/v1/receive", r#"{"token":"ABC"}"#, 403)]
#[tokio::test]
async fn v1_treats_an_impossible_room_as_one_without_the_caller(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[case] status: u16,
) {
    let code = if status == 403 { "ERR004" } else { "ERR005" };
    let reply = refused(method, path, &[USER, LOBBY], body).await;
    assert_eq!(reply.verdict(), (status, code), "{}", reply.text);
}

#[rstest]
#[case("/api/v2/health", "application/json", "\"status\":\"ok\"")]
#[case("/api/openapi.json", "application/json", "\"openapi\"")]
#[case("/docs", "text/html; charset=utf-8", "/api/openapi.json")]
#[tokio::test]
async fn the_service_describes_itself_without_a_call_to_aws(
    #[case] path: &str,
    #[case] kind: &str,
    #[case] holds: &str,
) {
    let reply = refused("GET", path, &[], "").await.expect(200);
    assert_eq!(reply.header("content-type"), kind);
    assert!(reply.text.contains(holds));
}

#[tokio::test]
async fn the_root_leads_to_the_page_beside_it() {
    let reply = refused("GET", "/", &[], "").await.expect(307);
    assert_eq!((reply.header("location"), reply.text.as_str()), ("docs", ""));
}
