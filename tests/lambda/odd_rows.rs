//! The table of odd events: what API Gateway hands over, and the same request as bytes.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::events::event;
use crate::scene::{ROOM, TOKEN};

/// How a row is sent to the local server.
#[derive(Clone, Debug)]
pub(crate) enum Local {
    /// As these bytes; the answer is the function's.
    Sent(Vec<u8>),
    /// As these bytes; the HTTP server answers with that status and no body.
    RefusedByTheServer(Vec<u8>, u16),
    /// Not at all: HTTP has no way to say it.
    CannotBeSent,
}

/// An odd event and its answer.
#[derive(Clone, Debug)]
pub(crate) struct Odd {
    pub(crate) what: String,
    method: &'static str,
    path: String,
    query: String,
    headers: Vec<(String, Value)>,
    body: Value,
    is_base64: bool,
    pub(crate) local: Local,
    pub(crate) status: u64,
    pub(crate) code: &'static str,
}

impl Odd {
    fn new(
        what: &str,
        method: &'static str,
        path: &str,
        target: &str,
        headers: &[(&str, &str)],
    ) -> Self {
        let mut lines = vec![format!("{method} {target} HTTP/1.1"), "Connection: close".to_owned()];
        // Callers of the API send their own host, which no function reads.
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            lines.push("Host: localhost".to_owned());
        }
        lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
        let bytes = lines.join("\r\n") + "\r\n\r\n";
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        Self {
            what: what.to_owned(),
            method,
            path: path.to_owned(),
            query: String::new(),
            headers: headers.collect(),
            body: Value::Null,
            is_base64: false,
            local: Local::Sent(bytes.into_bytes()),
            status: 200,
            code: "",
        }
    }

    /// A GET that is answered.
    pub(crate) fn get(what: &str, path: &str) -> Self {
        Self::new(what, "GET", path, path, &[])
    }

    /// Whether the path belongs to the route of a claim, of whatever token.
    pub(crate) fn is_claim(&self) -> bool {
        let token = self.path.strip_prefix("/api/v2/sprays/");
        let token = token.and_then(|rest| rest.strip_suffix("/claims"));
        token.is_some_and(|token| !token.contains('/'))
    }

    fn refused(self, status: u64, code: &'static str) -> Self {
        Self { status, code, ..self }
    }

    fn never_sent(self) -> Self {
        Self { local: Local::CannotBeSent, ..self }
    }

    fn refused_by_the_server(self, status: u16) -> Self {
        let local = match self.local {
            Local::Sent(bytes) => Local::RefusedByTheServer(bytes, status),
            other => other,
        };
        Self { local, ..self }
    }

    /// What API Gateway hands over.
    pub(crate) fn event(&self) -> Value {
        let mut odd = event("query", "health");
        odd["rawPath"] = json!(self.path);
        odd["rawQueryString"] = json!(self.query);
        odd["requestContext"]["http"]["method"] = json!(self.method);
        odd["requestContext"]["http"]["path"] = json!(self.path);
        let mut headers: BTreeMap<String, Value> = BTreeMap::new();
        for (name, value) in &self.headers {
            // API Gateway joins the values of a header that comes twice.
            match headers.get_mut(name) {
                Some(Value::String(first)) => {
                    first.push(',');
                    first.push_str(value.as_str().expect("a text"));
                }
                _ => drop(headers.insert(name.clone(), value.clone())),
            }
        }
        odd["headers"] = json!(headers);
        odd["body"] = self.body.clone();
        odd["isBase64Encoded"] = json!(self.is_base64);
        odd
    }
}

/// Paths beside the route of a claim, decoded as in an event and encoded as over HTTP.
pub(crate) fn paths() -> Vec<Odd> {
    let rows = [
        ("a backslash", "/api/v2/sprays/{token}\\claims", "/api/v2/sprays/{token}\\claims"),
        (
            "an encoded backslash",
            "/api/v2/sprays/{token}\\claims",
            "/api/v2/sprays/{token}%5Cclaims",
        ),
        ("a tab", "/api/v2/sprays/{token}\t/claims", "/api/v2/sprays/{token}%09/claims"),
        ("a line feed", "/api/v2/sprays/{token}\n/claims", "/api/v2/sprays/{token}%0A/claims"),
        (
            "a line feed within",
            "/api/v2/spr\nays/{token}/claims",
            "/api/v2/spr%0Aays/{token}/claims",
        ),
        ("a NUL", "/api/v2/sprays/{token}\0/claims", "/api/v2/sprays/{token}%00/claims"),
        ("a blank", "/api/v2/sprays/{token} /claims", "/api/v2/sprays/{token}%20/claims"),
        ("dots", "/api/v2/x/../sprays/{token}/claims", "/api/v2/x/../sprays/{token}/claims"),
        (
            "encoded dots",
            "/api/v2/x/../sprays/{token}/claims",
            "/api/v2/x/%2e%2e/sprays/{token}/claims",
        ),
        (
            "dots encoded twice",
            "/api/v2/x/%2e%2e/sprays/{token}/claims",
            "/api/v2/x/%252e%252e/sprays/{token}/claims",
        ),
        ("a dot", "/api/v2/./sprays/{token}/claims", "/api/v2/./sprays/{token}/claims"),
        ("a question mark", "/api/v2/sprays/{token}/claims?x", "/api/v2/sprays/{token}/claims%3Fx"),
        ("a number sign", "/api/v2/sprays/{token}/claims#x", "/api/v2/sprays/{token}/claims%23x"),
        (
            "a number sign in the token",
            "/api/v2/sprays/{token}#/claims",
            "/api/v2/sprays/{token}%23/claims",
        ),
        ("a percent sign", "/api/v2/sprays/{token}%/claims", "/api/v2/sprays/{token}%25/claims"),
        ("a slash at the end", "/api/v2/sprays/{token}/claims/", "/api/v2/sprays/{token}/claims/"),
        (
            "two slashes in front",
            "//api/v2/sprays/{token}/claims",
            "//api/v2/sprays/{token}/claims",
        ),
        ("two slashes within", "/api/v2//sprays/{token}/claims", "/api/v2//sprays/{token}/claims"),
        ("a semicolon", "/api/v2/sprays/{token};a=b/claims", "/api/v2/sprays/{token};a=b/claims"),
        (
            "another alphabet",
            "/api/v2/sprays/가나다/claims",
            "/api/v2/sprays/%EA%B0%80%EB%82%98%EB%8B%A4/claims",
        ),
        ("another alphabet, raw", "/api/v2/sprays/가나다/claims", "/api/v2/sprays/가나다/claims"),
        (
            "quotes and brackets",
            "/api/v2/sprays/\"{token}\"/claims",
            "/api/v2/sprays/%22{token}%22/claims",
        ),
        ("capitals", "/API/v2/sprays/{token}/claims", "/API/v2/sprays/{token}/claims"),
    ];
    let odd = |(what, path, target): (&str, &str, &str)| {
        let row = claiming(what, path, target);
        // A spray can be looked at under `/api/v2/sprays/{token}`, also under an odd token.
        let is_spray =
            row.path.matches('/').count() == 4 && row.path.starts_with("/api/v2/sprays/");
        if is_spray { row.refused(405, "ERR001") } else { row.refused(404, "ERR005") }
    };
    rows.map(odd).into()
}

/// The claim that each of those paths comes close to. The member is in the room, so that it draws.
pub(crate) fn claim() -> Odd {
    let path = "/api/v2/sprays/{token}/claims";
    Odd { status: 201, ..claiming("a claim", path, path).never_sent() }
}

fn claiming(what: &str, path: &str, target: &str) -> Odd {
    let (path, target) = (path.replace("{token}", TOKEN), target.replace("{token}", TOKEN));
    let headers = [("x-user-id", "carol"), ("x-room-id", ROOM), ("content-length", "0")];
    Odd::new(what, "POST", &path, &target, &headers)
}

/// Query strings that no client should send as they are.
pub(crate) fn queries() -> Vec<Odd> {
    let row = |what: &str, path: &str, query: &str| {
        let row =
            Odd::new(what, "GET", path, &format!("{path}?{query}"), &[("x-user-id", "alice")]);
        Odd { query: query.to_owned(), ..row }.refused(400, "ERR001")
    };
    let health = "/api/v2/health";
    vec![
        row("a quote", health, "a=\"b\"").refused_by_the_server(400),
        row("raw UTF-8", health, "a=가"),
        row("raw UTF-8 in v1", "/api/v1/wallet/balance", "a=가").refused(422, "ERR001"),
        row("a blank", health, "a=b c").refused_by_the_server(400),
        row("less than", health, "a=<b").refused_by_the_server(400),
        row("greater than", health, "a=b>").refused_by_the_server(400),
        row("a control character", health, "a=\u{1}").refused_by_the_server(400),
        row("a line feed", health, "a=\nb").refused_by_the_server(400),
        // The server cuts it off, as RFC 9112 has it: a target holds no fragment.
        row("a number sign", health, "a=b#c").never_sent(),
        row("70 KB", health, &"x".repeat(70_000)).refused_by_the_server(414),
        row("60 KB of an unknown parameter", "/api/v2/wallets/alice", &"x".repeat(60_000)),
        row("an encoded NUL", "/api/v2/wallets/alice", "limit=%00"),
        row("broken encoding", "/api/v2/wallets/alice/transactions", "limit=%zz"),
    ]
}

/// Headers of proxies, of attackers and of nobody.
pub(crate) fn headers() -> Vec<Odd> {
    let health = "/api/v2/health";
    let health =
        |what: &str, headers: &[(&str, &str)]| Odd::new(what, "GET", health, health, headers);
    let wallet = "/api/v2/wallets/alice";
    let wallet = |what: &str, headers: &[(&str, &str)]| {
        Odd::new(what, "GET", wallet, wallet, headers).refused(400, "ERR001")
    };
    let valued = |what: &str, name: &str, value: Value| Odd {
        headers: vec![(name.to_owned(), value)],
        ..health(what, &[]).never_sent()
    };
    let mut rows = vec![
        health("two protocols", &[("x-forwarded-proto", "https, http")]),
        health("no protocol", &[("x-forwarded-proto", "")]),
        health("cookies", &[("cookie", "a=1; b=2")]),
        health("a header's name with a blank", &[("x user", "alice")])
            .refused(400, "ERR001")
            .refused_by_the_server(400),
        wallet("two users in one value", &[("x-user-id", "alice,bob")]),
        wallet("a user of another alphabet", &[("x-user-id", "앨리스")]),
        wallet("no user", &[]),
        wallet("an empty user", &[("x-user-id", "")]),
        valued("a header without a value", "x-user-id", Value::Null),
        valued("a number as value", "x-user-id", json!(1)).refused(400, "ERR001"),
        valued("a line feed in a value", "x-user-id", json!("a\nb")).refused(400, "ERR001"),
    ];
    let hosts = ["bad host", "[::1", "h:99999", "", "a@b/c?d"];
    rows.extend(hosts.map(|host| health(&format!("host {host:?}"), &[("host", host)])));
    // One header under two spellings: API Gateway never does it, others in front may.
    let twice = [("X-USER-ID", "alice"), ("x-user-id", "alice")];
    rows.push(wallet("one header in two spellings", &twice));
    rows.push(wallet("one header twice", &[("x-user-id", "alice"), ("x-user-id", "alice")]));
    rows
}

/// Bodies of a deposit.
pub(crate) fn deposits() -> Vec<Odd> {
    let path = "/api/v2/wallets/alice/deposits";
    let row = |what: &str, key: &str, body: &[u8], encoded: Option<String>| {
        let length = body.len().to_string();
        let headers = [
            ("x-user-id", "alice"),
            ("idempotency-key", key),
            ("content-type", "application/json"),
            ("content-length", length.as_str()),
        ];
        let mut row = Odd::new(what, "POST", path, path, &headers);
        if let Local::Sent(bytes) = &mut row.local {
            bytes.extend_from_slice(body);
        }
        row.is_base64 = encoded.is_some();
        row.body = json!(encoded.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned()));
        row.refused(400, "ERR001")
    };
    let padded = |length: usize| [br#"{"amount":5}"#.to_vec(), vec![b' '; length - 12]].concat();
    let base64 = |body: &[u8]| Some(base64(body));
    let (mid, full, over) = (padded(50_176), padded(65_536), padded(65_537));
    let not_sent = |row: Odd, body: Value| Odd { body, ..row.never_sent() };
    vec![
        row("49 KiB in Base64", "k-49", &mid, base64(&mid)).refused(201, ""),
        row("64 KiB in Base64", "k-64", &full, base64(&full)).refused(201, ""),
        row("64 KiB and a byte in Base64", "k-65", &over, base64(&over)).refused(413, "ERR001"),
        row("64 KiB and a byte", "k-66", &over, None).refused(413, "ERR001"),
        row("no UTF-8 in Base64", "k-1", b"\xff\xfe", base64(b"\xff\xfe")),
        row("an empty body", "k-2", b"", None),
        row("nothing in Base64", "k-3", b"", Some(String::new())),
        not_sent(row("broken Base64", "k-4", b"", Some(String::new())), json!("{]")),
        not_sent(row("Base64 of URLs", "k-5", b"", Some(String::new())), json!("-_8=")),
        not_sent(row("Base64 without padding", "k-6", b"", Some(String::new())), json!("YQ")),
        not_sent(row("a null body", "k-7", b"", None), Value::Null),
        not_sent(row("an object as body", "k-8", b"", None), json!({ "amount": 5 })),
    ]
}

/// What is no request of an HTTP API at all.
pub(crate) fn other_events() -> Vec<Value> {
    let mut bare = event("query", "health");
    bare["headers"] = json!([]);
    let mut no_method = event("query", "health");
    no_method["requestContext"] = json!({ "stage": "$default" });
    let rest = json!({ "httpMethod": "GET", "path": "/api/v2/health", "resource": "/" });
    vec![bare, no_method, rest, json!({}), json!([]), json!("text"), json!(7), Value::Null]
}

/// Standard Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
