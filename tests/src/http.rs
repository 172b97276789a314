//! Callers of the whole API, in process: the composed router over a sandbox.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use largesse::compose;
use largesse_app::invocation::SourceAddress;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::Sandbox;

/// The secret that these tests' cursors are signed with.
pub(crate) const CURSOR_SECRET: &str = "a secret that only tests know";

/// All routes over a world in memory, which audits itself when it is dropped.
pub struct Api {
    /// The world and the store under the routes.
    pub sandbox: Sandbox,
    router: Router,
    keys: AtomicU64,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as it was sent.
    pub text: String,
    /// The body; null when it is no JSON.
    pub body: Value,
    /// What was asked; empty where nobody asks for it.
    pub asked: Asked,
}

/// A request as it was sent.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// Reads an answer to its end. What was asked stays empty.
    ///
    /// # Panics
    /// When the body ends early or is no text.
    pub async fn read(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.expect("a body");
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        let (status, headers) = (parts.status.as_u16(), parts.headers);
        Self { status, headers, text, body, asked: Asked::default() }
    }

    /// The error code; empty when there is none.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }

    /// Status and error code.
    #[must_use]
    pub fn verdict(&self) -> (u16, &str) {
        (self.status, self.code())
    }

    /// A header; empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A number in the body.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.body[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {}", self.text))
    }

    /// A text in the body.
    #[must_use]
    pub fn string(&self, name: &str) -> String {
        let text = self.body[name].as_str();
        text.unwrap_or_else(|| panic!("no text {name} in {}", self.text)).to_owned()
    }

    /// Fails unless the answer has this status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

/// A request in the making; awaiting it sends it.
pub struct Ask {
    router: Router,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    source: Option<IpAddr>,
}

impl Ask {
    /// Adds a header; a second one of the same name stands beside the first.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).expect("a value"));
        self
    }

    /// As this user.
    #[must_use]
    pub fn user(self, user: impl AsRef<[u8]>) -> Self {
        self.header("x-user-id", user)
    }

    /// In this room.
    #[must_use]
    pub fn room(self, room: impl AsRef<[u8]>) -> Self {
        self.header("x-room-id", room)
    }

    /// Under this idempotency key.
    #[must_use]
    pub fn key(self, key: impl AsRef<[u8]>) -> Self {
        self.header("idempotency-key", key)
    }

    /// With a body that is declared as JSON, whatever it is.
    #[must_use]
    pub fn json(self, body: impl ToString) -> Self {
        self.header("content-type", "application/json").raw(body.to_string())
    }

    /// From that address.
    #[must_use]
    pub fn from(self, source: &str) -> Self {
        Self { source: Some(source.parse().expect("an address")), ..self }
    }

    /// Without the headers of that name.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.remove(name);
        self
    }

    /// To another path, with headers and body as they are.
    #[must_use]
    pub fn to(self, path: impl Into<String>) -> Self {
        Self { path: path.into(), ..self }
    }

    /// With another method.
    #[must_use]
    pub fn by(self, method: &str) -> Self {
        Self { method: Method::from_bytes(method.as_bytes()).expect("a method"), ..self }
    }

    /// With a body and no word about what it is.
    #[must_use]
    pub fn raw(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }
}

impl IntoFuture for Ask {
    type Output = Reply;
    type IntoFuture = BoxFuture<'static, Reply>;

    fn into_future(self) -> Self::IntoFuture {
        async move {
            let headers = self.headers.iter();
            let headers =
                headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
            let asked = Asked {
                method: self.method.to_string(),
                path: self.path.clone(),
                headers: headers.collect(),
                body: self.body.clone(),
            };
            let request = Request::builder().method(self.method).uri(self.path);
            let mut request = request.body(Body::from(self.body)).expect("a request");
            *request.headers_mut() = self.headers;
            if let Some(source) = self.source {
                request.extensions_mut().insert(SourceAddress(source));
            }
            let response = self.router.oneshot(request).await.expect("an answer");
            Reply { asked, ..Reply::read(response).await }
        }
        .boxed()
    }
}

/// Every item of every table, every queued message, and how many events there were.
pub type Dump = BTreeMap<String, BTreeMap<String, Value>>;

impl Api {
    /// A new world; the seed decides all its randomness.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::over(Sandbox::new(seed))
    }

    /// The same, with limits that callers reach: those given, beside others out of reach.
    #[must_use]
    pub fn with_limits(seed: u64, limits: &[(&'static str, u32)]) -> Self {
        Self::over(Self::limited(seed, limits))
    }

    pub(crate) fn limited(seed: u64, limits: &[(&'static str, u32)]) -> Sandbox {
        let limits: Vec<_> =
            limits.iter().map(|(name, value)| (*name, value.to_string())).collect();
        Sandbox::with_settings(seed, &limits)
    }

    /// The routes over a world, with the store that it has.
    #[must_use]
    pub fn over(sandbox: Sandbox) -> Self {
        let (world, store) = (sandbox.world.clone(), sandbox.store.clone());
        let local = compose::compose(world, store, CURSOR_SECRET).expect("the stack");
        Self::of(sandbox, local.router)
    }

    pub(crate) fn of(sandbox: Sandbox, router: Router) -> Self {
        Self { sandbox, router, keys: AtomicU64::new(1) }
    }

    /// A request with any method.
    #[must_use]
    pub fn ask(&self, method: &str, path: impl Into<String>) -> Ask {
        Self::ask_of(&self.router, method, path)
    }

    /// A request with any method to one process.
    #[must_use]
    pub fn ask_of(router: &Router, method: &str, path: impl Into<String>) -> Ask {
        Ask {
            router: router.clone(),
            source: None,
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            path: path.into(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    /// A GET as a user.
    #[must_use]
    pub fn get(&self, user: &str, path: impl Into<String>) -> Ask {
        self.ask("GET", path).user(user)
    }

    /// A POST as a user.
    #[must_use]
    pub fn post(&self, user: &str, path: impl Into<String>) -> Ask {
        self.ask("POST", path).user(user)
    }

    /// A key that was not used before.
    #[must_use]
    pub fn new_key(&self) -> String {
        format!("key-{}", self.keys.fetch_add(1, Ordering::Relaxed))
    }

    /// Deposits.
    pub async fn deposit(&self, user: &str, amount: u64) -> Reply {
        let ask = self.post(user, format!("/api/v2/wallets/{user}/deposits")).key(self.new_key());
        ask.json(json!({ "amount": amount })).await.expect(201)
    }

    /// Makes a room of these members, the first of whom makes it; returns its id.
    pub async fn room(&self, members: &[&str]) -> String {
        let (owner, others) = members.split_first().expect("somebody");
        let (first, later) = others.split_at(others.len().min(98));
        let ask = self.post(owner, "/api/v2/rooms");
        let made = ask.json(json!({ "name": "room", "members": first })).await.expect(201);
        let room = made.string("room_id");
        for member in later {
            let path = format!("/api/v2/rooms/{room}/members/{member}");
            self.ask("PUT", path).user(owner).await.expect(204);
        }
        room
    }

    /// Sprays for ten minutes in equal shares, without asking for the money first.
    pub async fn try_spray(&self, room: &str, sender: &str, amount: u64, recipients: u64) -> Reply {
        let wish = json!({
            "amount": amount, "recipients": recipients, "split": "equal", "expires_in_s": 600,
        });
        self.post(sender, "/api/v2/sprays").room(room).key(self.new_key()).json(wish).await
    }

    /// Deposits and sprays; returns the token.
    pub async fn spray(&self, room: &str, sender: &str, amount: u64, recipients: u64) -> String {
        self.deposit(sender, amount).await;
        self.try_spray(room, sender, amount, recipients).await.expect(201).string("token")
    }

    /// Claims.
    pub async fn claim(&self, room: &str, user: &str, token: &str) -> Reply {
        self.post(user, format!("/api/v2/sprays/{token}/claims")).room(room).await
    }

    /// What a wallet holds.
    pub async fn balance(&self, user: &str) -> u64 {
        self.get(user, format!("/api/v2/wallets/{user}")).await.expect(200).number("balance")
    }

    /// Lets every function run until nothing is left to do now.
    pub async fn settle(&self) {
        self.sandbox.world.settle().await;
    }

    /// Returns what is due now.
    pub async fn refund_due(&self) {
        let ran = self.sandbox.world.run_schedule("refund-batch/EveryMinute").await;
        ran.expect("the refunds run");
        self.settle().await;
    }

    /// Everything that is stored.
    #[must_use]
    pub fn dump(&self) -> Dump {
        let world = &self.sandbox.world;
        let tables = world.stack().tables.iter().map(|table| {
            let items = world.database().scan(&table.name).expect("a table");
            let items = items.into_iter().map(|item| {
                let item = serde_json::to_value(item).expect("an item");
                (format!("{} {}", item["pk"], item["sk"]), item)
            });
            (table.name.clone(), items.collect())
        });
        let queues = world.stack().queues.iter().map(|queue| {
            let view = world.queue(&queue.name).expect("a queue");
            let messages = view.messages.into_iter().map(|m| (m.id, Value::from(m.body)));
            (queue.name.clone(), messages.collect())
        });
        let events = Value::from(world.bus().put_count());
        let events = BTreeMap::from([("put".to_owned(), events)]);
        tables.chain(queues).chain([("events".to_owned(), events)]).collect()
    }

    /// Everything that is stored, but for what is remembered about requests.
    #[must_use]
    pub fn dump_business(&self) -> Dump {
        let mut dump = self.dump();
        dump.remove("largesse-edge").expect("the table of requests");
        dump
    }
}

/// The value with all that differs from run to run left out: ids, tokens, times, hashes.
#[must_use]
pub fn redacted(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| {
                let is_random = matches!(name.as_str(), "token" | "request_id" | "next_cursor");
                let hidden = || Value::from(format!("[{name}]"));
                let value = if is_random && value.is_string() { hidden() } else { redacted(value) };
                (name.clone(), value)
            })
            .collect(),
        Value::Array(values) => values.iter().map(redacted).collect(),
        Value::String(text) => {
            let is_ulid = text.parse::<largesse_domain::id::TransferId>().is_ok();
            let is_time = text.len() == 24 && text.get(10..11) == Some("T") && text.ends_with('Z');
            let is_hash = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            Value::from(match (is_ulid, is_time, is_hash) {
                (true, _, _) => "[ulid]",
                (_, true, _) => "[time]",
                (_, _, true) => "[hash]",
                _ => text,
            })
        }
        other => other.clone(),
    }
}
