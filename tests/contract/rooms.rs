//! Rooms and members: a repeat changes nothing.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Clock, MembersChanged, Room, Rooms};
use largesse_domain::id::RoomId;
use largesse_domain::room::RoomName;
use largesse_domain::time::Timestamp;
use largesse_emulator::Service;
use largesse_tests::{Sandbox, user};

fn room(sandbox: &Sandbox, name: &str) -> Room {
    Room { id: RoomId(sandbox.id()), name: RoomName::new(name).unwrap() }
}

/// When a member joined, as it stands in the table.
async fn joined(sandbox: &Sandbox, room: RoomId, name: &str) -> Option<Timestamp> {
    let client = aws_sdk_dynamodb::Client::new(&sandbox.world.sdk_config());
    let get = client.get_item().table_name("largesse-rooms");
    let get =
        get.key("pk", Av::S(format!("ROOM#{room}"))).key("sk", Av::S(format!("MEMBER#{name}")));
    let item = get.send().await.unwrap().item?;
    Some(Timestamp::from_ms(item["joined_ms"].as_n().unwrap().parse().unwrap()))
}

#[tokio::test]
async fn a_room_is_made_once_and_a_repeat_changes_neither_its_name_nor_its_members() {
    let sandbox = Sandbox::new(1);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let first = room(&sandbox, "first");
    store.create_room(&first, &[user("a"), user("b")], now).await.unwrap();
    store.remove_member(first.id, &user("b")).await.unwrap();
    // Later, with another name and other members.
    let again = Room { name: RoomName::new("again").unwrap(), ..first.clone() };
    let members = [user("a"), user("b"), user("c")];
    store.create_room(&again, &members, now.plus_ms(5)).await.unwrap();
    assert_eq!(store.room(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.members(first.id, None, 10).await.unwrap().rows, [user("a")]);
    assert_eq!(joined(&sandbox, first.id, "a").await, Some(now));
}

#[tokio::test]
async fn a_member_who_is_added_again_keeps_the_day_they_joined() {
    let sandbox = Sandbox::new(2);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let made = room(&sandbox, "room");
    store.create_room(&made, &[user("a")], now).await.unwrap();
    let add = async |name: &str, at| store.add_member(made.id, &user(name), at).await.unwrap();
    assert_eq!(add("b", now.plus_ms(1)).await, MembersChanged::Changed);
    for name in ["a", "b"] {
        assert_eq!(add(name, now.plus_ms(2)).await, MembersChanged::Unchanged, "{name}");
    }
    assert_eq!(joined(&sandbox, made.id, "a").await, Some(now));
    assert_eq!(joined(&sandbox, made.id, "b").await, Some(now.plus_ms(1)));
}

#[tokio::test(start_paused = true)]
async fn that_a_user_is_a_member_is_at_most_a_second_old_and_that_one_is_not_is_never_old() {
    let sandbox = Sandbox::new(3);
    let made = room(&sandbox, "room");
    sandbox.store.create_room(&made, &[user("a")], sandbox.store.now()).await.unwrap();
    let (here, there) = (&sandbox.store, sandbox.another_process(31));
    let is_member = async |name: &str| there.is_member(made.id, &user(name)).await.unwrap();
    assert!(is_member("a").await && !is_member("b").await);
    here.add_member(made.id, &user("b"), here.now()).await.unwrap();
    assert!(is_member("b").await, "at once");
    assert_eq!(here.remove_member(made.id, &user("a")).await.unwrap(), MembersChanged::Changed);
    assert_eq!(here.remove_member(made.id, &user("a")).await.unwrap(), MembersChanged::Unchanged);
    tokio::time::advance(Duration::from_millis(999)).await;
    assert!(is_member("a").await, "it remembers");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!is_member("a").await);
    // The process that removes a member forgets it at once.
    assert!(here.is_member(made.id, &user("b")).await.unwrap());
    here.remove_member(made.id, &user("b")).await.unwrap();
    assert!(!here.is_member(made.id, &user("b")).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn members_are_listed_in_pages_in_the_order_of_their_ids() {
    let sandbox = Sandbox::new(4);
    let names: Vec<String> = (0..7).map(|n| format!("m{n}")).collect();
    let members: Vec<&str> = names.iter().rev().map(String::as_str).collect();
    let (room, _other) = (sandbox.room(&members).await, sandbox.room(&["x"]).await);
    for limit in [1, 3, 7, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = sandbox.store.members(room, after, limit).await.unwrap();
            found.extend(page.rows.iter().map(ToString::to_string));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, names);
    }
}

/// A crowd of one room reads the room once a second, not once for each member.
#[tokio::test(start_paused = true)]
async fn a_crowd_of_one_room_reads_its_members_once_a_second() {
    let sandbox = Sandbox::new(9);
    let made = room(&sandbox, "room");
    let names: Vec<String> = (0..80).map(|n| format!("m{n}")).collect();
    let members: Vec<_> = names.iter().map(|name| user(name)).collect();
    sandbox.store.create_room(&made, &members, sandbox.store.now()).await.unwrap();
    let process = sandbox.another_process(2);
    let reads = || {
        let recorder = sandbox.world.recorder();
        ["GetItem", "Query"].map(|name| recorder.operation(Service::DynamoDb, name).calls)
    };
    sandbox.world.recorder().reset();
    for second in 1..=3 {
        let asked = members.iter().map(|member| process.is_member(made.id, member));
        let answers = futures::future::join_all(asked).await;
        assert!(answers.into_iter().all(|answer| answer.unwrap()));
        assert_eq!(reads(), [second, second], "one read alone, then one for all others");
        tokio::time::advance(Duration::from_millis(1_001)).await;
    }
    // A user who is not in the room is never told so from memory.
    assert!(process.is_member(made.id, &members[0]).await.unwrap());
    assert!(!process.is_member(made.id, &user("late")).await.unwrap());
    sandbox.store.add_member(made.id, &user("late"), sandbox.store.now()).await.unwrap();
    assert!(process.is_member(made.id, &user("late")).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_has_read_a_whole_room_forgets_a_member_who_left_within_a_second() {
    let sandbox = Sandbox::new(5);
    let names = ["m0", "m1", "m2", "m3"];
    let room = sandbox.room(&names).await;
    let (here, there) = (&sandbox.store, sandbox.another_process(51));
    let is_member = async |name: &str| there.is_member(room, &user(name)).await.unwrap();
    let reads_room = async || {
        sandbox.world.recorder().reset();
        for name in names {
            is_member(name).await;
        }
        sandbox.world.recorder().operation(Service::DynamoDb, "Query").calls == 1
    };
    assert!(reads_room().await);
    here.remove_member(room, &user("m2")).await.unwrap();
    tokio::time::advance(Duration::from_millis(999)).await;
    assert!(is_member("m2").await, "it remembers");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!is_member("m2").await);
    // The process that removes a member forgets it at once.
    assert!(reads_room().await);
    there.remove_member(room, &user("m3")).await.unwrap();
    assert!(!is_member("m3").await);
}
