//! v2: `POST /api/v2/drops/{id}/entries`.

use axum::extract::State;
use http::StatusCode;
use largesse_app::drop::enter::{Entered, enter as enter_drop};
use largesse_edge::openapi::CallerHeader;
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Deps, refuse};

/// An entry that won a slot.
#[derive(Debug, Serialize, ToSchema)]
pub struct SlotWon {
    /// Always `won`.
    #[schema(example = "won")]
    state: &'static str,
    /// The number of the slot, from 1.
    #[schema(minimum = 1, example = 4_217)]
    slot: u64,
    /// The amount, which is being paid.
    #[schema(minimum = 1, example = 5_000)]
    amount: u64,
}

/// An entry that has a place on the waiting list, or a lot.
#[derive(Debug, Serialize, ToSchema)]
pub struct EntryTaken {
    /// `waiting`: a place on the waiting list. `registered`: a lot, which is drawn when the time for lots is
    /// over.
    #[schema(example = "waiting")]
    state: &'static str,
    /// 1 for the next to get a slot, a moment old; absent when the list could not be read now, and with
    /// `registered`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, example = 12)]
    position: Option<u64>,
}

/// Enter a drop
///
/// Once for each member. Any later entry of the same member gets ERR301 with the `slot`, or again the
/// place on the waiting list, so an entry takes no `Idempotency-Key` and no body; both are ignored. A
/// member of the list who is given a slot is paid without entering again. So is a member whose lot is drawn.
#[utoipa::path(
    post, path = "/api/v2/drops/{id}/entries", tag = "drop", operation_id = "enterDrop",
    params(
        CallerHeader,
        ("id" = String, Path, description = "The drop.", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
    ),
    responses(
        (status = 201, description = "The slot is theirs and will be paid.", body = SlotWon),
        (status = 202, description = "They wait for a slot, or have a lot.", body = EntryTaken),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR301 ERR303"),
        (status = 410, description = "ERR302 ERR304 ERR305"),
    )
)]
pub async fn enter<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let member = call.caller()?;
    Query::of(&call, &[])?;
    let id = call.path("id")?;
    match enter_drop(&*app.deps, id, member).await.map_err(refuse)? {
        Entered::Won { slot, amount } => {
            let won = SlotWon { state: "won", slot, amount: amount.get() };
            Answer::json(StatusCode::CREATED, &won)
        }
        Entered::Waiting { position } => {
            Answer::json(StatusCode::ACCEPTED, &EntryTaken { state: "waiting", position })
        }
        Entered::Registered => {
            let taken = EntryTaken { state: "registered", position: None };
            Answer::json(StatusCode::ACCEPTED, &taken)
        }
    }
}
