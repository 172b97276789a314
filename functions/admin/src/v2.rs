//! v2: rooms and their members.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::room;
use largesse_domain::id::{RoomId, UserId};
use largesse_domain::room::{ROOM_FIRST_MEMBERS_MAX, RoomName};
use largesse_edge::openapi::{CallerHeader, OptionalKeyHeader};
use largesse_edge::query::Query;
use largesse_edge::{Answer, ApiError, App, Call, FieldError, limits};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Deps;

/// The room to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomRequest {
    /// The name: 1 to 100 characters, counted and kept in Unicode's normal form C. At least one is
    /// visible; none is a control character or controls the direction of text.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$",
        example = "Lunch"
    )]
    name: String,
    /// The first members besides the caller.
    #[serde(default)]
    #[schema(max_items = 98, example = json!(["bob", "eve"]))]
    members: Vec<String>,
}

impl RoomRequest {
    fn read(&self) -> Result<(RoomName, Vec<UserId>), FieldError> {
        let name = RoomName::new(&self.name)
            .map_err(|error| FieldError::body("name", "invalid", error.to_string()))?;
        if self.members.len() > ROOM_FIRST_MEMBERS_MAX {
            let detail = format!("at most {ROOM_FIRST_MEMBERS_MAX} members");
            return Err(FieldError::body("members", "out_of_range", detail));
        }
        let members = self.members.iter().enumerate().map(|(position, member)| {
            let field = format!("members[{position}]");
            member
                .parse::<UserId>()
                .map_err(|error| FieldError::body(field, "invalid", error.to_string()))
        });
        Ok((name, members.collect::<Result<_, _>>()?))
    }
}

/// The created room.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoomCreated {
    /// The id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    room_id: String,
    /// The name.
    #[schema(example = "Lunch")]
    name: String,
}

/// Create a room
///
/// The caller becomes a member.
#[utoipa::path(
    post, path = "/api/v2/rooms", tag = "room", operation_id = "createRoom",
    params(CallerHeader, OptionalKeyHeader), request_body = RoomRequest,
    responses(
        (status = 201, description = "The room is created.", body = RoomCreated),
        (status = 409, description = "ERR006"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn create_room<D: Deps>(
    State(app): State<App<D>>,
    call: Call,
) -> Result<Response, ApiError> {
    let (caller, key) = (call.caller()?, call.key()?);
    let request: RoomRequest = call.json()?;
    let (name, members) = request.read().map_err(|error| ApiError::invalid(vec![error]))?;
    let creator = caller.clone();
    let deps = &*app.deps;
    limits::create_once(&app, &call, &caller, key, async |op| {
        let room = room::create(deps, RoomId(op), creator, name, members).await?;
        let name = room.name.as_str().to_owned();
        Answer::json(StatusCode::CREATED, &RoomCreated { room_id: room.id.to_string(), name })
    })
    .await
}

/// Add a member
///
/// The caller must be a member. Adding a member again changes nothing.
#[utoipa::path(
    put, path = "/api/v2/rooms/{room}/members/{user}", tag = "room", operation_id = "addMember",
    params(
        CallerHeader,
        ("room" = String, Path, description = "The room.", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
        ("user" = String, Path, description = "The member.", example = "bob"),
    ),
    responses(
        (status = 204, description = "The user is a member."),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn add_member<D: Deps>(
    State(app): State<App<D>>,
    call: Call,
) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    Query::of(&call, &[])?;
    let (room, user) = (call.path("room")?, call.path("user")?);
    room::add_member(&*app.deps, room, &caller, &user).await.map_err(crate::refuse)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}

/// Remove a member
///
/// The caller must be a member, and can remove themselves.
#[utoipa::path(
    delete, path = "/api/v2/rooms/{room}/members/{user}", tag = "room",
    operation_id = "removeMember",
    params(
        CallerHeader,
        ("room" = String, Path, description = "The room.", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
        ("user" = String, Path, description = "The member.", example = "bob"),
    ),
    responses(
        (status = 204, description = "The user is not a member."),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
    )
)]
pub async fn remove_member<D: Deps>(
    State(app): State<App<D>>,
    call: Call,
) -> Result<Answer, ApiError> {
    let caller = call.caller()?;
    Query::of(&call, &[])?;
    let (room, user) = (call.path("room")?, call.path("user")?);
    room::remove_member(&*app.deps, room, &caller, &user).await.map_err(crate::refuse)?;
    Ok(Answer::empty(StatusCode::NO_CONTENT))
}
