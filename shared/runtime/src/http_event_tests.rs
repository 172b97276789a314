use axum::body::to_bytes;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn base(path: &str) -> BasePath {
    BasePath::read(&Variables::new(|_| Some(path.to_owned()))).unwrap()
}

fn convert(event: &Value, base_path: &str) -> Request<Body> {
    request_of(&event.to_string(), &base(base_path))
}

/// An event, with these fields changed.
fn event(change: Value) -> Value {
    let mut event = json!({
        "version": "2.0", "rawPath": "/a", "rawQueryString": "", "headers": {},
        "requestContext": { "http": { "method": "GET" }, "stage": "$default" },
        "isBase64Encoded": false,
    });
    for (name, value) in change.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

fn why(request: &Request<Body>) -> Option<&'static str> {
    request.extensions().get::<MalformedRequest>().map(|malformed| malformed.0)
}

fn decoded(path: &str) -> Vec<u8> {
    let mut bytes = path.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        let digits =
            [byte, bytes.clone().next().unwrap_or(b' '), bytes.clone().nth(1).unwrap_or(b' ')];
        if byte == b'%' {
            let hex = std::str::from_utf8(&digits[1..]).unwrap();
            decoded.push(u8::from_str_radix(hex, 16).unwrap());
            bytes.nth(1);
        } else {
            decoded.push(byte);
        }
    }
    decoded
}

#[rstest]
#[case("/api/v2/sprays/K7Q\\claims", "/api/v2/sprays/K7Q%5Cclaims")]
#[case("/api/v2/sprays/K7Q\t/claims", "/api/v2/sprays/K7Q%09/claims")]
#[case("/api/v2/x/../health", "/api/v2/x/../health")]
#[case("/api/v2/%2e%2e/health", "/api/v2/%252e%252e/health")]
#[case("/api/v2/health?x", "/api/v2/health%3Fx")]
#[case("/api/v2/health#x", "/api/v2/health%23x")]
#[case("//api/v2/health", "//api/v2/health")]
#[case("/뿌리기", "/%EB%BF%8C%EB%A6%AC%EA%B8%B0")]
#[case("", "/")]
fn a_decoded_path_is_encoded_and_never_resolved(#[case] raw: &str, #[case] path: &str) {
    let request = convert(&event(json!({ "rawPath": raw })), "");
    assert_eq!((request.uri().path(), request.uri().query(), why(&request)), (path, None, None));
}

#[rstest]
#[case("prod", "", "/prod/api/v2/health", "/api/v2/health")]
#[case("prod", "", "/prod", "/")]
#[case("prod", "", "/product", "/product")]
#[case("prod", "", "/api/v2/health", "/api/v2/health")]
#[case("$default", "/pay", "/pay/api/v2/health", "/api/v2/health")]
#[case("$default", "/pay", "/payments", "/payments")]
#[case("$default", "/pay", "/api/v2/health", "/api/v2/health")]
#[case("prod", "/pay", "/prod/pay/api", "/api")]
#[case("$default", "", "/prod/api", "/prod/api")]
fn a_named_stage_and_a_base_path_are_stripped(
    #[case] stage: &str,
    #[case] base_path: &str,
    #[case] raw: &str,
    #[case] path: &str,
) {
    let context = json!({ "http": { "method": "GET" }, "stage": stage });
    let event = event(json!({ "rawPath": raw, "requestContext": context }));
    assert_eq!(convert(&event, base_path).uri().path(), path);
}

#[rstest]
#[case("pay")]
#[case("/pay/")]
#[case("/")]
fn a_base_path_that_is_none_is_named(#[case] text: &str) {
    let error = BasePath::read(&Variables::new(|_| Some(text.to_owned()))).unwrap_err();
    assert!(error.to_string().contains("BASE_PATH is malformed"), "{error}");
    assert_eq!(BasePath::read(&Variables::new(|_| None)).unwrap(), BasePath::default());
}

#[rstest]
#[case::query_with_a_blank(json!({ "rawQueryString": "a=b c" }))]
#[case::query_with_a_control(json!({ "rawQueryString": "a=\u{1}" }))]
#[case::query_with_a_fragment(json!({ "rawQueryString": "a=1#b" }))]
#[case::query_too_long(json!({ "rawQueryString": "x".repeat(70_000) }))]
#[case::path_without_slash(json!({ "rawPath": "api" }))]
#[case::path_too_long(json!({ "rawPath": "/x".repeat(40_000) }))]
#[case::base64_broken(json!({ "body": "{]", "isBase64Encoded": true }))]
#[case::base64_of_urls(json!({ "body": "-_8=", "isBase64Encoded": true }))]
#[case::base64_unpadded(json!({ "body": "YQ", "isBase64Encoded": true }))]
#[case::header_with_lf(json!({ "headers": { "x-user-id": "a\nb" } }))]
#[case::header_name_with_blank(json!({ "headers": { "x user": "a" } }))]
#[case::header_number(json!({ "headers": { "x-user-id": 1 } }))]
#[case::headers_list(json!({ "headers": [] }))]
#[case::body_object(json!({ "body": {} }))]
#[case::no_method(json!({ "requestContext": {} }))]
#[case::method_with_a_blank(json!({ "requestContext": { "http": { "method": "GE T" } } }))]
#[case::no_context(json!({ "requestContext": null }))]
fn an_event_that_is_no_request_says_why(#[case] change: Value) {
    let request = convert(&event(change), "");
    assert!(why(&request).is_some_and(|why| why.ends_with('.')), "{request:?}");
}

#[tokio::test]
async fn what_is_absent_or_contradicts_itself_is_read_in_one_way() {
    let odd = event(json!({
        "rawQueryString": "limit=1", "queryStringParameters": { "limit": "2" },
        "headers": {
            "host": "bad host@[", "x-forwarded-proto": "https, http", "X-User-Id": "a",
            "x-user-id": "b", "x-null": null,
        },
        "cookies": ["a=1", "b=2"], "body": "eyJhIjoxfQ==", "isBase64Encoded": true,
    }));
    let request = convert(&odd, "");
    assert_eq!((request.uri().query(), why(&request)), (Some("limit=1"), None));
    assert_eq!(request.uri().host(), None);
    assert_eq!(request.headers().get_all("x-user-id").iter().count(), 2);
    assert_eq!(request.headers()["cookie"], "a=1; b=2");
    assert!(!request.headers().contains_key("x-null"));
    let body = to_bytes(request.into_body(), 100).await.unwrap();
    assert_eq!(body, r#"{"a":1}"#);
    for empty in [json!({ "body": null, "headers": null, "cookies": null }), json!({ "body": "" })]
    {
        let request = convert(&event(empty), "");
        assert_eq!((why(&request), request.headers().len()), (None, 0));
        assert!(to_bytes(request.into_body(), 100).await.unwrap().is_empty());
    }
}

#[rstest]
#[case("")]
#[case("null")]
#[case("[]")]
#[case("{}")]
#[case(r#""text""#)]
#[case(r#"{"rawPath":"\ud800"}"#)]
#[case(r#"{"httpMethod":"GET","path":"/api/v2/health","resource":"/"}"#)]
fn an_event_of_another_kind_is_malformed(#[case] json: &str) {
    assert!(why(&request_of(json, &BasePath::default())).is_some(), "{json}");
}

proptest! {
    #[test]
    fn a_path_keeps_every_byte(path in "/\\PC*") {
        let request = convert(&event(json!({ "rawPath": path })), "");
        prop_assert_eq!(why(&request), None);
        prop_assert_eq!(decoded(request.uri().path()), path.as_bytes());
    }

    #[test]
    fn no_event_is_without_a_request(
        path in any::<String>(), query in any::<String>(), name in any::<String>(),
        value in any::<String>(), body in any::<String>(), method in any::<String>(),
        stage in any::<String>(), is_base64_encoded in any::<bool>(),
    ) {
        let context = json!({ "http": { "method": method }, "stage": stage });
        let odd = event(json!({
            "rawPath": path, "rawQueryString": query, "headers": { name: value }, "body": body,
            "requestContext": context, "isBase64Encoded": is_base64_encoded,
        }));
        let request = convert(&odd, "");
        prop_assert!(request.uri().path().starts_with('/'));
    }
}

#[rstest]
#[case(json!("203.0.113.7"), Some("203.0.113.7"))]
#[case(json!("2001:db8::1"), Some("2001:db8::1"))]
#[case(json!("somewhere"), None)]
#[case(Value::Null, None)]
fn the_source_address_is_that_of_the_event_and_no_headers(
    #[case] source: Value,
    #[case] expected: Option<&str>,
) {
    let context = json!({ "http": { "method": "GET", "sourceIp": source } });
    let headers = json!({ "x-forwarded-for": "198.51.100.1", "forwarded": "for=198.51.100.1" });
    let request = convert(&event(json!({ "requestContext": context, "headers": headers })), "");
    let found = request.extensions().get::<SourceAddress>().map(|source| source.0.to_string());
    assert_eq!(found.as_deref(), expected);
}
