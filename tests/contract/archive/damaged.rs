//! An object that does not hold what was written removes nothing.

use bytes::Bytes;
use largesse_app::ports::{MemberRef, Objects, ThingKind};

use super::*;

/// Packs a thing and puts it into objects, as a run does. The run is not begun.
pub(super) async fn packed(store: &Store, pool: PoolId) -> Tombstone {
    let (mut parts, mut next) = (Vec::new(), None);
    let sets = store.sets(pool).await.unwrap();
    loop {
        let (packed, behind) = store.pack(&sets, next).await.unwrap();
        if let Some(packed) = packed {
            let object = format!("things/{}/test/{}.json.gz", packed.table, parts.len());
            let length = u64::try_from(packed.bytes.len()).unwrap();
            store.put(&object, Bytes::from(packed.bytes)).await.unwrap();
            let (lines, hash) = (packed.lines, packed.hash);
            parts.push(MemberRef { object, offset: 0, length, lines, hash });
        }
        match behind {
            Some(behind) => next = Some(behind),
            None => return Tombstone { pool, parts, at: store.now() },
        }
    }
}

/// A run whose process was killed after it had saved that the thing is in these objects.
async fn in_flight(store: &Store, tombstone: &Tombstone) {
    let mut pass = Pass::new(tombstone.pool.ulid(), store.now(), 30 * 86_400_000);
    pass.in_flight = vec![tombstone.clone()];
    assert_eq!(store.save_archive_pass(&pass, 0).await.unwrap(), Written::Done);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_removed_when_its_object_is_damaged() {
    for damage in [damaged as fn(&[u8]) -> Bytes, |bytes| Bytes::copy_from_slice(&bytes[1..])] {
        let sandbox = Sandbox::new(51);
        let spray = over_spray(&sandbox).await;
        age(&sandbox).await;
        let before = stored(&sandbox);
        let store = &*sandbox.store;
        let tombstone = packed(store, spray.pool()).await;
        in_flight(store, &tombstone).await;
        let part = &tombstone.parts[0];
        assert!(store.is_stored(part).await.unwrap());
        let whole = store.get(&part.object).await.unwrap().unwrap();
        store.put(&part.object, damage(&whole)).await.unwrap();
        assert!(!store.is_stored(part).await.unwrap());
        let until = store.now().plus_ms(600_000);
        assert!(daily::run(store, until, POLICY).await.is_err());
        assert_eq!(stored(&sandbox), before);
        assert!(store.tombstone(spray.pool()).await.unwrap().is_none());
        // It is mended, and the next run goes on.
        store.put(&part.object, whole).await.unwrap();
        let Ran::Worked(pass) = daily::run(store, until, POLICY).await.unwrap() else { panic!() };
        assert_eq!(pass.counts.things, 1);
        proved(&sandbox).await;
    }
}

fn damaged(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes.into()
}

#[tokio::test(start_paused = true)]
async fn buckets_stay_when_their_object_is_damaged_after_the_tombstone_and_go_once_it_is_mended() {
    let sandbox = Sandbox::new(52);
    let spray = over_spray(&sandbox).await;
    age(&sandbox).await;
    let before = of(&stored(&sandbox), spray.pool());
    let store = &*sandbox.store;
    let tombstone = packed(store, spray.pool()).await;
    in_flight(store, &tombstone).await;
    assert_eq!(store.put_tombstone(&tombstone).await.unwrap(), Replaced::Done);
    let part = &tombstone.parts[1];
    let whole = store.get(&part.object).await.unwrap().unwrap();
    store.put(&part.object, damaged(&whole)).await.unwrap();
    let until = store.now().plus_ms(600_000);
    assert!(daily::run(store, until, POLICY).await.is_err());
    assert_eq!(of(&stored(&sandbox), spray.pool()).len(), before.len() - 1, "the buckets stay");
    // What is left of it is no finding.
    proved(&sandbox).await;
    store.put(&part.object, whole).await.unwrap();
    assert!(matches!(daily::run(store, until, POLICY).await.unwrap(), Ran::Worked(_)));
    assert_eq!(of(&stored(&sandbox), spray.pool()), BTreeSet::new());
    proved(&sandbox).await;
}

#[tokio::test(start_paused = true)]
async fn a_scan_names_things_of_its_kind_and_nothing_else() {
    let sandbox = Sandbox::new(53);
    let (spray, drop) = (over_spray(&sandbox).await, over_drop(&sandbox).await);
    let product = made_of(&sandbox, limits(100), 2).await;
    for (kind, pool) in [
        (ThingKind::Spray, spray.pool()),
        (ThingKind::Drop, drop.pool()),
        (ThingKind::Product, product.pool()),
    ] {
        let page = sandbox.store.scan_things(kind, None).await.unwrap();
        let named =
            page.rows.into_iter().filter(|row| *row != largesse_app::ports::OwnerRow::Other);
        assert_eq!(named.collect::<Vec<_>>(), [largesse_app::ports::OwnerRow::Whole(pool)]);
    }
}
