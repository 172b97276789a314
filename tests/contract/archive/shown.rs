//! What `largesse archive` says.

use bytes::Bytes;
use largesse::archive::{Name, get, get_transfers, status, whole};
use largesse_app::ports::Objects;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_operator_sees_how_far_the_archive_is_what_it_holds_and_what_is_damaged() {
    let sandbox = Sandbox::new(101);
    let store = &*sandbox.store;
    let said = status(store, false).await.unwrap();
    assert_eq!(said.text, "no pass has begun");
    let (spray, held) = (over_spray(&sandbox).await, sprayed(&sandbox, 3).await);
    drawn_somewhere(&sandbox, &held, "m9").await;
    age(&sandbox).await;
    ran(&sandbox, 102).await;
    let said = status(store, false).await.unwrap().text;
    for part in ["1 things with 4 items", "1 stay", "an entry of it is not paid"] {
        assert!(said.contains(part), "{said}");
    }
    let json = status(store, true).await.unwrap().text;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["oldest"]["name"], held.pool().to_string());
    let lines = get(store, spray.pool()).await.unwrap();
    assert!(lines.is_sound && lines.text.lines().count() == 4, "{}", lines.text);
    assert!(!get(store, held.pool()).await.unwrap().is_sound);
    let said = whole(store, false).await.unwrap();
    assert!(said.is_sound && said.text.starts_with("1 things"), "{}", said.text);
    let part = store.tombstone(spray.pool()).await.unwrap().unwrap().parts.remove(1);
    store.put(&part.object, Bytes::from_static(b"x")).await.unwrap();
    let said = whole(store, false).await.unwrap();
    assert!(!said.is_sound && said.text.contains(&part.object), "{}", said.text);
    assert!(get(store, spray.pool()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_operator_reads_the_archived_transfers_of_a_wallet() {
    let sandbox = Sandbox::new(103);
    let store = &*sandbox.store;
    let first = sandbox.deposit("bob", 5).await.order.id;
    sandbox.deposit("bob", 7).await;
    tokio::time::advance(LATER).await;
    assert_eq!(ran(&sandbox, 104).await.ledger.transfers, 2);
    let bob = user("bob");
    let all = get_transfers(store, &bob, None).await.unwrap();
    assert!(all.is_sound && all.text.lines().count() == 2, "{}", all.text);
    let one = get_transfers(store, &bob, Some(first)).await.unwrap();
    assert!(one.is_sound && one.text.lines().count() == 1, "{}", one.text);
    assert!(one.text.contains(&first.to_string()));
    assert!(!get_transfers(store, &user("eve"), None).await.unwrap().is_sound);
    assert!(whole(store, true).await.unwrap().text.contains("\"runs\":1"));
    proved(&sandbox).await;
}

#[test]
fn a_name_is_a_thing_or_a_wallet() {
    assert_eq!("WALLET#bob".parse(), Ok(Name::Wallet(user("bob"))));
    assert!(matches!("SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse(), Ok(Name::Thing(_))));
    for text in ["", "bob", "WALLET#", "SPRAY#x"] {
        assert!(text.parse::<Name>().is_err(), "{text}");
    }
}
