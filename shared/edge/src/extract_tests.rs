use super::*;
use axum::http::HeaderValue;
use rstest::rstest;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the test checks only whether the body is read")]
struct Form {
    amount: Whole,
    memo: Option<String>,
    #[serde(default)]
    members: Vec<String>,
}

#[rstest]
#[case(r#"{"amount":1}"#, None)]
#[case(" {\"amount\":18446744073709551615,\"memo\":\"점심\"}\n", None)]
#[case("", Some(("", "malformed")))]
#[case("{", Some(("", "malformed")))]
#[case(r#"{"amount":1"#, Some(("", "malformed")))]
#[case(r#"{"amount":1}}"#, Some(("", "malformed")))]
#[case(r#"{"amount":1} x"#, Some(("", "malformed")))]
#[case("{'amount':1}", Some(("", "malformed")))]
#[case("null", Some(("", "wrong_type")))]
#[case("[1]", Some(("", "wrong_type")))]
#[case("7", Some(("", "wrong_type")))]
#[case("{}", Some(("amount", "missing")))]
#[case(r#"{"amount":null}"#, Some(("amount", "wrong_type")))]
#[case(r#"{"amount":"1"}"#, Some(("amount", "wrong_type")))]
#[case(r#"{"amount":true}"#, Some(("amount", "wrong_type")))]
#[case(r#"{"amount":-1}"#, Some(("amount", "wrong_type")))]
#[case(r#"{"amount":1.0}"#, Some(("amount", "wrong_type")))]
#[case(r#"{"amount":1e3}"#, Some(("amount", "wrong_type")))]
#[case(r#"{"amount":18446744073709551616}"#, Some(("amount", "wrong_type")))]
#[case(r#"{"amount":1e999}"#, Some(("amount", "out_of_range")))]
#[case(r#"{"amount":1,"amount":2}"#, Some(("amount", "duplicate")))]
#[case(r#"{"amount":1,"Amount":2}"#, Some(("Amount", "unknown")))]
#[case(r#"{"amount":1,"memo":7}"#, Some(("memo", "wrong_type")))]
#[case(r#"{"amount":1,"memo":"\ud800"}"#, Some(("", "malformed")))]
#[case(r#"{"amount":1,"members":["a",2]}"#, Some(("members[1]", "wrong_type")))]
fn a_body_is_an_object_of_known_fields(#[case] body: &str, #[case] expected: Option<(&str, &str)>) {
    let error = strict::<Form>(body.as_bytes()).err();
    let found = error.as_ref().map(|e| (e.field.as_str(), e.code));
    assert_eq!(found, expected, "{error:?}");
}

#[test]
fn a_deeply_nested_body_is_refused_without_recursion() {
    let deep = format!("{{\"amount\":{}", "[".repeat(60_000));
    assert_eq!(strict::<Form>(deep.as_bytes()).unwrap_err().code, "wrong_type");
    let deep = "[".repeat(60_000);
    assert_eq!(strict::<Form>(deep.as_bytes()).unwrap_err().code, "malformed");
    assert_eq!(strict::<Form>(b"{\"amount\":1,\"memo\":\"\xff\"}").unwrap_err().code, "malformed");
}

#[test]
fn an_error_does_not_repeat_the_input() {
    let error = strict::<Form>(br#"{"amount":", expected s3cret"}"#).unwrap_err();
    assert!(!error.detail.contains("s3cret"), "{error:?}");
    assert!(error.detail.contains("whole number"), "{error:?}");
}

#[rstest]
#[case(&[], Some("missing"))]
#[case(&["u1"], None)]
#[case(&["u1", "u1"], Some("repeated"))]
#[case(&["u1,u1"], Some("repeated"))]
#[case(&[""], Some("malformed"))]
#[case(&["u 1"], Some("malformed"))]
#[case(&["\u{e9}"], Some("malformed"))]
fn an_identity_header_comes_once_and_is_well_formed(
    #[case] values: &[&str],
    #[case] code: Option<&str>,
) {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(USER_HEADER, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let found = identity::<UserId>(&headers, USER_HEADER, "a user id").err();
    let body = found.map(|e| format!("{e:?}"));
    assert_eq!(body.is_some(), code.is_some());
    assert!(code.is_none_or(|code| body.unwrap().contains(code)));
    let mut long = HeaderMap::new();
    long.insert(USER_HEADER, HeaderValue::from_str(&"x".repeat(65)).unwrap());
    assert!(identity::<UserId>(&long, USER_HEADER, "a user id").is_err());
}

#[rstest]
#[case("application/json", true)]
#[case("Application/JSON; charset=utf-8", true)]
#[case("text/json", false)]
#[case("application/jsonl", false)]
#[case("", false)]
fn only_the_media_type_of_json_is_accepted(#[case] kind: &str, #[case] fits: bool) {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(kind).unwrap());
    assert_eq!(is_json(&headers), fits);
}
