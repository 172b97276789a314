//! Each clause of each conditional write of the archive.

use std::sync::Arc;

use largesse_app::ports::Objects;
use largesse_emulator::{Faults, Matching};

use super::damaged::packed;
use super::*;

/// A spray whose items are in objects; nothing of it is removed.
async fn ready(seed: u64) -> (Sandbox, Spray, Tombstone) {
    let sandbox = Sandbox::new(seed);
    let spray = over_spray(&sandbox).await;
    age(&sandbox).await;
    let tombstone = packed(&sandbox.store, spray.pool()).await;
    (sandbox, spray, tombstone)
}

/// Fails unless the thing is refused and stays.
async fn refused(sandbox: &Sandbox, tombstone: &Tombstone) {
    let before = stored(sandbox);
    let done = sandbox.store.put_tombstone(tombstone).await.unwrap();
    assert_eq!(done, Replaced::Changed);
    assert_eq!(stored(sandbox), before);
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_changed_after_it_was_read_is_not_archived() {
    let (sandbox, spray, tombstone) = ready(61).await;
    let (sprays, main) = (Table::of(&sandbox, "sprays"), key(spray.pool()));
    let item = sprays.get(&main).await.unwrap();
    // Each attribute alone, and one that is gone.
    for name in item.keys().filter(|name| *name != "pk") {
        let mut changed = item.clone();
        changed.insert(name.clone(), s("changed"));
        sprays.put(changed.clone()).await;
        refused(&sandbox, &tombstone).await;
        changed.remove(name);
        sprays.put(changed).await;
        refused(&sandbox, &tombstone).await;
    }
    sprays.put(item).await;
    assert_eq!(sandbox.store.put_tombstone(&tombstone).await.unwrap(), Replaced::Done);
    sandbox.store.remove_items(&tombstone.parts[1]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_thing_that_was_frozen_after_it_was_read_is_not_archived() {
    let (sandbox, spray, tombstone) = ready(62).await;
    let (pool, since, why) = (spray.pool(), sandbox.store.now(), "why".to_owned());
    sandbox.store.mark_frozen(&FrozenPool { pool, since, why }).await.unwrap();
    refused(&sandbox, &tombstone).await;
}

#[tokio::test(start_paused = true)]
async fn a_thing_has_one_tombstone_and_a_repeat_finds_it() {
    let (sandbox, spray, tombstone) = ready(63).await;
    let store = &*sandbox.store;
    assert_eq!(store.put_tombstone(&tombstone).await.unwrap(), Replaced::Done);
    assert_eq!(store.put_tombstone(&tombstone).await.unwrap(), Replaced::Done);
    // Other objects of a run that was slower.
    let mut other = tombstone.clone();
    other.parts.truncate(1);
    assert_eq!(store.put_tombstone(&other).await.unwrap(), Replaced::Changed);
    assert_eq!(store.tombstone(spray.pool()).await.unwrap(), Some(tombstone));
}

/// A restore puts the thing beside its tombstone between the read of the tombstone and the
/// transaction: the clause of the transaction keeps the tombstone, which names the removed items.
#[tokio::test(start_paused = true)]
async fn the_transaction_itself_refuses_a_second_tombstone() {
    let (sandbox, spray, tombstone) = ready(66).await;
    let (store, sprays) = (&*sandbox.store, Table::of(&sandbox, "sprays"));
    let main = sprays.get(&key(spray.pool())).await.unwrap();
    assert_eq!(store.put_tombstone(&tombstone).await.unwrap(), Replaced::Done);
    sprays.put(main).await;
    let reads = Matching::operation("GetItem").on("largesse-reconcile");
    let none = Faults::seeded(1).rewrite(reads, |_, reply| *reply = serde_json::json!({}));
    sandbox.world.set_fault_hook(Some(Arc::new(none)));
    let mut other = tombstone.clone();
    // Another run packs into objects of its own.
    let bytes = store.get(&other.parts[0].object).await.unwrap().unwrap();
    "things/sprays/other/0.json.gz".clone_into(&mut other.parts[0].object);
    store.put(&other.parts[0].object, bytes).await.unwrap();
    assert_eq!(store.put_tombstone(&other).await.unwrap(), Replaced::Changed);
    sandbox.world.set_fault_hook(None);
    assert_eq!(store.tombstone(spray.pool()).await.unwrap(), Some(tombstone));
    assert!(sprays.get(&key(spray.pool())).await.is_some());
    sprays.delete(&key(spray.pool())).await;
}

/// The read before the transaction finds the tombstone.
#[tokio::test(start_paused = true)]
async fn a_thing_that_is_there_again_beside_its_tombstone_keeps_both() {
    let (sandbox, spray, tombstone) = ready(64).await;
    let (store, sprays) = (&*sandbox.store, Table::of(&sandbox, "sprays"));
    let main = sprays.get(&key(spray.pool())).await.unwrap();
    let reconcile = Table::of(&sandbox, "reconcile");
    assert_eq!(store.put_tombstone(&tombstone).await.unwrap(), Replaced::Done);
    let archived = key_with(format!("ARCHIVED#{}", spray.pool()), "ARCHIVED");
    let kept = reconcile.get(&archived).await.unwrap();
    sprays.put(main).await;
    let mut other = tombstone.clone();
    other.parts.truncate(1);
    assert_eq!(store.put_tombstone(&other).await.unwrap(), Replaced::Changed);
    assert_eq!(reconcile.get(&archived).await.unwrap(), kept);
    assert!(sprays.get(&key(spray.pool())).await.is_some());
    sprays.delete(&key(spray.pool())).await;
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_saved_by_the_run_that_read_it_last() {
    let sandbox = Sandbox::new(65);
    let store = &*sandbox.store;
    let pass = Pass::new(sandbox.id(), store.now(), 1);
    assert_eq!(store.save_archive_pass(&pass, 0).await.unwrap(), Written::Done);
    assert_eq!(store.save_archive_pass(&pass, 0).await.unwrap(), Written::Changed);
    assert_eq!(store.save_archive_pass(&pass, 2).await.unwrap(), Written::Changed);
    assert_eq!(store.save_archive_pass(&pass, 1).await.unwrap(), Written::Done);
    let latest = store.latest_archive_pass().await.unwrap();
    assert_eq!((latest.value, latest.version), (Some(pass), 2));
}
