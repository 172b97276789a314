//! Rooms and their members: `POST /rooms`, `PUT` and `DELETE /rooms/{room}/members/{user}`; in v1
//! `POST /rooms` and `POST /rooms/{room_id}/invite`.

use std::sync::Arc;

use axum::Router;
use axum::routing::{post, put};
use largesse_app::room::RoomError;
use largesse_edge::{ApiError, App, EdgeConfig, Ports};
use utoipa::OpenApi;

pub mod v1;
pub mod v2;

/// The routes.
pub fn router<D: Ports>(deps: Arc<D>, edge: Arc<EdgeConfig>) -> Router {
    let member = put(v2::add_member::<D>).delete(v2::remove_member::<D>);
    Router::new()
        .route("/api/v1/rooms", post(v1::create_room::<D>))
        .route("/api/v1/rooms/{room_id}/invite", post(v1::invite::<D>))
        .route("/api/v2/rooms", post(v2::create_room::<D>))
        .route("/api/v2/rooms/{room}/members/{user}", member)
        .with_state(App { deps, edge })
}

#[derive(OpenApi)]
#[openapi(paths(v1::create_room, v1::invite, v2::create_room, v2::add_member, v2::remove_member))]
struct Api;

/// The routes' description.
#[must_use]
pub fn api() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

fn refuse(error: RoomError) -> ApiError {
    match error {
        RoomError::NotAMember => ApiError::not_a_member(),
        RoomError::Port(error) => error.into(),
    }
}
