//! One key, one answer: `Idempotency-Key` over the `Idempotency` port.
//!
//! # Guarantees
//! * A repeat gets the first answer, byte for byte: `a_repeat_gets_the_first_answer`.
//! * Another payload under the same key is refused: `another_payload_is_refused`.
//! * A run that ended without an answer is run again under the same operation id:
//!   `a_lost_run_is_resumed_under_its_own_id`.
//! * No caller sees another's answer: `a_key_belongs_to_one_caller_and_one_route`.

use std::future::Future;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use largesse_app::ports::{Begun, Clock, Idempotency, Ids, PortResult, StoredAnswer};
use largesse_domain::id::{Ulid, UserId};
use largesse_domain::pool::Attempt;
use sha2::{Digest, Sha256};

use crate::answer::Answer;
use crate::call::Call;
use crate::code::Code;
use crate::error::{ApiError, FieldError, Place};
use crate::extract::{HeaderFault, ROOM_HEADER, USER_HEADER, header_once};
use crate::meta::Version;
use crate::query::Query;

/// The header.
pub const KEY_HEADER: &str = "Idempotency-Key";
/// The longest key.
const KEY_LEN_MAX: usize = 255;

/// The hash of a caller's key; the key itself is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Call {
    /// The request's key, if it has one.
    ///
    /// # Errors
    /// ERR001 when it is repeated, or not 1 to 255 visible ASCII characters.
    pub fn key(&self) -> Result<Option<Key>, ApiError> {
        let (code, detail) = match header_once(&self.headers, KEY_HEADER) {
            Ok(text) if is_key(text) => return Ok(Some(Key(Sha256::digest(text).into()))),
            Err(HeaderFault::Missing) => return Ok(None),
            Ok(_) | Err(HeaderFault::Malformed) => {
                ("malformed", "1 to 255 visible ASCII characters")
            }
            Err(HeaderFault::Repeated) => ("repeated", "the header is needed once"),
        };
        Err(key_error(code, detail))
    }

    /// The request's key, without which it is refused: for what moves money.
    ///
    /// # Errors
    /// As [`Call::key`], and when there is none.
    pub fn required_key(&self) -> Result<Option<Key>, ApiError> {
        let missing = || key_error("missing", "the header is needed where money moves");
        self.key()?.ok_or_else(missing).map(Some)
    }
}

fn is_key(text: &str) -> bool {
    (1..=KEY_LEN_MAX).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn key_error(code: &'static str, detail: &'static str) -> ApiError {
    ApiError::invalid(vec![FieldError::new(Place::Header, KEY_HEADER, code, detail)])
}

/// Runs a request at most once for its key. `run` is given the operation's id, which is the same
/// whenever the same request runs again: what it makes under that id, it makes once.
///
/// # Errors
/// ERR001 for a query string, of which no write takes any (v2); ERR006; ERR008; and whatever `run`
/// fails with.
pub async fn once<D, F, Fut>(
    deps: &D,
    call: &Call,
    caller: &UserId,
    key: Option<Key>,
    run: F,
) -> Result<Response, ApiError>
where
    D: Idempotency + Clock + Ids,
    F: FnOnce(Ulid) -> Fut,
    Fut: Future<Output = Result<Answer, ApiError>>,
{
    let op = deps.ulid();
    if call.meta.version == Version::V2 {
        Query::of(call, &[])?;
    }
    let Some(key) = key else { return run(op).await.map(IntoResponse::into_response) };
    let name = name_of(call, caller, &key);
    match deps.begin(&name, &payload_of(call), op, deps.now()).await? {
        Begun::Fresh(op) | Begun::Resumed(op) => {
            let outcome = run(op).await;
            settle(deps, call, &name, op, outcome).await
        }
        Begun::Done(answer) => Ok(replay(call, answer)),
        Begun::InFlight => {
            let detail = "A request with this key is still running.";
            Err(ApiError::new(Code::IdempotencyConflict, detail).retry_after(1))
        }
        Begun::OtherPayload => {
            let detail = "This key was used with another request.";
            Err(ApiError::new(Code::IdempotencyConflict, detail)
                .status(StatusCode::UNPROCESSABLE_ENTITY))
        }
    }
}

/// Keeps the answer, or lets go of the key when the answer says "try again".
async fn settle<D: Idempotency>(
    deps: &D,
    call: &Call,
    name: &str,
    op: Ulid,
    outcome: Result<Answer, ApiError>,
) -> Result<Response, ApiError> {
    let (stored, response) = match outcome {
        Ok(answer) => {
            let stored = StoredAnswer { status: answer.status.as_u16(), body: answer.body.clone() };
            (stored, answer.into_response())
        }
        Err(error) => {
            let status = error.status_in(call.meta.version);
            if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
                forgive(deps.let_go(name, op).await);
                return Err(error);
            }
            let body = error.body(&call.meta);
            (StoredAnswer { status: status.as_u16(), body }, error.render(&call.meta))
        }
    };
    forgive(deps.finish(name, op, &stored).await);
    Ok(response)
}

/// What was done is done: a failure to note it only makes a repeat run again under the same id.
fn forgive(noted: PortResult<()>) {
    if let Err(error) = noted {
        tracing::warn!(error.operation = error.operation, "the idempotency record was not kept");
    }
}

fn replay(call: &Call, stored: StoredAnswer) -> Response {
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let is_problem = status.as_u16() >= 400 && call.meta.version == Version::V2;
    let mut response = Answer { status, body: stored.body, replayed: true }.into_response();
    if is_problem {
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// Whose key, for what: the route's pattern holds no caller's text.
fn name_of(call: &Call, caller: &UserId, key: &Key) -> String {
    format!("{caller}#{} {}#{}", call.method, call.route, hex::encode(key.0))
}

/// Everything that makes a request the same request.
fn payload_of(call: &Call) -> String {
    let header = |name: &str| call.headers.get(name).map_or(&[][..], |value| value.as_bytes());
    let parts = [
        call.method.as_str().as_bytes(),
        call.uri.path().as_bytes(),
        call.query().as_bytes(),
        header(USER_HEADER),
        header(ROOM_HEADER),
        &call.body,
    ];
    let mut hash = Sha256::new();
    for part in parts {
        // Lengths keep one part from running into the next.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// The number of the attempt that an operation makes: the same whenever it runs again, and of no
/// other operation.
#[must_use]
pub fn attempt_of(op: Ulid) -> Attempt {
    let [_, _, _, _, _, _, _, _, random @ ..] = op.to_bytes();
    Attempt::from_bits(u64::from_be_bytes(random))
}

#[cfg(test)]
#[path = "idempotency_tests.rs"]
mod tests;
