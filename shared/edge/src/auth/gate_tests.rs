use std::net::IpAddr;

use axum::body::to_bytes;
use axum::routing::{delete, get, post};
use http::Request;
use largesse_domain::id::{KeyId, Ulid};
use largesse_domain::key::{KEY_RANDOM_LEN, KeyRecord, Lifetime, Scopes, Terms};
use rstest::rstest;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::auth::signature::sign;
use crate::call::Call;
use crate::cursor::CursorKey;
use crate::kernel;
use crate::testing::{Fixture, NOW_MS};

const MASTER: &str = "0123456789abcdef0123456789abcdef";
const PATH: &str = "/api/v2/wallets/ann/deposits";
const BODY: &str = r#"{"amount":1000}"#;

fn key() -> ApiKey {
    ApiKey::new(KeyId(Ulid::from_parts(1, 1)), &[1; KEY_RANDOM_LEN])
}

fn record(scopes: &str, networks: &str) -> KeyRecord {
    let networks = if networks.is_empty() { Default::default() } else { networks.parse().unwrap() };
    let (owner, scopes): (_, Scopes) = ("chat".parse().unwrap(), scopes.parse().unwrap());
    let lifetime = Lifetime { created: Timestamp::from_ms(NOW_MS), expires: None };
    KeyRecord::new(key().id(), key().hash(), Terms { owner, scopes, networks }, lifetime)
}

fn secrets() -> SignatureSecrets {
    SignatureSecrets::read(MASTER).unwrap()
}

fn edge() -> EdgeConfig {
    let open = EdgeConfig::open(CursorKey::from_bytes([0; 32]));
    EdgeConfig { auth: Auth::Signed(secrets()), ..open }
}

async fn whose(call: Call) -> String {
    let service = call.service.clone().map(|service| service.owner.to_string());
    format!("{} {}", service.unwrap_or_default(), call.body.len())
}

/// Routes of which the table has all but the last.
fn router(fixture: &Arc<Fixture>) -> Router {
    let router = Router::new()
        .route("/api/v2/wallets/{user}/deposits", post(whose))
        .route("/api/v2/health", get(whose))
        .route("/api/v2/sprays", delete(whose));
    kernel::wrap(protect(router, fixture, &edge()), fixture.clone())
}

/// A request in the making. Its parts are those that are signed; `sent` changes them afterwards.
struct Ask {
    method: &'static str,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: &'static str,
    source: Option<IpAddr>,
}

impl Ask {
    /// A request that is admitted.
    fn good() -> Self {
        Self::signed("POST", PATH, BODY, NOW_MS.div_euclid(1_000), "0123456789abcdef")
    }

    fn signed(
        method: &'static str,
        path: &'static str,
        body: &'static str,
        at_s: i64,
        nonce: &str,
    ) -> Self {
        let timestamp = at_s.to_string();
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let text = signed_text(&Parts {
            method,
            path: &decoded_path(bare).unwrap(),
            query,
            timestamp: &timestamp,
            nonce,
            user: "ann",
            room: "",
            body: body.as_bytes(),
        });
        let headers = vec![
            ("authorization", format!("Bearer {}", key().reveal())),
            ("x-signature", sign(&secrets().secret_of(key().id()), &text)),
            ("x-timestamp", timestamp),
            ("x-nonce", nonce.to_owned()),
            ("x-user-id", "ann".to_owned()),
        ];
        Self { method, path, headers, body, source: None }
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| *header != name);
        self
    }

    fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        self.without(name).and(name, &value.into())
    }

    fn and(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// Status, `reason` (else the code) and the text of the answer.
    async fn send(self, fixture: &Arc<Fixture>) -> (u16, String, String) {
        let request = Request::builder().method(self.method).uri(self.path);
        let request = self
            .headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, value.as_str()));
        let mut request = request.body(Body::from(self.body)).unwrap();
        if let Some(source) = self.source {
            request.extensions_mut().insert(SourceAddress(source));
        }
        let response = router(fixture).oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let reason = body["reason"].as_str().or_else(|| body["code"].as_str()).unwrap_or_default();
        let is_401 = head.status.as_u16() == 401;
        assert_eq!(head.headers.contains_key("www-authenticate"), is_401, "{text}");
        (head.status.as_u16(), reason.to_owned(), text.clone())
    }
}

fn fixture(scopes: &str, networks: &str) -> Arc<Fixture> {
    let fixture = Arc::new(Fixture::default());
    fixture.put_key(record(scopes, networks));
    fixture
}

#[tokio::test]
async fn a_signed_request_reaches_its_route_with_its_owner_and_its_body() {
    let fixture = fixture("wallet", "");
    let (status, _, text) = Ask::good().send(&fixture).await;
    assert_eq!((status, text.as_str()), (200, "chat 15"));
    assert_eq!(fixture.stored_key(key().id()).last_used, Some(Timestamp::from_ms(NOW_MS)));
}

#[rstest]
#[case::key(Ask::good().without("authorization"), 401, "missing")]
#[case::signature(Ask::good().without("x-signature"), 401, "missing")]
#[case::timestamp(Ask::good().without("x-timestamp"), 401, "missing")]
#[case::nonce(Ask::good().without("x-nonce"), 401, "missing")]
#[case::scheme(Ask::good().with("authorization", format!("Basic {}", key().reveal())), 401, "malformed")]
#[case::no_key(Ask::good().with("authorization", "Bearer lgs_x"), 401, "malformed")]
#[case::empty_signature(Ask::good().with("x-signature", ""), 401, "malformed")]
#[case::signature_of_nothing(Ask::good().with("x-signature", "v1="), 401, "malformed")]
#[case::float(Ask::good().with("x-timestamp", "1769850000.0"), 401, "malformed")]
#[case::negative(Ask::good().with("x-timestamp", "-1769850000"), 401, "malformed")]
#[case::long_time(Ask::good().with("x-timestamp", "001769850000"), 401, "malformed")]
#[case::short_nonce(Ask::good().with("x-nonce", "0123456789abcde"), 401, "malformed")]
#[case::long_nonce(Ask::good().with("x-nonce", "a".repeat(65)), 401, "malformed")]
#[case::nonce_with_a_blank(Ask::good().with("x-nonce", "0123456789 abcdef"), 401, "malformed")]
#[case::other_user(Ask::good().with("x-user-id", "bob"), 401, "signature")]
#[case::second_user(Ask::good().and("x-user-id", "bob"), 401, "signature")]
#[case::no_user(Ask::good().without("x-user-id"), 401, "signature")]
#[case::added_room(Ask::good().with("x-room-id", "01K9Z3NDEKTSV4RRFFQ69G5FAV"), 401, "signature")]
#[case::non_ascii_user(Ask::good().with("x-user-id", "뿌리기"), 401, "malformed")]
#[case::other_nonce(Ask::good().with("x-nonce", "0123456789abcdeg"), 401, "signature")]
#[case::other_body(Ask { body: r#"{"amount":9999}"#, ..Ask::good() }, 401, "signature")]
#[case::other_path(Ask { path: "/api/v2/wallets/bob/deposits", ..Ask::good() }, 401, "signature")]
#[case::added_query(Ask { path: "/api/v2/wallets/ann/deposits?a=1", ..Ask::good() }, 401, "signature")]
#[case::not_utf8(Ask { path: "/api/v2/wallets/%FF/deposits", ..Ask::good() }, 401, "malformed")]
#[case::too_early(Ask::signed("POST", PATH, BODY, NOW_MS / 1_000 - 301, "0123456789abcdef"), 401, "clock")]
#[case::too_late(Ask::signed("POST", PATH, BODY, NOW_MS / 1_000 + 301, "0123456789abcdef"), 401, "clock")]
#[tokio::test]
async fn each_cause_is_refused_with_its_reason_and_in_order(
    #[case] ask: Ask,
    #[case] status: u16,
    #[case] reason: &str,
) {
    let fixture = fixture("wallet", "");
    let (found, why, text) = ask.send(&fixture).await;
    assert_eq!((found, why.as_str()), (status, reason), "{text}");
    assert_eq!(fixture.nonces(), 0, "a refused request takes no nonce");
    assert!(!text.contains(MASTER) && !text.contains(key().reveal()));
}

#[tokio::test]
async fn a_request_at_either_end_of_the_window_is_admitted() {
    let fixture = fixture("wallet", "");
    for (offset, nonce) in [(-300, "aaaaaaaaaaaaaaaa"), (300, "bbbbbbbbbbbbbbbb")] {
        let ask = Ask::signed("POST", PATH, BODY, NOW_MS / 1_000 + offset, nonce);
        assert_eq!(ask.send(&fixture).await.0, 200);
    }
}

#[tokio::test]
async fn unknown_expired_and_revoked_keys_get_the_same_answer() {
    let at = Timestamp::from_ms(NOW_MS);
    let unknown = Arc::new(Fixture::default());
    let live = record("wallet", "");
    let expired = Lifetime { expires: Some(at), ..live.lifetime };
    let other = ApiKey::new(key().id(), &[2; KEY_RANDOM_LEN]);
    let mut answers = vec![Ask::good().send(&unknown).await];
    for record in [
        KeyRecord { revoked: Some(at), ..live.clone() },
        KeyRecord { lifetime: expired, ..live.clone() },
        KeyRecord { hash: other.hash(), ..live },
    ] {
        let fixture = Arc::new(Fixture::default());
        fixture.put_key(record);
        answers.push(Ask::good().send(&fixture).await);
    }
    let shown = |(status, reason, text): &(u16, String, String)| {
        let mut body: Value = serde_json::from_str(text).unwrap();
        body["request_id"].take();
        (*status, reason.clone(), body)
    };
    assert_eq!((answers[0].0, answers[0].1.as_str()), (401, "key"));
    for answer in &answers {
        assert_eq!(shown(answer), shown(&answers[0]));
    }
}

#[rstest]
#[case(Some("10.1.2.3"), 200)]
#[case(Some("203.0.113.7"), 403)]
#[case(None, 403)]
#[tokio::test]
async fn only_the_address_that_the_platform_saw_counts(
    #[case] source: Option<&str>,
    #[case] status: u16,
) {
    let fixture = fixture("wallet", "10.0.0.0/8");
    let source = source.map(|address| address.parse().unwrap());
    let ask = Ask::good().with("x-forwarded-for", "10.1.2.3").with("forwarded", "for=10.1.2.3");
    let (found, _, text) = Ask { source, ..ask }.send(&fixture).await;
    assert_eq!(found, status, "{text}");
}

#[tokio::test]
async fn a_key_without_the_scope_is_refused_and_takes_no_nonce() {
    let fixture = fixture("read,operate,campaign:write", "");
    let (status, code, _) = Ask::good().send(&fixture).await;
    assert_eq!((status, code.as_str(), fixture.nonces()), (403, "ERR004", 0));
}

#[tokio::test]
async fn a_nonce_is_good_for_one_request() {
    let fixture = fixture("wallet", "");
    assert_eq!(Ask::good().send(&fixture).await.0, 200);
    let (status, reason, _) = Ask::good().send(&fixture).await;
    assert_eq!((status, reason.as_str()), (401, "nonce"));
}

/// The nonce is the first thing that is written, after every other check.
#[tokio::test]
async fn a_refused_request_takes_no_nonce() {
    let fixture = fixture("wallet", "");
    let forged = Ask::good().with("x-signature", format!("v1={}", "0".repeat(64)));
    assert_eq!(forged.send(&fixture).await.1, "signature");
    assert_eq!(Ask::good().send(&fixture).await.0, 200, "the good request still has its nonce");
}

#[tokio::test]
async fn a_route_that_is_not_in_the_table_is_refused() {
    let fixture = fixture("wallet", "");
    let ask = Ask::signed("DELETE", "/api/v2/sprays", "", NOW_MS / 1_000, "0123456789abcdef");
    let (status, code, _) = ask.send(&fixture).await;
    assert_eq!((status, code.as_str()), (403, "ERR004"));
    let open = |path, method| Ask { path, method, body: "", headers: Vec::new(), source: None };
    assert_eq!(open("/api/v2/health", "GET").send(&fixture).await.0, 200, "it is public");
    assert_eq!(open("/api/v2/nowhere", "GET").send(&fixture).await.0, 404);
    assert_eq!(open("/api/v2/health", "DELETE").send(&fixture).await.0, 405);
}

#[tokio::test]
async fn the_path_is_signed_decoded_once() {
    let fixture = fixture("wallet", "");
    for (path, nonce) in [
        ("/api/v2/wallets/%61nn/deposits", "aaaaaaaaaaaaaaaa"),
        ("/api/v2/wallets/a%2Fb/deposits", "bbbbbbbbbbbbbbbb"),
        ("/api/v2/wallets/%252F/deposits", "cccccccccccccccc"),
        ("/api/v2/wallets/%EB%BF%8C/deposits?q=%EB%BF%8C", "dddddddddddddddd"),
    ] {
        let ask = Ask::signed("POST", path, BODY, NOW_MS / 1_000, nonce);
        let (status, _, text) = ask.send(&fixture).await;
        assert_eq!(status, 200, "{path}: {text}");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_of_its_route_is_not_read() {
    let fixture = fixture("wallet", "");
    let ask = Ask::good().with("content-length", "65537");
    assert_eq!(ask.send(&fixture).await.0, 413);
}
