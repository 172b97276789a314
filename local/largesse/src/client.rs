//! Callers of the HTTP API.

use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::{Value, json};

use crate::holder::Holder;

/// Sends the requests of one caller to one deployment, and signs them if the caller holds a key.
#[derive(Clone, Debug)]
pub struct Sender {
    http: reqwest::Client,
    base: String,
    holder: Option<Holder>,
}

impl Sender {
    /// Sends by `http` to the deployment at `base`, for instance `http://127.0.0.1:3000`.
    #[must_use]
    pub fn new(http: reqwest::Client, base: &str, holder: Option<Holder>) -> Self {
        Self { http, base: base.trim_end_matches('/').to_owned(), holder }
    }

    /// Where the deployment is.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request to a path of the API.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends it. Each call signs anew, so a request that is repeated has another nonce.
    ///
    /// # Errors
    /// When it gets no answer.
    pub async fn send(&self, request: RequestBuilder) -> reqwest::Result<Response> {
        let mut request = request.build()?;
        if let Some(holder) = &self.holder {
            let base = self.base.parse::<Url>();
            let base = base.map(|url| url.path().trim_end_matches('/').to_owned());
            holder.sign(&mut request, &base.unwrap_or_default());
        }
        self.http.execute(request).await
    }
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The request got no answer.
    #[error("no answer")]
    Http(#[from] reqwest::Error),
    /// The answer was not the expected one.
    #[error("{request} was answered {status}: {body}")]
    Unexpected {
        /// Method and path.
        request: String,
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The body; null when it is no JSON.
    pub body: Value,
}

impl Reply {
    /// The problem's code, if it is a problem.
    #[must_use]
    pub fn code(&self) -> &str {
        self.body.get("code").and_then(Value::as_str).unwrap_or("")
    }

    /// A number in the body; 0 when there is none.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.body.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// A text in the body; empty when there is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or("")
    }
}

/// A caller of a stack on this machine, for demonstrations and benchmarks.
#[derive(Clone, Debug)]
pub struct Client {
    sender: Sender,
}

impl Client {
    /// A caller of the stack at that address, for instance `http://127.0.0.1:3000`. It signs nothing.
    #[must_use]
    pub fn new(base: &str) -> Self {
        Self::holding(base, None)
    }

    /// As [`Client::new`], with the key that signs each request, if there is one.
    #[must_use]
    pub fn holding(base: &str, holder: Option<Holder>) -> Self {
        Self { sender: Sender::new(largesse_money::tls::local_client(), base, holder) }
    }

    /// Sends a request as `user`, in `room` if there is one.
    ///
    /// # Errors
    /// [`ClientError::Http`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        user: &str,
        room: Option<&str>,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Reply, ClientError> {
        let mut request = self.sender.request(method, path).header("X-USER-ID", user);
        if let Some(room) = room {
            request = request.header("X-ROOM-ID", room);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.sender.send(request).await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok(Reply { status, body })
    }

    async fn must(
        &self,
        method: Method,
        path: &str,
        user: &str,
        room: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Reply, ClientError> {
        let key = format!("{path}-{user}-{}", body.map_or_else(String::new, Value::to_string));
        let key = key.get(..key.len().min(200)).filter(|key| key.is_ascii()).unwrap_or("key");
        let request = format!("{method} {path}");
        let reply = self.send(method, path, user, room, Some(key), body).await?;
        if reply.status < 300 {
            return Ok(reply);
        }
        let (status, body) = (reply.status, reply.body.to_string());
        Err(ClientError::Unexpected { request, status, body })
    }

    /// Deposits money into a user's wallet.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn deposit(&self, user: &str, amount: u64) -> Result<(), ClientError> {
        let path = format!("/api/v2/wallets/{user}/deposits");
        let body = json!({ "amount": amount });
        self.must(Method::POST, &path, user, None, Some(&body)).await.map(drop)
    }

    /// Makes a room; returns its id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn room(&self, owner: &str) -> Result<String, ClientError> {
        let body = json!({ "name": "benchmark" });
        let reply = self.must(Method::POST, "/api/v2/rooms", owner, None, Some(&body)).await?;
        Ok(reply.text("room_id").to_owned())
    }

    /// Adds a member to a room.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn join(&self, room: &str, owner: &str, member: &str) -> Result<(), ClientError> {
        let path = format!("/api/v2/rooms/{room}/members/{member}");
        self.must(Method::PUT, &path, owner, None, None).await.map(drop)
    }

    /// Makes a spray under an idempotency key; returns the token.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn spray(
        &self,
        room: &str,
        sender: &str,
        key: &str,
        amount: u64,
        recipients: u32,
    ) -> Result<String, ClientError> {
        let body = json!({
            "amount": amount, "recipients": recipients, "split": "random", "expires_in_s": 3600,
        });
        let (path, post) = ("/api/v2/sprays", Method::POST);
        let reply = self.send(post, path, sender, Some(room), Some(key), Some(&body)).await?;
        if reply.status == 201 {
            return Ok(reply.text("token").to_owned());
        }
        let (request, status) = (format!("POST {path}"), reply.status);
        Err(ClientError::Unexpected { request, status, body: reply.body.to_string() })
    }

    /// Claims, and gives the answer whatever its status is.
    ///
    /// # Errors
    /// [`ClientError::Http`].
    pub async fn claim(&self, room: &str, user: &str, token: &str) -> Result<Reply, ClientError> {
        let path = format!("/api/v2/sprays/{token}/claims");
        self.send(Method::POST, &path, user, Some(room), None, None).await
    }

    /// Makes a drop; returns its id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn make_drop(&self, funder: &str, terms: &Value) -> Result<String, ClientError> {
        let post = Method::POST;
        let reply = self.must(post, "/api/v2/drops", funder, None, Some(terms)).await?;
        Ok(reply.text("drop_id").to_owned())
    }

    /// Enters a drop, and gives the answer whatever its status is.
    ///
    /// # Errors
    /// [`ClientError::Http`].
    pub async fn enter(&self, drop: &str, user: &str) -> Result<Reply, ClientError> {
        let path = format!("/api/v2/drops/{drop}/entries");
        self.send(Method::POST, &path, user, None, None, None).await
    }

    /// Makes a product; returns its id.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn make_product(&self, issuer: &str, terms: &Value) -> Result<String, ClientError> {
        let post = Method::POST;
        let reply = self.must(post, "/api/v2/products", issuer, None, Some(terms)).await?;
        Ok(reply.text("product_id").to_owned())
    }

    /// Invests under an idempotency key, and gives the answer whatever its status is.
    ///
    /// # Errors
    /// [`ClientError::Http`].
    pub async fn invest(
        &self,
        product: &str,
        user: &str,
        key: &str,
        amount: u64,
    ) -> Result<Reply, ClientError> {
        let path = format!("/api/v2/products/{product}/investments");
        let body = json!({ "amount": amount });
        self.send(Method::POST, &path, user, None, Some(key), Some(&body)).await
    }
}
