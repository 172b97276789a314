//! Drawing the lots of a drop: one test for each clause of the conditions.

use std::time::Duration;

use largesse_app::drop::close::{Closed, close, run};
use largesse_app::drop::promote::{PassedOn, pass_on};
use largesse_app::ports::{Clock, DropReads, Pools, PortErrorKind, Shuffles};
use largesse_domain::drop::{Drawn, Drop, Shuffled};
use largesse_domain::grant::Grant;
use largesse_domain::pool::{Bucket, BucketStatus, Walk, bucket_count};
use largesse_tests::Sandbox;

use crate::drops::{slots, won};
use crate::drops_lots::{draw_lots, lots, register};
use crate::scene::{Table, balance, given_up, key, number};

/// A drop with lots of `m0`, `m1` …, whose time is over.
async fn with_lots(sandbox: &Sandbox, slots: u64, waiting: u64, lots: u32) -> Drop {
    let drop = sandbox.open_shuffled_drop(slots, waiting).await;
    for n in 0..lots {
        register(&sandbox.store, &drop, &format!("m{n}")).await;
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    drop
}

/// What the shuffle gives.
async fn shuffled(sandbox: &Sandbox, drop: &Drop) -> Shuffled {
    let lots = lots(sandbox, drop).await;
    drop.shuffled(lots.into_iter().flat_map(|bucket| bucket.draws.into_keys())).unwrap()
}

async fn drawn_of(sandbox: &Sandbox, drop: &Drop) -> Option<Drawn> {
    sandbox.store.drop_record(drop.id).await.unwrap().unwrap().drawn
}

#[tokio::test(start_paused = true)]
async fn the_lots_are_drawn_once_when_their_time_is_over_and_get_what_the_seed_says() {
    let sandbox = Sandbox::new(1);
    let drop = sandbox.open_shuffled_drop(20, 4).await;
    for n in 0..40 {
        register(&sandbox.store, &drop, &format!("m{n}")).await;
    }
    tokio::time::advance(Duration::from_millis(9_999)).await;
    let stop_at = || sandbox.store.now().plus_ms(300_000);
    run(&*sandbox.store, stop_at()).await.unwrap();
    assert_eq!(drawn_of(&sandbox, &drop).await, None);
    tokio::time::advance(Duration::from_millis(1)).await;
    let now = sandbox.store.now();
    let report = run(&*sandbox.store, stop_at()).await.unwrap();
    assert_eq!((report.failed, report.closed), (0, 0));
    assert_eq!(drawn_of(&sandbox, &drop).await, Some(Drawn { at: now, lots: 40 }));
    assert!(lots(&sandbox, &drop).await.iter().all(|b| b.status == BucketStatus::Closed));
    let expected = shuffled(&sandbox, &drop).await;
    assert_eq!(slots(&sandbox, &drop).await, expected.slots);
    let places = sandbox.store.buckets(drop.list(), &[0]).await.unwrap();
    assert_eq!(places, expected.places);
    // It has left the index until it closes.
    sandbox.world.recorder().reset();
    run(&*sandbox.store, stop_at()).await.unwrap();
    let reads = sandbox.world.recorder().total();
    assert_eq!(reads.calls, 8, "the shards of the index alone");
    tokio::time::advance(Duration::from_secs(590)).await;
    let report = run(&*sandbox.store, stop_at()).await.unwrap();
    assert_eq!((report.closed, report.returned), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_late_wipes_no_draw_and_opens_no_closed_bucket() {
    let sandbox = Sandbox::new(2);
    let drop = with_lots(&sandbox, 3, 0, 1).await;
    let Shuffled { slots: placed, .. } = shuffled(&sandbox, &drop).await;
    let now = sandbox.store.now();
    sandbox.store.place_lots(&placed, now).await.unwrap();
    assert_eq!(slots(&sandbox, &drop).await, placed);
    won(&sandbox.store, &drop, "late").await;
    let drawn_from = slots(&sandbox, &drop).await;
    sandbox.store.place_lots(&placed, now).await.unwrap();
    assert_eq!(slots(&sandbox, &drop).await, drawn_from);
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(close(&*sandbox.store, drop.id).await.unwrap(), Closed::Now { amount: 10 });
    let closed = slots(&sandbox, &drop).await;
    sandbox.store.place_lots(&placed, now).await.unwrap();
    assert_eq!((closed[0].status, slots(&sandbox, &drop).await), (BucketStatus::Closed, closed));
}

#[tokio::test(start_paused = true)]
async fn only_a_bucket_with_entries_is_to_be_swept() {
    let sandbox = Sandbox::new(3);
    // Five buckets of slots, and one lot.
    let drop = with_lots(&sandbox, 80, 0, 1).await;
    close(&*sandbox.store, drop.id).await.unwrap();
    let (pools, now) = (Table::of(&sandbox, "pools"), sandbox.store.now());
    for bucket in slots(&sandbox, &drop).await {
        let id = format!("{}#{}", drop.pool(), bucket.id.number);
        let item = pools.get(&key(id)).await.unwrap();
        let sweep = item.contains_key("sweep_ms").then(|| number(&item, "sweep_ms"));
        let expected = (bucket.taken > 0).then(|| now.plus_ms(60_000).ms());
        assert_eq!((bucket.status, sweep), (BucketStatus::Open, expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drop_is_marked_as_drawn_once_and_does_not_come_back() {
    let sandbox = Sandbox::new(4);
    let drop = with_lots(&sandbox, 2, 0, 1).await;
    close(&*sandbox.store, drop.id).await.unwrap();
    let first = drawn_of(&sandbox, &drop).await.unwrap();
    let later = Drawn { at: first.at.plus_ms(5), lots: 7 };
    sandbox.store.mark_drawn(&drop, later).await.unwrap();
    assert_eq!(drawn_of(&sandbox, &drop).await, Some(first));
    // Not into the index, when it is closed; nor into the table, when it was deleted by hand.
    tokio::time::advance(Duration::from_secs(600)).await;
    close(&*sandbox.store, drop.id).await.unwrap();
    let (drops, item) = (Table::of(&sandbox, "drops"), key(drop.pool()));
    let closed = drops.get(&item).await.unwrap();
    sandbox.store.mark_drawn(&drop, later).await.unwrap();
    assert_eq!(drops.get(&item).await.as_ref(), Some(&closed));
    assert!(!closed.contains_key("due_ms"));
    drops.delete(&item).await;
    sandbox.store.mark_drawn(&drop, later).await.unwrap();
    assert_eq!(drops.get(&item).await, None);
    drops.put(closed).await;
}

#[tokio::test(start_paused = true)]
async fn a_drop_that_was_not_drawn_in_time_is_drawn_and_then_closed() {
    let sandbox = Sandbox::new(5);
    let drop = with_lots(&sandbox, 5, 2, 3).await;
    // The schedule stood still until after the drop was over.
    tokio::time::advance(Duration::from_secs(7_200)).await;
    let report = run(&*sandbox.store, sandbox.store.now().plus_ms(300_000)).await.unwrap();
    assert_eq!((report.closed, report.returned, report.failed), (1, 20, 0));
    let slots = slots(&sandbox, &drop).await;
    assert_eq!((slots[0].taken, slots[0].check()), (3, Ok(())));
    assert_eq!((balance(&sandbox, "f").await, slots[0].remainder()), (20, 20));
}

#[tokio::test(start_paused = true)]
async fn a_drop_with_a_bucket_that_waits_for_its_lots_is_not_closed() {
    let sandbox = Sandbox::new(6);
    let drop = with_lots(&sandbox, 2, 0, 1).await;
    // Marked, though its buckets were not written: by hand, or by a restored table.
    sandbox.store.mark_drawn(&drop, Drawn { at: sandbox.store.now(), lots: 1 }).await.unwrap();
    tokio::time::advance(Duration::from_secs(600)).await;
    let error = close(&*sandbox.store, drop.id).await.unwrap_err();
    assert_eq!((error.kind, balance(&sandbox, "f").await), (PortErrorKind::Corrupt, 0));
    let Shuffled { slots, .. } = shuffled(&sandbox, &drop).await;
    sandbox.store.place_lots(&slots, sandbox.store.now()).await.unwrap();
    assert_eq!(close(&*sandbox.store, drop.id).await.unwrap(), Closed::Now { amount: 10 });
}

#[tokio::test(start_paused = true)]
async fn lots_that_no_draw_can_have_written_are_not_drawn() {
    let sandbox = Sandbox::new(7);
    let drop = with_lots(&sandbox, 2, 0, 1).await;
    let with_lot = lots(&sandbox, &drop).await.into_iter().find(|bucket| bucket.taken > 0).unwrap();
    let pools = Table::of(&sandbox, "pools");
    let item = key(format!("{}#{}", drop.lots(), with_lot.id.number));
    pools.set(&item, "taken", crate::scene::n(2)).await;
    let error = close(&*sandbox.store, drop.id).await.unwrap_err();
    assert_eq!((error.kind, drawn_of(&sandbox, &drop).await), (PortErrorKind::Corrupt, None));
    pools.set(&item, "taken", crate::scene::n(1)).await;
    draw_lots(&sandbox, &drop).await;
    assert_eq!(drawn_of(&sandbox, &drop).await.map(|drawn| drawn.lots), Some(1));
}

/// The places are written first, and each bucket of slots by itself. So a slot can be given up while
/// others are not drawn: then the whole list is there, but perhaps not the walk to the slot.
#[tokio::test(start_paused = true)]
async fn a_slot_that_is_given_up_while_lots_are_drawn_goes_to_the_first_of_the_ranks() {
    let sandbox = Sandbox::new(8);
    let drop = with_lots(&sandbox, 40, 10, 60).await;
    let Shuffled { slots, places } = shuffled(&sandbox, &drop).await;
    // One whose slot lies in a later bucket of the walk than the first.
    let (bucket, grant) = slots.iter().find_map(|bucket| behind(&drop, bucket)).unwrap();
    let now = sandbox.store.now();
    sandbox.store.place_lots(&places, now).await.unwrap();
    sandbox.store.place_lots(std::slice::from_ref(bucket), now).await.unwrap();
    let failed = given_up(&sandbox, &grant).await;
    let error = pass_on(&*sandbox.store, &failed).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Contended);
    close(&*sandbox.store, drop.id).await.unwrap();
    assert_eq!(pass_on(&*sandbox.store, &failed).await.unwrap(), PassedOn::Now);
    let first = places.iter().flat_map(|bucket| bucket.draws.iter());
    let first = first.min_by_key(|(_, entry)| entry.nonce.get()).unwrap().0;
    let list = sandbox.store.buckets(drop.list(), &[0]).await.unwrap().remove(0);
    let promoted: Vec<_> = list.promoted.keys().collect();
    assert_eq!(promoted, [first]);
}

/// A member of the bucket for whose walk it is not the first.
fn behind<'a>(drop: &Drop, bucket: &'a Bucket) -> Option<(&'a Bucket, Grant)> {
    let starts = |member| Walk::new(&drop.pool(), member, bucket_count(drop.slots)).next();
    let mut draws = bucket.draws.iter();
    let (member, entry) = draws.find(|(member, _)| starts(member) != Some(bucket.id.number))?;
    Some((bucket, bucket.grant(member, *entry)?))
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_draw_the_lots_once() {
    let sandbox = Sandbox::new(9);
    let drop = with_lots(&sandbox, 40, 10, 60).await;
    let stores: Vec<_> = (0..4).map(|n| sandbox.another_process(90 + n)).collect();
    let runs = stores.iter().map(|store| close(&**store, drop.id));
    for outcome in futures::future::join_all(runs).await {
        assert_eq!(outcome.unwrap(), Closed::NotDue);
    }
    let expected = shuffled(&sandbox, &drop).await;
    assert_eq!(slots(&sandbox, &drop).await, expected.slots);
}
