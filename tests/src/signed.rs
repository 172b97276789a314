//! Callers with API keys, who sign their requests.

use std::sync::Arc;

use axum::Router;
use http::HeaderValue;
use largesse::compose;
use largesse_app::key::create::create;
use largesse_app::ports::Clock;
use largesse_domain::key::{Networks, Terms};
use largesse_edge::auth::SignatureSecrets;
use largesse_edge::auth::signature::{self, Parts};
use largesse_edge::config::Auth;
use largesse_edge::cursor::CursorKey;
use largesse_edge::{EdgeConfig, kernel};

use crate::Sandbox;
use crate::http::{Api, Ask, CURSOR_SECRET, Reply};

/// A service with an API key.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The id of the key.
    pub id: String,
    /// The key.
    pub key: String,
    /// What it signs with.
    pub secret: String,
}

impl Holder {
    /// The holder of a key that was just made.
    #[must_use]
    pub fn of(made: &Reply) -> Self {
        Self { id: made.string("key_id"), key: made.string("key"), secret: made.string("secret") }
    }
}

impl Ask {
    /// The value of a header; empty when it is not there.
    #[must_use]
    pub fn value(&self, name: &str) -> String {
        let value = self.headers.get(name).map(HeaderValue::as_bytes).unwrap_or_default();
        String::from_utf8(value.to_vec()).expect("text")
    }

    /// Signed as it is now, at that second and with that nonce.
    #[must_use]
    pub fn signed(self, holder: &Holder, at_s: i64, nonce: &str) -> Self {
        let timestamp = at_s.to_string();
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let text = signature::signed_text(&Parts {
            method: self.method.as_str(),
            path: &signature::decoded_path(path).expect("UTF-8"),
            query,
            timestamp: &timestamp,
            nonce,
            user: &self.value("x-user-id"),
            room: &self.value("x-room-id"),
            body: &self.body,
        });
        let signature = signature::sign(&holder.secret, &text);
        self.header("authorization", format!("Bearer {}", holder.key))
            .header("x-signature", signature)
            .header("x-timestamp", timestamp)
            .header("x-nonce", nonce)
    }
}

impl Api {
    /// A new world whose callers sign their requests with secrets that follow from `masters`.
    #[must_use]
    pub fn signed(seed: u64, masters: &str) -> Self {
        Self::signed_over(Sandbox::new(seed), masters)
    }

    /// The same, with limits as [`Api::with_limits`] has them.
    #[must_use]
    pub fn signed_with_limits(seed: u64, masters: &str, limits: &[(&'static str, u32)]) -> Self {
        Self::signed_over(Self::limited(seed, limits), masters)
    }

    fn signed_over(sandbox: Sandbox, masters: &str) -> Self {
        let (world, store) = (sandbox.world.clone(), sandbox.store.clone());
        let edge = signed_edge(masters);
        let local = compose::compose_serving(world, store, &edge, None, &[]).expect("the stack");
        Self::of(sandbox, local.router)
    }

    /// The routes of another process over the same world, with caches of its own.
    pub fn process(&self, seed: u64, masters: &str) -> Router {
        let (store, edge) = (self.sandbox.another_process(seed), signed_edge(masters));
        let functions = &self.sandbox.world.stack().functions;
        let routes = functions.iter().filter_map(|function| {
            let edge = compose::edge_of(function, &edge).expect("limits");
            compose::routes_of(function, &store, &Arc::new(edge))
        });
        kernel::wrap(routes.fold(Router::new(), Router::merge), store)
    }

    /// A key of that owner, made as the command line makes it.
    pub async fn holder(&self, masters: &str, owner: &str, scopes: &str) -> Holder {
        let (owner, scopes) = (owner.parse().expect("an owner"), scopes.parse().expect("scopes"));
        let terms = Terms { owner, scopes, networks: Networks::default() };
        let (key, record) = create(&*self.sandbox.store, terms, None).await.expect("a key");
        let secret = SignatureSecrets::read(masters).expect("secrets").secret_of(record.id);
        Holder { id: record.id.to_string(), key: key.reveal().to_owned(), secret }
    }

    /// Signs a request now, with a nonce that was not used before.
    #[must_use]
    pub fn sign(&self, holder: &Holder, ask: Ask) -> Ask {
        ask.signed(holder, self.now_s(), &format!("nonce-of-the-test-{}", self.new_key()))
    }

    /// The second of the world's clock.
    #[must_use]
    pub fn now_s(&self) -> i64 {
        self.sandbox.store.now().ms().div_euclid(1_000)
    }
}

fn signed_edge(masters: &str) -> EdgeConfig {
    let auth = Auth::Signed(SignatureSecrets::read(masters).expect("master secrets"));
    let cursors = CursorKey::new(CURSOR_SECRET).expect("a secret");
    EdgeConfig { auth, ..EdgeConfig::open(cursors) }
}
