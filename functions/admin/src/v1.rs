//! v1: rooms.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::room;
use largesse_domain::id::{RoomId, UserId};
use largesse_domain::room::RoomName;
use largesse_edge::openapi::{OptionalKeyHeader, V1CallerHeader};
use largesse_edge::v1::{Issues, Limits};
use largesse_edge::{Answer, ApiError, App, Call, FieldError, idempotency, limits};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Deps;

/// The room to create.
#[derive(Debug, ToSchema)]
pub struct V1RoomRequest {
    /// The name: 1 to 100 characters, counted and kept in Unicode's normal form C. At least one is
    /// visible; none is a control character or controls the direction of text.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*$",
        example = "Lunch"
    )]
    pub room_name: String,
}

/// The created room.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1RoomCreated {
    /// The id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    room_id: String,
    /// The name.
    #[schema(example = "Lunch")]
    room_name: String,
}

/// The user to add. The integer may be written as a string.
#[derive(Debug, ToSchema)]
pub struct V1Invitation {
    /// The user.
    #[schema(example = 8)]
    pub user_id: i64,
}

/// The user is a member.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1Invited {
    /// Always `User invited`.
    message: &'static str,
}

fn room_name(issues: &mut Issues, call: &Call) -> Option<RoomName> {
    let body = issues.body(call)?;
    let name = RoomName::new(issues.text(&body, "room_name")?);
    if let Err(error) = &name {
        let detail = format!("Value error, {error}");
        issues.add(FieldError::body("room_name", "value_error", detail));
    }
    name.ok()
}

/// Create a room
///
/// The caller becomes a member.
#[utoipa::path(
    post, path = "/api/v1/rooms", tag = "v1", operation_id = "v1CreateRoom",
    params(V1CallerHeader, OptionalKeyHeader), request_body = V1RoomRequest,
    responses((status = 200, description = "The room is created.", body = V1RoomCreated))
)]
pub async fn create_room<D: Deps>(
    State(app): State<App<D>>,
    call: Call,
) -> Result<Response, ApiError> {
    let mut issues = Issues::default();
    let caller = issues.caller(&call);
    let name = room_name(&mut issues, &call);
    let (Some(caller), Some(name)) = (caller, name) else {
        return Err(issues.refuse());
    };
    let key = call.key()?;
    let creator = caller.clone();
    let deps = &*app.deps;
    limits::create_once(&app, &call, &caller, key, async |op| {
        let room = room::create(deps, RoomId(op), creator, name, Vec::new()).await?;
        let room_name = room.name.as_str().to_owned();
        Answer::json(StatusCode::OK, &V1RoomCreated { room_id: room.id.to_string(), room_name })
    })
    .await
}

/// Add a member
///
/// The caller must be a member.
#[utoipa::path(
    post, path = "/api/v1/rooms/{room_id}/invite", tag = "v1", operation_id = "v1Invite",
    params(
        V1CallerHeader, OptionalKeyHeader,
        (
            "room_id" = String, Path,
            description = "The room.", example = "01K9Z3NDEKTSV4RRFFQ69G5FAV",
        ),
    ),
    request_body = V1Invitation,
    responses(
        (status = 200, description = "The user is a member.", body = V1Invited),
        (status = 403, description = "ERR004"),
    )
)]
pub async fn invite<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let mut issues = Issues::default();
    let caller = issues.caller(&call);
    let body = issues.body(&call);
    let any = Limits::new(i64::MIN, i64::MAX);
    let user = body.as_ref().and_then(|body| issues.integer(body, "user_id", any));
    let user = user.and_then(|user| user.to_string().parse::<UserId>().ok());
    let (Some(caller), Some(user)) = (caller, user) else {
        return Err(issues.refuse());
    };
    let key = call.key()?;
    // A malformed id belongs to no room, so the caller is in no room of that id.
    let room = call.param("room_id").parse().map_err(|_| ApiError::not_a_member())?;
    let deps = &*app.deps;
    let inviter = &caller;
    idempotency::once(deps, &call, &caller, key, async |_op| {
        room::add_member(deps, room, inviter, &user).await.map_err(crate::refuse)?;
        Answer::json(StatusCode::OK, &V1Invited { message: "User invited" })
    })
    .await
}
