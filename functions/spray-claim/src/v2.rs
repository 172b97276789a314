//! v2: `POST /api/v2/sprays/{token}/claims`.

use axum::extract::State;
use http::StatusCode;
use largesse_app::spray::claim::{Claim, claim as draw};
use largesse_edge::idempotency::attempt_of;
use largesse_edge::openapi::{CallerHeader, OptionalKeyHeader, RoomHeader};
use largesse_edge::{Answer, ApiError, App, Call, Ports};
use serde::Serialize;
use utoipa::ToSchema;

/// A claim that won.
#[derive(Debug, Serialize, ToSchema)]
pub struct Claimed {
    /// The share.
    #[schema(minimum = 1, example = 3_337)]
    amount: u64,
}

/// Claim a share
///
/// Once for each member. A repeat with the same `Idempotency-Key` gets the same answer; any other
/// claim of the same member gets ERR102 with the `amount` of their share. No body is read.
#[utoipa::path(
    post, path = "/api/v2/sprays/{token}/claims", tag = "spray", operation_id = "claimShare",
    params(
        CallerHeader, RoomHeader, OptionalKeyHeader,
        ("token" = String, Path, description = "The spray's token.", example = "A7Q"),
    ),
    responses(
        (status = 201, description = "The share is theirs and will be paid.", body = Claimed),
        (status = 403, description = "ERR004 ERR101"),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR102 ERR103"),
        (status = 410, description = "ERR104"),
    )
)]
pub async fn claim<D: Ports>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let (member, room, key) = (call.caller()?, call.room()?, call.key()?);
    let token = call.path("token")?;
    let attempt = attempt_of(&*app.deps, &member, key.as_ref());
    let wish = Claim { room, token, member, attempt };
    let claimed = draw(&*app.deps, wish).await.map_err(crate::refuse)?;
    let answer = Answer::json(StatusCode::CREATED, &Claimed { amount: claimed.amount.get() })?;
    Ok(Answer { replayed: claimed.replayed, ..answer })
}
