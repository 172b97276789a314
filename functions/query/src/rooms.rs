//! v2: a room and its members.

use axum::extract::State;
use http::StatusCode;
use largesse_app::room::{RoomError, read};
use largesse_domain::id::UserId;
use largesse_edge::openapi::{CallerHeader, PageQuery};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;

/// A room with a page of its members.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoomView {
    /// The id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    room_id: String,
    /// The name.
    #[schema(example = "Lunch")]
    name: String,
    /// The members, in the order of their ids.
    #[schema(example = json!(["ann", "bob"]))]
    members: Vec<String>,
    /// The start of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Read a room
///
/// The caller must be a member.
#[utoipa::path(
    get, path = "/api/v2/rooms/{room}", tag = "room", operation_id = "getRoom",
    params(
        CallerHeader,
        ("room" = String, Path, description = "The room.", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
        PageQuery,
    ),
    responses(
        (status = 200, description = "The room.", body = RoomView),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn room<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    let query = Query::of(&call, &["limit", "cursor"])?;
    let limit = query.limit()?;
    let (scope, cursors) = (query.scope(&call, &caller), app.cursors()?);
    let after: Option<UserId> =
        query.text("cursor").map(|text| cursors.open(&scope, text)).transpose()?;
    let id = call.path("room")?;
    let read = read(&*app.deps, id, &caller, after, limit).await;
    let (room, page) = read.map_err(|error| match error {
        RoomError::NotAMember => ApiError::not_a_member(),
        RoomError::Port(error) => error.into(),
    })?;
    let view = RoomView {
        room_id: room.id.to_string(),
        name: room.name.as_str().to_owned(),
        members: page.rows.iter().map(ToString::to_string).collect(),
        next_cursor: page.next.map(|next| cursors.seal(&scope, next.as_str())),
    };
    Answer::json(StatusCode::OK, &view)
}
