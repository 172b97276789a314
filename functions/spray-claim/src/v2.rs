//! v2: `POST /api/v2/sprays/{token}/claims`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::spray::claim::Claimed;
use largesse_edge::openapi::{CallerHeader, OptionalKeyHeader, RoomHeader};
use largesse_edge::{Answer, ApiError, App, Call, idempotency};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Deps, Wish, refuse, token_of};

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
/// share, so no key is needed; a repeat under the same `Idempotency-Key` gets the first answer for
/// 24 hours. A body only tells one request from another under the same key.
#[utoipa::path(
    post, path = "/api/v2/sprays/{token}/claims", tag = "spray", operation_id = "claimShare",
    params(
        CallerHeader, RoomHeader, OptionalKeyHeader,
        ("token" = String, Path, description = "The spray's token.", example = "A7Q"),
    ),
    responses(
        (status = 201, description = "The share is theirs and will be paid.", body = ShareClaimed),
        (status = 403, description = "ERR004 ERR101"),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR102 ERR103 ERR006"),
        (status = 410, description = "ERR104"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn claim<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let (member, room, key) = (call.caller()?, call.room()?, call.key()?);
    let token = token_of(&*app.deps, (&member, room), call.param("token")).await.map_err(refuse)?;
    let wish = Wish { member, room, token, is_keyed: key.is_some() };
    idempotency::once(&*app.deps, &call, &wish.member, key, async |op| {
        let Claimed { amount, replayed } = wish.draw(&*app.deps, op).await.map_err(refuse)?;
        let answer = Answer::json(StatusCode::CREATED, &ShareClaimed { amount: amount.get() })?;
        Ok(Answer { replayed, ..answer })
    })
    .await
}
