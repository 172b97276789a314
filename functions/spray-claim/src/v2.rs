//! v2: `POST /api/v2/sprays/{token}/claims`.

use axum::extract::State;
use http::StatusCode;
use largesse_edge::openapi::{CallerHeader, RoomHeader};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, limits};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Deps, claim_share, refuse};

/// A claim that won.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShareClaimed {
    /// The share.
    #[schema(minimum = 1, example = 3_337)]
    amount: u64,
}

/// Claim a share
///
/// Once for each member. Any later claim of the same member gets ERR102 with the `amount` of their
/// share, so a claim takes no `Idempotency-Key` and no body; both are ignored.
#[utoipa::path(
    post, path = "/api/v2/sprays/{token}/claims", tag = "spray", operation_id = "claimShare",
    params(
        CallerHeader, RoomHeader,
        ("token" = String, Path, description = "The spray's token.", example = "A7Q"),
    ),
    responses(
        (status = 201, description = "The share is theirs and will be paid.", body = ShareClaimed),
        (status = 403, description = "ERR004 ERR101"),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR102 ERR103"),
        (status = 410, description = "ERR104"),
    )
)]
pub async fn claim<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let (member, room) = (call.caller()?, call.room()?);
    Query::of(&call, &[])?;
    let (token, misses) = (call.param("token"), limits::misses_of(&app.edge, &call));
    let amount = claim_share(&*app.deps, member, room, token, misses).await.map_err(refuse)?;
    Answer::json(StatusCode::CREATED, &ShareClaimed { amount: amount.get() })
}
