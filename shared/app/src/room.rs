//! Rooms: make one, read it, change its members.

use largesse_domain::id::{RoomId, UserId};
use largesse_domain::room::RoomName;

use crate::page::Page;
use crate::ports::{Clock, MembersChanged, PortError, Room, Rooms};

/// Why a room is neither shown nor changed, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// The caller is not in it, or there is none: the caller cannot tell which.
    #[error("the caller is not a member of the room")]
    NotAMember,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Makes a room; the caller becomes a member, beside those named.
///
/// # Errors
/// [`PortError`].
pub async fn create<D: Rooms + Clock>(
    deps: &D,
    id: RoomId,
    caller: UserId,
    name: RoomName,
    mut members: Vec<UserId>,
) -> Result<Room, PortError> {
    members.push(caller);
    members.sort();
    members.dedup();
    let room = Room { id, name };
    deps.create_room(&room, &members, deps.now()).await?;
    Ok(room)
}

/// Reads a room and a page of its members.
///
/// # Errors
/// [`RoomError`], the first in its order.
pub async fn read<D: Rooms>(
    deps: &D,
    id: RoomId,
    caller: &UserId,
    after: Option<UserId>,
    limit: u32,
) -> Result<(Room, Page<UserId, UserId>), RoomError> {
    require_member(deps, id, caller).await?;
    let room = deps.room(id).await?.ok_or(RoomError::NotAMember)?;
    let members = deps.members(id, after, limit).await?;
    Ok((room, members))
}

/// Adds a member; only a member may.
///
/// # Errors
/// [`RoomError`], the first in its order.
pub async fn add_member<D: Rooms + Clock>(
    deps: &D,
    id: RoomId,
    caller: &UserId,
    user: &UserId,
) -> Result<MembersChanged, RoomError> {
    require_member(deps, id, caller).await?;
    Ok(deps.add_member(id, user, deps.now()).await?)
}

/// Removes a member; only a member may, and may remove themselves.
///
/// # Errors
/// [`RoomError`], the first in its order.
pub async fn remove_member<D: Rooms>(
    deps: &D,
    id: RoomId,
    caller: &UserId,
    user: &UserId,
) -> Result<MembersChanged, RoomError> {
    require_member(deps, id, caller).await?;
    Ok(deps.remove_member(id, user).await?)
}

async fn require_member<D: Rooms>(deps: &D, id: RoomId, caller: &UserId) -> Result<(), RoomError> {
    if deps.is_member(id, caller).await? { Ok(()) } else { Err(RoomError::NotAMember) }
}
