//! Services with API keys, whose signed requests come as events of API Gateway.

use largesse_app::key::create::create;
use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use largesse_domain::key::{Networks, Terms};
use largesse_edge::auth::SignatureSecrets;
use largesse_edge::auth::signature::{self, Parts};
use serde_json::{Value, json};

use crate::http::Reply;
use crate::scene::Scene;

/// The address that the events come from.
pub(crate) const SOURCE: &str = "203.0.113.7";

/// A service with an API key.
#[derive(Clone, Debug)]
pub(crate) struct Holder {
    pub(crate) id: String,
    pub(crate) key: String,
    pub(crate) secret: String,
}

/// A request before it is signed.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// The path that the event has.
    pub(crate) path: &'a str,
    /// The path that is signed, where it is another one.
    pub(crate) signed_path: Option<&'a str>,
    pub(crate) user: &'a str,
    pub(crate) nonce: &'a str,
    pub(crate) body: &'a str,
}

impl Holder {
    /// A key, made as the command line makes it, of a service whose secret follows from that
    /// master.
    pub(crate) async fn make(scene: &Scene, terms: Terms, master: &str) -> Self {
        let (key, record) = create(&*scene.store, terms, None).await.expect("a key");
        let (id, key) = (record.id.to_string(), key.reveal().to_owned());
        Self { id, key, secret: String::new() }.under(master)
    }

    /// The holder of a key that an answer shows.
    pub(crate) fn of(made: &Reply) -> Self {
        let text = |name: &str| made.body[name].as_str().expect("a text").to_owned();
        Self { id: text("key_id"), key: text("key"), secret: text("secret") }
    }

    /// The same key with the secret that follows from another master.
    pub(crate) fn under(self, master: &str) -> Self {
        let secrets = SignatureSecrets::read(master).expect("a master secret");
        let secret = secrets.secret_of(self.id.parse().expect("an id"));
        Self { secret, ..self }
    }

    /// The event of a request that is signed now.
    pub(crate) fn event(&self, request: &Request<'_>) -> Value {
        let timestamp = SystemClock.now().ms().div_euclid(1_000).to_string();
        let text = signature::signed_text(&Parts {
            method: request.method,
            path: request.signed_path.unwrap_or(request.path),
            query: "",
            timestamp: &timestamp,
            nonce: request.nonce,
            user: request.user,
            room: "",
            body: request.body.as_bytes(),
        });
        json!({
            "version": "2.0", "rawPath": request.path, "rawQueryString": "",
            "headers": {
                "authorization": format!("Bearer {}", self.key),
                "x-signature": signature::sign(&self.secret, &text),
                "x-timestamp": timestamp, "x-nonce": request.nonce, "x-user-id": request.user,
                "content-type": "application/json", "idempotency-key": request.nonce,
                "x-forwarded-for": "198.51.100.1",
            },
            "requestContext": {
                "http": { "method": request.method, "sourceIp": SOURCE }, "stage": "$default",
            },
            "body": request.body, "isBase64Encoded": false,
        })
    }
}

/// What a key of that owner opens, from everywhere.
pub(crate) fn terms(owner: &str, scopes: &str) -> Terms {
    Terms {
        owner: owner.parse().expect("an owner"),
        scopes: scopes.parse().expect("scopes"),
        networks: Networks::default(),
    }
}
