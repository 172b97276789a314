//! The middleware that admits requests, in front of every route of every function.
//!
//! The checks come in the order of [`Refusal`]: cheap ones first, and nothing is written before all
//! others have passed. Only the holder of a key learns that its address or its scope is refused.
//!
//! # Guarantees
//! * Each cause has its answer, in this order: `each_cause_is_refused_with_its_reason_and_in_order`.
//! * A refused request writes nothing: `a_refused_request_takes_no_nonce`.
//! * A route without a rule is refused: `a_route_that_is_not_in_the_table_is_refused`.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header, request};
use largesse_app::invocation::SourceAddress;
use largesse_app::key::check;
use largesse_app::ports::{Clock, Ids, Keys};
use largesse_domain::key::ApiKey;
use largesse_domain::time::Timestamp;

use super::caller::Caller;
use super::refusal::Refusal;
use super::secrets::SignatureSecrets;
use super::signature::{
    NONCE_HEADER, Parts, SIGNATURE_HEADER, Signatures, TIMESTAMP_HEADER, decoded_path, signed_text,
};
use super::table::Rule;
use crate::call::read_body;
use crate::config::{Auth, EdgeConfig};
use crate::extract::{HeaderFault, ROOM_HEADER, USER_HEADER, header_once};

/// The characters of a nonce: 16 have 96 random bits and more, 64 are those of a user id.
const NONCE_LEN: std::ops::RangeInclusive<usize> = 16..=64;
/// The digits of a time in seconds, up to the year 5138.
const TIMESTAMP_LEN_MAX: usize = 11;

/// What the middleware works with.
struct Gate<D> {
    deps: Arc<D>,
    secrets: SignatureSecrets,
}

impl<D> Clone for Gate<D> {
    fn clone(&self) -> Self {
        Self { deps: Arc::clone(&self.deps), secrets: self.secrets.clone() }
    }
}

/// Puts the middleware in front of each route, unless the mode is open. Requests without a route pass:
/// the kernel answers them.
pub fn protect<D>(router: Router, deps: &Arc<D>, edge: &EdgeConfig) -> Router
where
    D: Keys + Clock + Ids + 'static,
{
    match &edge.auth {
        Auth::Open => router,
        Auth::Signed(secrets) => {
            let gate = Gate { deps: Arc::clone(deps), secrets: secrets.clone() };
            router.route_layer(from_fn_with_state(gate, admit::<D>))
        }
    }
}

async fn admit<D>(State(gate): State<Gate<D>>, request: Request, next: Next) -> Response
where
    D: Keys + Clock + Ids + 'static,
{
    match gate.checked(request).await {
        Ok(request) => {
            let caller = Caller::of(request.extensions());
            let mut response = next.run(request).await;
            // For the line of the log.
            if let Some(caller) = caller {
                response.extensions_mut().insert(caller);
            }
            response
        }
        Err(refusal) => refusal.into_response(),
    }
}

impl<D: Keys + Clock + Ids> Gate<D> {
    /// The request, once every check has passed, with its [`Caller`] and with its body read.
    async fn checked(&self, request: Request) -> Result<Request, Refusal> {
        let path = request.extensions().get::<MatchedPath>();
        let rule = path.and_then(|path| Rule::of(request.method(), path.as_str()));
        let rule = rule.ok_or(Refusal::NoRule)?;
        let Some(scope) = rule.scope else { return Ok(request) };
        let (deps, now) = (&*self.deps, self.deps.now());
        let given = Given::read(request.headers())?;
        let source = request.extensions().get::<SourceAddress>().map(|source| source.0);
        let key = check::key(deps, &given.key, source, now).await?;
        if !check::is_timely(given.signed, now) {
            return Err(Refusal::Clock);
        }
        let body = read_body(request, rule.body_len_max()).await;
        let (mut head, body) = body.map_err(Refusal::Body)?;
        let text = given.text(&head, &body)?;
        if !self.secrets.verify(key.id, &given.signatures, &text) {
            return Err(Refusal::Signature);
        }
        if !key.terms.scopes.has(scope) {
            return Err(Refusal::Scope(scope));
        }
        // The first write: a request that is refused above takes no nonce.
        let is_first = check::is_first(deps, &key, &given.nonce, now).await;
        if !is_first.map_err(|error| Refusal::Port(error.into()))? {
            return Err(Refusal::Nonce);
        }
        check::used(deps, &key, now).await;
        let (owner, scopes) = (key.terms.owner, key.terms.scopes);
        head.extensions.insert(Caller { owner, key: key.id, scopes });
        Ok(Request::from_parts(head, Body::from(body)))
    }
}

/// What a caller gives to be admitted.
struct Given {
    key: ApiKey,
    signatures: Signatures,
    timestamp: String,
    signed: Timestamp,
    nonce: String,
    user: String,
    room: String,
}

impl Given {
    fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let once = |name: &str| {
            header_once(headers, name).map_err(|fault| match fault {
                HeaderFault::Missing => Refusal::Missing,
                HeaderFault::Repeated | HeaderFault::Malformed => Refusal::Malformed,
            })
        };
        let authorization = once(header::AUTHORIZATION.as_str())?;
        let signatures = joined(headers, SIGNATURE_HEADER)?.ok_or(Refusal::Missing)?;
        let (timestamp, nonce) = (once(TIMESTAMP_HEADER)?, once(NONCE_HEADER)?);
        let signed = seconds(timestamp).ok_or(Refusal::Malformed)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if !(NONCE_LEN.contains(&nonce.len()) && nonce.bytes().all(allowed)) {
            return Err(Refusal::Malformed);
        }
        Ok(Self {
            key: bearer(authorization).ok_or(Refusal::Malformed)?,
            signatures: Signatures::parse(&signatures).ok_or(Refusal::Malformed)?,
            timestamp: timestamp.to_owned(),
            signed,
            nonce: nonce.to_owned(),
            user: joined(headers, USER_HEADER)?.unwrap_or_default(),
            room: joined(headers, ROOM_HEADER)?.unwrap_or_default(),
        })
    }

    /// The text that must be signed.
    fn text(&self, head: &request::Parts, body: &[u8]) -> Result<String, Refusal> {
        let path = decoded_path(head.uri.path()).ok_or(Refusal::Malformed)?;
        Ok(signed_text(&Parts {
            method: head.method.as_str(),
            path: &path,
            query: head.uri.query().unwrap_or_default(),
            timestamp: &self.timestamp,
            nonce: &self.nonce,
            user: &self.user,
            room: &self.room,
            body,
        }))
    }
}

/// The key of `Authorization: Bearer <key>`. The name of the scheme is read in any case (RFC 9110,
/// section 11.1).
fn bearer(value: &str) -> Option<ApiKey> {
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().parse().ok()).flatten()
}

/// A time in plain digits.
fn seconds(text: &str) -> Option<Timestamp> {
    let is_plain = (1..=TIMESTAMP_LEN_MAX).contains(&text.len());
    let is_plain = is_plain && text.bytes().all(|byte| byte.is_ascii_digit());
    let ms = text.parse::<i64>().ok().filter(|_| is_plain)?.checked_mul(1_000)?;
    Some(Timestamp::from_ms(ms))
}

/// The value of a header; the values of one that comes twice are joined as API Gateway joins them.
fn joined(headers: &HeaderMap, name: &str) -> Result<Option<String>, Refusal> {
    let values = headers.get_all(name).iter().map(|value| value.to_str());
    let values: Result<Vec<&str>, _> = values.collect();
    let values = values.map_err(|_| Refusal::Malformed)?;
    Ok((!values.is_empty()).then(|| values.join(",")))
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
