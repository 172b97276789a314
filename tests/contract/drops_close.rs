//! Closing drops: one test for each clause of the conditions.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::drop::close::{CloseReport, Closed, close, run};
use largesse_app::ports::{Clock, DropReads, DropReturned, DropsClosed, Pools, PortErrorKind};
use largesse_domain::drop::{Drop, Refund};
use largesse_domain::pool::{Bucket, BucketStatus};
use largesse_domain::time::Timestamp;
use largesse_tests::Sandbox;

use crate::drops::{slots, won};
use crate::meanwhile::{Before, meanwhile};
use crate::scene::{Table, balance, fill, key, request};

async fn refund_of(sandbox: &Sandbox, drop: &Drop) -> Option<Refund> {
    sandbox.store.drop_record(drop.id).await.unwrap().unwrap().refund
}

/// The one bucket of a small drop, after a try to close it as it was read.
async fn closed_as_read(
    sandbox: &Sandbox,
    drop: &Drop,
    as_read: &Bucket,
    now: Timestamp,
) -> Bucket {
    sandbox.store.close_bucket(as_read, now).await.unwrap();
    slots(sandbox, drop).await.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_closed_only_after_its_window() {
    let sandbox = Sandbox::new(1);
    let drop = sandbox.open_drop(3, 0).await;
    let as_read = slots(&sandbox, &drop).await.remove(0);
    let closes = drop.window.closes;
    let early = closed_as_read(&sandbox, &drop, &as_read, closes.minus_ms(1)).await;
    assert_eq!(early.status, BucketStatus::Open);
    let over = closed_as_read(&sandbox, &drop, &as_read, closes).await;
    assert_eq!(over.status, BucketStatus::Closed);
    // Nothing is drawn any more, by whatever clock. It is closed for the remainder to be returned.
    let late = request("late", closes.minus_ms(1), 1);
    assert!(sandbox.store.draw(over.id, &late).await.unwrap().is_err());
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(close(&*sandbox.store, drop.id).await.unwrap(), Closed::Now { amount: 30 });
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_was_drawn_from_since_it_was_read_is_not_closed() {
    let sandbox = Sandbox::new(2);
    let drop = sandbox.open_drop(3, 0).await;
    let as_read = slots(&sandbox, &drop).await.remove(0);
    won(&sandbox.store, &drop, "a").await;
    let bucket = closed_as_read(&sandbox, &drop, &as_read, drop.window.closes).await;
    assert_eq!((bucket.status, bucket.taken), (BucketStatus::Open, 1));
}

#[tokio::test(start_paused = true)]
async fn a_drop_is_closed_once_and_returns_what_was_not_taken() {
    let sandbox = Sandbox::new(3);
    let drop = sandbox.open_drop(40, 5).await;
    for name in ["a", "b"] {
        won(&sandbox.store, &drop, name).await;
    }
    assert_eq!(close(&*sandbox.store, drop.id).await.unwrap(), Closed::NotDue);
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(close(&*sandbox.store, drop.id).await.unwrap(), Closed::Now { amount: 380 });
    assert_eq!(close(&*sandbox.store, drop.id).await.unwrap(), Closed::Before);
    assert_eq!(balance(&sandbox, "f").await, 380);
    // The transaction itself refuses a second return, of another amount at another time too.
    let now = sandbox.store.now().plus_ms(1);
    let again = sandbox.store.return_remainder(&drop, 10, now).await.unwrap();
    assert_eq!((again, balance(&sandbox, "f").await), (DropReturned::Before, 380));
    // Nor does it record that nothing was returned, for which there is no transfer to exclude it.
    let nothing = sandbox.store.return_remainder(&drop, 0, now).await.unwrap();
    assert_eq!(nothing, DropReturned::Before);
    assert_eq!(refund_of(&sandbox, &drop).await.unwrap().amount, 380);
    let report = run(&*sandbox.store, now.plus_ms(1_000)).await.unwrap();
    assert_eq!((report.closed, report.failed), (0, 0), "it has left the index");
}

#[tokio::test(start_paused = true)]
async fn a_drop_without_a_remainder_is_closed_without_a_transfer() {
    let sandbox = Sandbox::new(4);
    let drop = sandbox.open_drop(2, 0).await;
    for name in ["a", "b"] {
        won(&sandbox.store, &drop, name).await;
    }
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(close(&*sandbox.store, drop.id).await.unwrap(), Closed::Now { amount: 0 });
    let full = slots(&sandbox, &drop).await.remove(0);
    assert_eq!(full.status, BucketStatus::Open, "a full bucket never changes");
    assert_eq!(close(&*sandbox.store, drop.id).await.unwrap(), Closed::Before);
}

#[tokio::test(start_paused = true)]
async fn a_drop_that_was_deleted_by_hand_does_not_come_back_with_its_remainder() {
    let sandbox = Sandbox::new(5);
    let drop = sandbox.open_drop(2, 0).await;
    let (drops, item) = (Table::of(&sandbox, "drops"), key(drop.pool()));
    let honest = drops.get(&item).await.unwrap();
    drops.delete(&item).await;
    let now = drop.window.closes;
    let gone = sandbox.store.return_remainder(&drop, 20, now).await.unwrap();
    assert_eq!((gone, balance(&sandbox, "f").await), (DropReturned::Before, 0));
    sandbox.store.refuse_return(drop.id, 20, now).await.unwrap();
    assert_eq!(drops.get(&item).await, None);
    drops.put(honest).await;
}

#[tokio::test(start_paused = true)]
async fn a_drop_that_was_restored_without_the_ledger_is_an_error_and_returns_nothing() {
    let sandbox = Sandbox::new(6);
    let drop = sandbox.open_drop(2, 0).await;
    let (drops, item) = (Table::of(&sandbox, "drops"), key(drop.pool()));
    let before = drops.get(&item).await.unwrap();
    tokio::time::advance(Duration::from_secs(600)).await;
    close(&*sandbox.store, drop.id).await.unwrap();
    drops.put(before).await;
    let error = close(&*sandbox.store, drop.id).await.unwrap_err();
    assert_eq!((error.kind, balance(&sandbox, "f").await), (PortErrorKind::Corrupt, 20));
}

#[tokio::test(start_paused = true)]
async fn a_remainder_waits_for_a_wallet_that_is_too_full() {
    let sandbox = Sandbox::new(7);
    let drop = sandbox.open_drop(2, 0).await;
    let held = fill(&sandbox, "f").await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let stop_at = || sandbox.store.now().plus_ms(300_000);
    let report = run(&*sandbox.store, stop_at()).await.unwrap();
    assert_eq!((report.wallet_full, report.failed), (1, 0));
    let record = sandbox.store.drop_record(drop.id).await.unwrap().unwrap();
    assert_eq!((record.refund, record.refused), (None, Some(20)));
    sandbox.overwrite_balance("f", held).await;
    assert_eq!(run(&*sandbox.store, stop_at()).await.unwrap().closed, 0, "not before an hour");
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(run(&*sandbox.store, stop_at()).await.unwrap().returned, 20);
    let record = sandbox.store.drop_record(drop.id).await.unwrap().unwrap();
    assert_eq!((record.refused, balance(&sandbox, "f").await), (None, held + 20));
    // What was returned is not marked by a run that is late.
    sandbox.store.refuse_return(drop.id, 20, stop_at()).await.unwrap();
    assert_eq!(sandbox.store.drop_record(drop.id).await.unwrap().unwrap(), record);
}

/// Drops of which some lie in one page of the index: it has eight shards.
const DUE_AT_ONCE: u64 = 24;

#[tokio::test(start_paused = true)]
async fn a_run_closes_no_drop_when_its_time_is_over_and_the_next_one_goes_on() {
    let sandbox = Arc::new(Sandbox::new(8));
    for _ in 0..DUE_AT_ONCE {
        sandbox.open_drop(2, 0).await;
    }
    tokio::time::advance(Duration::from_secs(600)).await;
    let store = &*sandbox.store;
    // A run that begins at its end.
    let report = run(store, store.now()).await.unwrap();
    assert_eq!(report, CloseReport { has_more: true, ..CloseReport::default() });
    // A run whose time is over while it closes the first drop of a page.
    meanwhile(&sandbox, Before(1, "UpdateItem", "largesse-pools"), async {
        tokio::time::advance(Duration::from_secs(2)).await;
    });
    let report = run(store, store.now().plus_ms(1_000)).await.unwrap();
    sandbox.world.set_fault_hook(None);
    assert_eq!((report.closed, report.failed, report.has_more), (1, 0, true));
    let report = run(store, store.now().plus_ms(1_000)).await.unwrap();
    assert_eq!((report.closed, report.has_more), (DUE_AT_ONCE - 1, false));
}
