//! Rooms and their members.

use std::future::Future;

use largesse_domain::id::{RoomId, UserId};
use largesse_domain::room::RoomName;
use largesse_domain::time::Timestamp;

use super::PortResult;
use crate::page::Page;

/// A room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: RoomName,
}

/// What became of a change of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersChanged {
    /// Done.
    Changed,
    /// It was so already.
    Unchanged,
}

/// Rooms and who is in them.
pub trait Rooms: Send + Sync {
    /// Makes a room with its first members, in one transaction. Repeating it changes nothing.
    fn create_room(
        &self,
        room: &Room,
        members: &[UserId],
        now: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// The room of that id. Strongly consistent.
    fn room(&self, id: RoomId) -> impl Future<Output = PortResult<Option<Room>>> + Send;

    /// Whether the user is in the room. "Yes" may be up to one second old; "no" is never old.
    fn is_member(
        &self,
        room: RoomId,
        user: &UserId,
    ) -> impl Future<Output = PortResult<bool>> + Send;

    /// The members in the order of their ids, `limit` at a time.
    fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<UserId, UserId>>> + Send;

    /// Adds a member. Idempotent. The room exists: the caller has read it.
    fn add_member(
        &self,
        room: RoomId,
        user: &UserId,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<MembersChanged>> + Send;

    /// Removes a member. Idempotent.
    fn remove_member(
        &self,
        room: RoomId,
        user: &UserId,
    ) -> impl Future<Output = PortResult<MembersChanged>> + Send;
}
