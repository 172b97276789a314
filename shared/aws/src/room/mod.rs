//! Rooms and members: table `rooms`.

use std::collections::HashSet;
use std::sync::Arc;

use aws_sdk_dynamodb::operation::delete_item::DeleteItemOutput;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{Put, ReturnValue, TransactWriteItem};
use largesse_app::caches::{RECENT_ROOMS, ROOM_MEMBERS};
use largesse_app::page::Page;
use largesse_app::ports::{Clock, MembersChanged, PortResult, Room, Rooms};
use largesse_domain::id::{RoomId, UserId};
use largesse_domain::room::RoomName;
use largesse_domain::time::Timestamp;

use crate::errors::{TransactError, condition_failed, port_error};
use crate::item::{Item, Reader, ms, s};
use crate::keys::{self, MEMBER, PK, SK};
use crate::store::Store;
use crate::wallet::request_token;

/// How many members of a crowded room are read at once: some 100 KB.
const CROWD_MEMBERS_MAX: u32 = 1_000;

impl Store {
    /// Whether this process read a moment ago that the user is in the room. `false` says nothing.
    fn is_known_member(&self, room: RoomId, user: &UserId) -> bool {
        let now = self.now();
        let is_in_room = |members: Arc<HashSet<UserId>>| members.contains(user);
        self.members.get(&(room, user.clone()), now).is_some()
            || self.room_members.get(&room, now).is_some_and(is_in_room)
    }

    fn put_in_rooms(&self, item: Item, condition: Option<&str>) -> PortResult<TransactWriteItem> {
        let put = Put::builder()
            .table_name(&self.names.rooms)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .build()
            .map_err(|_| crate::errors::corrupt("room item"))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

fn member_item(room: RoomId, user: &UserId, now: Timestamp) -> Item {
    let mut item = keys::member(room, user);
    item.insert("joined_ms".to_owned(), ms(now));
    item
}

impl Rooms for Store {
    async fn create_room(&self, room: &Room, members: &[UserId], now: Timestamp) -> PortResult<()> {
        let mut head = keys::room(room.id);
        head.insert("name".to_owned(), s(room.name.as_str()));
        head.insert("created_ms".to_owned(), ms(now));
        // Not there yet: a repeat under the same id changes neither name nor members.
        let mut items = vec![self.put_in_rooms(head, Some("attribute_not_exists(pk)"))?];
        for user in members {
            items.push(self.put_in_rooms(member_item(room.id, user, now), None)?);
        }
        // A repeat comes at another time, hence with other contents, hence under another token; it
        // is the condition that keeps it from doing anything.
        let token = request_token(&["room", &room.id.to_string(), &now.ms().to_string()]);
        match self.transact("create room", token, items).await {
            Ok(()) => Ok(()),
            Err(TransactError::Refused(reasons)) if condition_failed(&reasons, 0) => Ok(()),
            Err(TransactError::Refused(_)) => Err(crate::errors::contended("create room")),
            Err(TransactError::Port(error)) => Err(error),
        }
    }

    async fn room(&self, id: RoomId) -> PortResult<Option<Room>> {
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.rooms)
            .set_key(Some(keys::room(id)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read room", error))?;
        let Some(item) = got.item else { return Ok(None) };
        let reader = Reader { item: &item, what: "room item" };
        let name = RoomName::stored(reader.text("name")?.to_owned());
        Ok(Some(Room { id, name }))
    }

    async fn is_member(&self, room: RoomId, user: &UserId) -> PortResult<bool> {
        if self.is_known_member(room, user) {
            return Ok(true);
        }
        let until = ROOM_MEMBERS.until(self.now());
        if self.recent_rooms.get(&room, self.now()).is_some() {
            // A crowd of one room reads its members once a second, not one by one.
            let _lock = self.room_locks.lock(&room).await;
            if self.is_known_member(room, user) {
                return Ok(true);
            }
            if self.room_members.get(&room, self.now()).is_none() {
                let page = self.members(room, None, CROWD_MEMBERS_MAX).await?;
                let members: HashSet<UserId> = page.rows.into_iter().collect();
                let is_member = members.contains(user);
                self.room_members.put(room, Arc::new(members), until);
                if is_member || page.next.is_none() {
                    return Ok(is_member);
                }
            }
        }
        self.recent_rooms.put(room, (), RECENT_ROOMS.until(self.now()));
        let got = self
            .dynamo
            .get_item()
            .table_name(&self.names.rooms)
            .set_key(Some(keys::member(room, user)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("read member", error))?;
        if got.item.is_some() {
            self.remember_member(room, user);
        }
        Ok(got.item.is_some())
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: u32,
    ) -> PortResult<Page<UserId, UserId>> {
        let got = self
            .dynamo
            .query()
            .table_name(&self.names.rooms)
            .key_condition_expression("#pk = :room AND begins_with(#sk, :member)")
            .expression_attribute_names("#pk", PK)
            .expression_attribute_names("#sk", SK)
            .expression_attribute_values(":room", s(keys::room_pk(room)))
            .expression_attribute_values(":member", s(MEMBER))
            .set_exclusive_start_key(after.map(|user| keys::member(room, &user)))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| port_error("list members", error))?;
        let rows = got.items.unwrap_or_default();
        let read = |item| Reader { item, what: "member item" }.parse_after(SK, MEMBER);
        let rows: Vec<UserId> = rows.iter().map(read).collect::<PortResult<_>>()?;
        let next = got.last_evaluated_key.and_then(|_| rows.last().cloned());
        Ok(Page { rows, next })
    }

    async fn add_member(
        &self,
        room: RoomId,
        user: &UserId,
        now: Timestamp,
    ) -> PortResult<MembersChanged> {
        let put = self
            .dynamo
            .put_item()
            .table_name(&self.names.rooms)
            .set_item(Some(member_item(room, user, now)))
            // Not there yet: a repeat keeps the day the member joined.
            .condition_expression("attribute_not_exists(pk)")
            .send()
            .await;
        match put {
            Ok(_) => Ok(MembersChanged::Changed),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
            {
                Ok(MembersChanged::Unchanged)
            }
            Err(error) => Err(port_error("add member", error)),
        }
    }

    async fn remove_member(&self, room: RoomId, user: &UserId) -> PortResult<MembersChanged> {
        let deleted: DeleteItemOutput = self
            .dynamo
            .delete_item()
            .table_name(&self.names.rooms)
            .set_key(Some(keys::member(room, user)))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|error| port_error("remove member", error))?;
        self.members.forget(&(room, user.clone()));
        self.room_members.forget(&room);
        let was_there = deleted.attributes.is_some_and(|item| !item.is_empty());
        Ok(if was_there { MembersChanged::Changed } else { MembersChanged::Unchanged })
    }
}
