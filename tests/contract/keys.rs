//! API keys and nonces: each clause of each condition.

use futures::future::join_all;
use largesse_app::key::KeyError;
use largesse_app::key::create::create;
use largesse_app::key::revoke::revoke;
use largesse_app::key::rotate::rotate;
use largesse_app::ports::{Clock, KeyAdmin, Keys, KeysWritten, Nonce, OwnerKeys};
use largesse_domain::id::KeyId;
use largesse_domain::key::{KEYS_MAX, KeyRecord, Networks, Owner, Scopes, Terms};
use largesse_domain::time::Timestamp;
use largesse_tests::Sandbox;

use crate::scene::{Table, key as item_key};

fn owner() -> Owner {
    "chat".parse().unwrap()
}

fn terms() -> Terms {
    Terms { owner: owner(), scopes: Scopes::all(), networks: Networks::default() }
}

async fn made(sandbox: &Sandbox) -> KeyRecord {
    create(&*sandbox.store, terms(), None).await.unwrap().1
}

fn nonce(sandbox: &Sandbox, text: &'static str) -> Nonce<'static> {
    let key = KeyId("01K9Z3NDEKTSV4RRFFQ69G5FAV".parse().unwrap());
    Nonce { key, text, by: sandbox.id() }
}

#[tokio::test]
async fn one_of_many_processes_takes_a_nonce() {
    let sandbox = Sandbox::new(1);
    let now = sandbox.store.now();
    let processes: Vec<_> = (0..20).map(|n| sandbox.another_process(100 + n)).collect();
    let takes = processes.iter().map(|process| {
        let nonce = nonce(&sandbox, "n");
        async move { process.take_nonce(nonce, now, now.plus_ms(600_000)).await.unwrap() }
    });
    let taken = join_all(takes).await;
    assert_eq!(taken.into_iter().filter(|taken| *taken).count(), 1);
}

#[tokio::test]
async fn a_nonce_is_free_again_after_its_time_and_not_at_its_last_moment() {
    let sandbox = Sandbox::new(2);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let take = |at_ms: u64| {
        let (nonce, at) = (nonce(&sandbox, "n"), now.plus_ms(at_ms));
        async move { store.take_nonce(nonce, at, now.plus_ms(600_000)).await.unwrap() }
    };
    assert!(take(0).await);
    // Its own timestamp decides: no TTL has deleted the item.
    assert!(!take(600_000).await && take(600_001).await);
}

/// The SDK sends a write again whose reply was lost.
#[tokio::test]
async fn a_repeat_of_the_same_write_has_its_nonce_still() {
    let sandbox = Sandbox::new(3);
    let (store, now) = (&sandbox.store, sandbox.store.now());
    let (first, until) = (nonce(&sandbox, "n"), now.plus_ms(600_000));
    assert!(store.take_nonce(first, now, until).await.unwrap());
    assert!(store.take_nonce(first, now, until).await.unwrap());
    assert!(!store.take_nonce(nonce(&sandbox, "n"), now, until).await.unwrap());
    // Another nonce, and the same nonce of another key, are others.
    assert!(store.take_nonce(nonce(&sandbox, "m"), now, until).await.unwrap());
    let other = Nonce { key: KeyId(sandbox.id()), ..nonce(&sandbox, "n") };
    assert!(store.take_nonce(other, now, until).await.unwrap());
}

#[tokio::test]
async fn the_use_of_a_key_is_written_once_an_hour_and_only_where_there_is_a_key() {
    let sandbox = Sandbox::new(4);
    let (store, key) = (&sandbox.store, made(&sandbox).await);
    let now = store.now();
    let used = || async { store.stored_key(key.id).await.unwrap().unwrap().last_used };
    assert_eq!(used().await, None);
    for (at_ms, expected) in [(0, 0), (3_599_999, 0), (3_600_000, 3_600_000), (10, 3_600_000)] {
        store.touch_key(key.id, now.plus_ms(at_ms)).await.unwrap();
        assert_eq!(used().await, Some(now.plus_ms(expected)), "{at_ms}");
    }
    let nobody = KeyId(sandbox.id());
    store.touch_key(nobody, now).await.unwrap();
    assert_eq!(store.stored_key(nobody).await.unwrap(), None);
}

#[tokio::test]
async fn keys_made_at_once_never_exceed_the_limit() {
    let sandbox = Sandbox::new(5);
    let mut tries = 0;
    loop {
        tries += 1;
        let makes = (0..8).map(|n| {
            let process = sandbox.another_process(500 + 10 * tries + n);
            async move { create(&*process, terms(), None).await }
        });
        let outcomes = join_all(makes).await;
        let full = |outcome: &Result<_, KeyError>| matches!(outcome, Err(KeyError::TooMany));
        if outcomes.iter().all(full) {
            break;
        }
        assert!(tries < 40, "each round makes a key at least");
    }
    let list = sandbox.store.keys_of(&owner()).await.unwrap();
    assert_eq!(list.keys.len(), KEYS_MAX);
    let now = sandbox.store.now();
    assert!(list.keys.iter().all(|key| key.is_live(now)));
}

#[tokio::test]
async fn a_list_that_has_changed_meanwhile_is_not_written() {
    let sandbox = Sandbox::new(6);
    let (store, first) = (&sandbox.store, made(&sandbox).await);
    let seen = store.keys_of(&owner()).await.unwrap();
    let second = made(&sandbox).await;
    let third = KeyRecord { id: KeyId(sandbox.id()), ..first.clone() };
    // As read before the second key, as before any key, and as it is.
    for (list, expected) in [
        (seen, KeysWritten::Changed),
        (OwnerKeys::default(), KeysWritten::Changed),
        (store.keys_of(&owner()).await.unwrap(), KeysWritten::Done),
    ] {
        assert_eq!(store.create_key(&third, &list).await.unwrap(), expected);
        let stored = store.stored_key(third.id).await.unwrap();
        assert_eq!(stored.is_some(), expected == KeysWritten::Done, "both or nothing");
    }
    let ids: Vec<KeyId> =
        store.keys_of(&owner()).await.unwrap().keys.iter().map(|key| key.id).collect();
    assert_eq!(ids, [first.id, second.id, third.id]);
    // A key of that id is there.
    let list = store.keys_of(&owner()).await.unwrap();
    assert_eq!(store.create_key(&third, &list).await.unwrap(), KeysWritten::Changed);
}

#[tokio::test]
async fn a_key_that_was_revoked_meanwhile_gets_no_successor() {
    let sandbox = Sandbox::new(7);
    let (store, key) = (&sandbox.store, made(&sandbox).await);
    let list = store.keys_of(&owner()).await.unwrap();
    let (next, now) = (KeyId(sandbox.id()), store.now());
    let rotation = key.rotate(next, key.hash, 60, now).unwrap();
    revoke(&**store, key.id).await.unwrap();
    let written = store.rotate_key(&rotation.old, &rotation.new, &list).await.unwrap();
    assert_eq!(written, KeysWritten::Changed);
    assert_eq!(store.stored_key(next).await.unwrap(), None);
    assert!(matches!(rotate(&**store, key.id, 60).await, Err(KeyError::Dead)));
    // Nor does a key that is not there.
    let lost = KeyRecord { id: KeyId(sandbox.id()), ..rotation.old };
    let written = store.rotate_key(&lost, &rotation.new, &list).await.unwrap();
    assert_eq!(written, KeysWritten::Changed);
}

#[tokio::test]
async fn of_rotations_at_once_each_has_a_successor_in_the_list() {
    let sandbox = Sandbox::new(8);
    let key = made(&sandbox).await;
    let rotations = (0..3).map(|n| {
        let process = sandbox.another_process(800 + n);
        async move { rotate(&*process, key.id, 60).await.unwrap().1.id }
    });
    let mut made: Vec<KeyId> = join_all(rotations).await;
    let list = sandbox.store.keys_of(&owner()).await.unwrap();
    let mut listed: Vec<KeyId> = list.keys.iter().map(|key| key.id).collect();
    assert_eq!(listed.remove(0), key.id);
    made.sort();
    listed.sort();
    assert_eq!(made, listed);
    let old = sandbox.store.stored_key(key.id).await.unwrap().unwrap();
    assert!(made.contains(&old.replaced_by.unwrap()));
}

#[tokio::test]
async fn the_first_revocation_stays_and_makes_no_key() {
    let sandbox = Sandbox::new(9);
    let (store, key) = (&sandbox.store, made(&sandbox).await);
    let now = store.now();
    for at_ms in [0, 1_000] {
        assert!(store.revoke_key(key.id, now.plus_ms(at_ms)).await.unwrap());
        assert_eq!(store.stored_key(key.id).await.unwrap().unwrap().revoked, Some(now));
    }
    let nobody = KeyId(sandbox.id());
    assert!(!store.revoke_key(nobody, now).await.unwrap());
    assert_eq!(store.stored_key(nobody).await.unwrap(), None);
}

/// A key that is made after it was asked for is found a few seconds later, and the guess of another
/// drives no key out of the memory of a process.
#[tokio::test(start_paused = true)]
async fn an_unknown_key_is_asked_for_again_after_five_seconds() {
    let sandbox = Sandbox::new(10);
    let (maker, asker) = (&sandbox.store, sandbox.another_process(11));
    let key = made(&sandbox).await;
    let edge = Table::of(&sandbox, "edge");
    let stored = edge.get(&item_key(format!("KEY#{}", key.id))).await.unwrap();
    let unknown = KeyId(sandbox.id());
    assert_eq!(asker.key(unknown).await.unwrap(), None);
    // The key appears under the id that was asked for.
    let mut moved = stored.clone();
    moved.extend(item_key(format!("KEY#{unknown}")));
    edge.put(moved).await;
    assert_eq!(asker.key(unknown).await.unwrap(), None, "it is remembered");
    tokio::time::advance(std::time::Duration::from_secs(5)).await;
    assert_eq!(asker.key(unknown).await.unwrap().map(|key| key.id), Some(unknown));
    // And a key is remembered for half a minute.
    assert!(asker.key(key.id).await.unwrap().unwrap().is_live(Timestamp::from_ms(0)));
    maker.revoke_key(key.id, maker.now()).await.unwrap();
    tokio::time::advance(std::time::Duration::from_millis(29_999)).await;
    assert_eq!(asker.key(key.id).await.unwrap().unwrap().revoked, None);
    tokio::time::advance(std::time::Duration::from_millis(1)).await;
    assert!(asker.key(key.id).await.unwrap().unwrap().revoked.is_some());
}
