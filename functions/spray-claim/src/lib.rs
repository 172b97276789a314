//! `POST /api/v2/sprays/{token}/claims` and `POST /api/v1/receive`: a member claims one share.

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use largesse_app::spray::claim::{Claim, ClaimError, Claimed, claim};
use largesse_domain::id::{RoomId, Token, Ulid, UserId};
use largesse_edge::idempotency::attempt_of;
use largesse_edge::{ApiError, App, Code, EdgeConfig, Ports};
use utoipa::OpenApi;

pub mod v1;
pub mod v2;

/// The routes.
pub fn router<D: Ports>(deps: Arc<D>, edge: Arc<EdgeConfig>) -> Router {
    Router::new()
        .route("/api/v1/receive", post(v1::claim::<D>))
        .route("/api/v2/sprays/{token}/claims", post(v2::claim::<D>))
        .with_state(App { deps, edge })
}

#[derive(OpenApi)]
#[openapi(paths(v1::claim, v2::claim))]
struct Api;

/// The routes' description.
#[must_use]
pub fn api() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

/// The token as it was sent. Who is not in the room learns nothing about tokens, not even which are
/// malformed.
async fn token_of<D: Ports>(
    deps: &D,
    (member, room): (&UserId, RoomId),
    text: &str,
) -> Result<Token, ClaimError> {
    match text.parse() {
        Ok(token) => Ok(token),
        Err(_) if deps.is_member(room, member).await? => Err(ClaimError::NoSuchToken),
        Err(_) => Err(ClaimError::NotAMember),
    }
}

/// Who claims what, and whether under a key.
struct Wish {
    member: UserId,
    room: RoomId,
    token: Token,
    is_keyed: bool,
}

impl Wish {
    async fn draw<D: Ports>(&self, deps: &D, op: Ulid) -> Result<Claimed, ClaimError> {
        let key = self.is_keyed.then(|| attempt_of(op));
        let Self { member, room, token, .. } = self;
        claim(deps, Claim { room: *room, token: *token, member: member.clone(), key }).await
    }
}

fn refuse(error: ClaimError) -> ApiError {
    match error {
        ClaimError::NotAMember => ApiError::not_a_member(),
        ClaimError::NoSuchToken => ApiError::not_found(),
        ClaimError::OwnSpray => {
            ApiError::new(Code::OwnSpray, "The sender takes no share of their own spray.")
        }
        ClaimError::WindowOver => ApiError::expired("The spray is over."),
        ClaimError::Already { amount } => {
            ApiError::new(Code::AlreadyClaimed, "You have a share of this spray.")
                .with("amount", amount.get())
        }
        ClaimError::Exhausted => ApiError::new(Code::Exhausted, "All shares are taken."),
        ClaimError::Port(error) => error.into(),
    }
}
