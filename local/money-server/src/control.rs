//! The control of the server: faults, verdicts, books. It is for tests and operators, and no part of
//! the API.

use std::sync::Arc;

use axum::extract::{Path, State as Extract};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing};
use bytes::Bytes;
use http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::faults::Faults;
use crate::state::Shared;
use crate::wire::Status;

pub(crate) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/control/faults", routing::get(faults).put(set_faults))
        .route("/control/books", routing::get(books))
        .route("/control/verdicts", routing::post(verdict))
        .route("/control/members/{member}/spend", routing::post(spend))
}

fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let body = serde_json::to_vec(body).unwrap_or_default();
    (status, [("content-type", "application/json")], body).into_response()
}

fn refuse(status: StatusCode, why: &str) -> Response {
    json(status, &serde_json::json!({ "detail": why }))
}

/// Reads a body; what is wrong with it is the answer.
fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, String> {
    serde_json::from_slice(body).map_err(|error| error.to_string())
}

async fn faults(Extract(shared): Extract<Arc<Shared>>) -> Response {
    let faults = shared.lock().faults.clone();
    json(StatusCode::OK, &faults)
}

async fn set_faults(Extract(shared): Extract<Arc<Shared>>, body: Bytes) -> Response {
    let read = read::<Faults>(&body);
    let checked = read.and_then(|faults| match faults.check() {
        Ok(()) => Ok(faults),
        Err(error) => Err(error.to_string()),
    });
    match checked {
        Ok(faults) => {
            shared.set_faults(faults.clone());
            json(StatusCode::OK, &faults)
        }
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why),
    }
}

async fn books(Extract(shared): Extract<Arc<Shared>>) -> Response {
    json(StatusCode::OK, &shared.report())
}

/// Decides a pending transfer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Verdict {
    id: String,
    /// `paid` or `refused`.
    status: Status,
}

async fn verdict(Extract(shared): Extract<Arc<Shared>>, body: Bytes) -> Response {
    let verdict = match read::<Verdict>(&body) {
        Ok(verdict) => verdict,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
    };
    let mut state = shared.lock();
    let refusal = match verdict.status {
        Status::Paid => None,
        Status::Refused => Some(state.faults.refusal_code.clone()),
        Status::Pending | Status::Reversed => {
            return refuse(StatusCode::BAD_REQUEST, "a verdict is paid or refused");
        }
    };
    match state.books.verdict(&verdict.id, refusal) {
        Some(is_counted) => json(StatusCode::OK, &serde_json::json!({ "counted": is_counted })),
        None => refuse(StatusCode::NOT_FOUND, "no such transfer"),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spending {
    amount: u64,
}

async fn spend(
    Extract(shared): Extract<Arc<Shared>>,
    Path(member): Path<String>,
    body: Bytes,
) -> Response {
    let amount = match read::<Spending>(&body) {
        Ok(spending) => spending.amount,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
    };
    match shared.lock().books.spend(&member, amount) {
        Some(held) => json(StatusCode::OK, &serde_json::json!({ "held": held })),
        None => refuse(StatusCode::CONFLICT, "the member holds less"),
    }
}
