//! `Idempotency-Key` over the `Idempotency` port: a request runs once for its key.
//!
//! Claims take no key: the member is the key.
//!
//! # Guarantees
//! * A repeat gets the first answer, byte for byte: `a_repeat_gets_the_first_answer`.
//! * A repeat waits up to 2 s for a first request that is still running:
//!   `a_repeat_waits_for_its_twin_and_gets_its_answer`,
//!   `a_twin_that_runs_longer_than_two_seconds_is_a_conflict`.
//! * Another payload under the same key is refused: `another_payload_is_refused`.
//! * A run that ended without an answer runs again under the same operation id:
//!   `a_lost_run_is_resumed_under_its_own_id`.
//! * No caller sees another caller's answer: `a_key_belongs_to_one_caller_and_one_route`.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use largesse_app::ports::{
    Begun, Clock, Idempotency, Ids, Pause, PortResult, Retention, StoredAnswer,
};
use largesse_domain::id::{Ulid, UserId};
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
/// The pauses of a repeat whose first request is still running, in milliseconds. Their sum is the
/// 2 s that the API promises; most requests end within the first two.
const WAITS_MS: [u64; 6] = [50, 100, 200, 400, 600, 650];

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

    /// The request's key, which a request that moves money must have.
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

/// What it takes to run a request once for its key.
pub trait Repeats: Idempotency + Clock + Ids + Pause {}

impl<T: Idempotency + Clock + Ids + Pause> Repeats for T {}

/// Runs a request at most once for its key, which is kept for 24 hours: [`once_for`].
///
/// # Errors
/// Those of [`once_for`].
pub async fn once<D: Repeats>(
    deps: &D,
    call: &Call,
    caller: &UserId,
    key: Option<Key>,
    run: impl AsyncFnOnce(Ulid) -> Result<Answer, ApiError>,
) -> Result<Response, ApiError> {
    once_for(Retention::DAY, deps, call, caller, key, run).await
}

/// Runs a request at most once for its key, which is kept as `retention` says. `run` receives the
/// operation id, which stays the same when the request runs again: `run` creates everything under that
/// id, so it creates it once.
///
/// # Errors
/// ERR001 for a query string, since no write takes one (v2); ERR006; ERR008; and the errors of
/// `run`.
pub async fn once_for<D: Repeats>(
    retention: Retention,
    deps: &D,
    call: &Call,
    caller: &UserId,
    key: Option<Key>,
    run: impl AsyncFnOnce(Ulid) -> Result<Answer, ApiError>,
) -> Result<Response, ApiError> {
    let op = deps.ulid();
    if call.meta.version == Version::V2 {
        Query::of(call, &[])?;
    }
    let Some(key) = key else { return run(op).await.map(IntoResponse::into_response) };
    let name = name_of(call, caller, &key);
    match begin(retention, deps, &name, &payload_of(call), op).await? {
        Begun::Fresh(op) | Begun::Resumed(op) => {
            let outcome = run(op).await;
            finish(deps, call, &name, op, outcome).await
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

/// Begins the operation. While the first request with this key is running, waits for it.
async fn begin<D: Repeats>(
    retention: Retention,
    deps: &D,
    name: &str,
    payload: &str,
    op: Ulid,
) -> PortResult<Begun> {
    for wait_ms in WAITS_MS {
        let begun = deps.begin(name, payload, op, deps.now(), retention).await?;
        if begun != Begun::InFlight {
            return Ok(begun);
        }
        deps.pause_ms(wait_ms).await;
    }
    deps.begin(name, payload, op, deps.now(), retention).await
}

/// Stores the answer, or releases the key when the answer asks the caller to repeat.
async fn finish<D: Idempotency>(
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
                log_failure(deps.release(name, op).await);
                return Err(error);
            }
            let body = error.body(&call.meta);
            (StoredAnswer { status: status.as_u16(), body }, error.render(&call.meta))
        }
    };
    log_failure(deps.finish(name, op, &stored).await);
    Ok(response)
}

/// Logs that the record was not written. The request itself is done: without the record, a repeat
/// only runs again under the same operation id.
fn log_failure(written: PortResult<()>) {
    if let Err(error) = written {
        tracing::warn!(error.operation = error.operation, "the idempotency record was not written");
    }
}

fn replay(call: &Call, stored: StoredAnswer) -> Response {
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
    let is_problem = status.as_u16() >= 400 && call.meta.version == Version::V2;
    let mut response =
        Answer { status, body: stored.body, replayed: true, standing: None }.into_response();
    if is_problem {
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    response
}

/// The name of the record: the owner of the API key, caller, route and key. The route is the pattern,
/// not the path. With `AUTH=open` there is no owner; no user id holds a `/`, so no name of one mode is
/// one of the other.
fn name_of(call: &Call, caller: &UserId, key: &Key) -> String {
    let owner = call.service.as_ref().map(|service| format!("{}/", service.owner));
    let owner = owner.unwrap_or_default();
    format!("{owner}{caller}#{} {}#{}", call.method, call.route, hex::encode(key.0))
}

/// The hash over every part of a request that a repeat must have in common with it.
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
        // The length in front separates each part from the next.
        hash.update(part.len().to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
#[path = "idempotency_tests.rs"]
mod tests;
