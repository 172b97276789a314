//! Refunds that are not made: the sender's wallet is too full, or the tables contradict each other.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::{Clock, INDEX_SHARDS, Pools, PortErrorKind, RefundOutcome, Refunds};
use largesse_app::spray::refund::{self, Refunded};
use largesse_app::spray::refused::{RefusedRefunds, refused};
use largesse_domain::id::SprayId;
use largesse_domain::spray::{RefusedRefund, Spray};
use largesse_domain::time::Timestamp;
use largesse_emulator::Service;
use largesse_tests::Sandbox;

use crate::meanwhile::{Before, meanwhile};
use crate::refunds::{read, refund_at, state};
use crate::scene::{Table, balance, bucket, buckets, fill, key, n, s, sprayed};

/// Since when the spray is in the index of what is due, if it is.
async fn due(sandbox: &Sandbox, spray: &Spray) -> Option<Timestamp> {
    let end = Timestamp::from_ms(i64::MAX);
    let pages = (0..INDEX_SHARDS).map(|shard| sandbox.store.due_sprays(shard, end, None, 10));
    let pages = futures::future::join_all(pages).await;
    let mut rows = pages.into_iter().flat_map(|page| page.unwrap().rows);
    rows.find(|row| row.id == spray.id).map(|row| row.due)
}

#[tokio::test(start_paused = true)]
async fn a_sender_whose_wallet_is_full_is_tried_again_in_an_hour() {
    let sandbox = Sandbox::new(10);
    let spray = sprayed(&sandbox, 2).await;
    assert_eq!(due(&sandbox, &spray).await, Some(spray.window.closes));
    tokio::time::advance(Duration::from_secs(600)).await;
    fill(&sandbox, "s").await;
    let before = (read(&sandbox, &spray).await, bucket(&sandbox, &spray).await);
    let since = sandbox.store.now();
    // The record says since when and how much, however often it is refused.
    for _ in 0..2 {
        let refunded = refund::refund(&*sandbox.store, spray.id).await.unwrap();
        assert_eq!(refunded, Refunded::WalletFull { amount: 20 });
        let refused = Some(RefusedRefund { amount: 20, since });
        let marked = (Spray { refused, ..before.0.clone() }, before.1.clone());
        assert_eq!((read(&sandbox, &spray).await, bucket(&sandbox, &spray).await), marked);
        let hour = sandbox.store.now().plus_ms(3_600_000);
        assert_eq!(due(&sandbox, &spray).await, Some(hour));
        tokio::time::advance(Duration::from_secs(3_600)).await;
    }
    sandbox.overwrite_balance("s", 0).await;
    let refunded = refund::refund(&*sandbox.store, spray.id).await.unwrap();
    assert_eq!(refunded, Refunded::Now { amount: 20 });
    assert_eq!((read(&sandbox, &spray).await.refused, due(&sandbox, &spray).await), (None, None));
}

/// Those that are listed as refused, and the names of those that cannot be read.
async fn listed(sandbox: &Sandbox) -> (Vec<SprayId>, Vec<String>) {
    let RefusedRefunds { sprays, unreadable } = refused(&*sandbox.store).await.unwrap();
    (sprays.into_iter().map(|spray| spray.id).collect(), unreadable)
}

#[tokio::test(start_paused = true)]
async fn refused_refunds_are_listed_until_they_are_returned_and_no_other_spray_is() {
    let sandbox = Sandbox::new(12);
    let mut sprays = Vec::new();
    for _ in 0..3 {
        sprays.push(sprayed(&sandbox, 2).await);
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    tokio::time::advance(Duration::from_secs(600)).await;
    // Open, and due within the hour.
    let open = sprayed(&sandbox, 2).await;
    fill(&sandbox, "s").await;
    // Also by a process whose clock is five minutes ahead.
    let ahead = sandbox.skewed_process(31, 300_000);
    for spray in &sprays[..2] {
        let refunded = refund::refund(&*ahead, spray.id).await.unwrap();
        assert_eq!(refunded, Refunded::WalletFull { amount: 20 });
    }
    assert_eq!(listed(&sandbox).await, (vec![sprays[0].id, sprays[1].id], vec![]));
    // One that cannot be read hides no other.
    let sprays_table = Table::of(&sandbox, "sprays");
    sprays_table.set(&key(sprays[0].pool()), "recipients", s("all")).await;
    let unreadable = sprays[0].pool().to_string();
    assert_eq!(listed(&sandbox).await, (vec![sprays[1].id], vec![unreadable]));
    sprays_table.set(&key(sprays[0].pool()), "recipients", n(2)).await;
    sandbox.overwrite_balance("s", 0).await;
    tokio::time::advance(Duration::from_secs(3_600 + 300)).await;
    let run = refund::run(&*sandbox.store, sandbox.store.now().plus_ms(60_000)).await.unwrap();
    assert_eq!((run.refunded, run.failed), (4, 0), "{open:?}");
    assert_eq!(listed(&sandbox).await, (vec![], vec![]));
}

#[tokio::test(start_paused = true)]
async fn what_was_refunded_or_is_not_there_is_not_marked_as_refused_nor_due_again() {
    let sandbox = Sandbox::new(11);
    let spray = sprayed(&sandbox, 2).await;
    let as_read = buckets(&sandbox, &spray).await;
    let outcome = refund_at(&sandbox, &spray, &as_read, spray.window.closes).await;
    assert_eq!(outcome, RefundOutcome::Done);
    let refunded = Table::of(&sandbox, "sprays").get(&key(spray.pool())).await.unwrap();
    let later = spray.window.closes.plus_ms(9);
    let refusal = RefusedRefund { amount: 20, since: later };
    sandbox.store.refuse_refund(spray.id, refusal, later).await.unwrap();
    let after = Table::of(&sandbox, "sprays").get(&key(spray.pool())).await.unwrap();
    assert_eq!(after, refunded);
    let nowhere = Spray { id: SprayId(sandbox.id()), ..spray };
    sandbox.store.refuse_refund(nowhere.id, refusal, later).await.unwrap();
    assert_eq!(Table::of(&sandbox, "sprays").get(&key(nowhere.pool())).await, None);
    assert!(sandbox.store.buckets(nowhere.pool(), &[0]).await.unwrap().is_empty());
}

/// How many transactions `work` asks for, and what it comes to.
async fn counted<T>(sandbox: &Sandbox, work: impl Future<Output = T>) -> (u64, T) {
    sandbox.world.recorder().reset();
    let done = work.await;
    let recorder = sandbox.world.recorder();
    (recorder.operation(Service::DynamoDb, "TransactWriteItems").calls, done)
}

#[tokio::test(start_paused = true)]
async fn a_spray_that_was_restored_without_the_other_tables_is_an_error_at_once() {
    let sandbox = Sandbox::new(13);
    let spray = sprayed(&sandbox, 2).await;
    let tables = [Table::of(&sandbox, "sprays"), Table::of(&sandbox, "pools")];
    let keys = [key(spray.pool()), key(format!("{}#0", spray.pool()))];
    let mut backup = Vec::new();
    for (table, key) in tables.iter().zip(&keys) {
        backup.push(table.get(key).await.unwrap());
    }
    tokio::time::advance(Duration::from_secs(600)).await;
    let refund = || refund::refund(&*sandbox.store, spray.id);
    assert_eq!(refund().await.unwrap(), Refunded::Now { amount: 20 });
    let closed = tables[1].get(&keys[1]).await.unwrap();
    // First the spray alone is as before, then its bucket too; the ledger has the transfer.
    let said = ["a bucket is closed, but", "the ledger has its transfer, but"];
    for (at, said) in said.into_iter().enumerate() {
        tables[at].put(backup[at].clone()).await;
        for is_full in [false, true] {
            if is_full {
                fill(&sandbox, "s").await;
            }
            let before = state(&sandbox, &spray).await;
            let (transactions, refused) = counted(&sandbox, refund()).await;
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind, PortErrorKind::Corrupt);
            assert!(refused.operation.contains(said), "{refused}");
            assert!(transactions <= 1, "it is not tried again and again");
            assert_eq!(state(&sandbox, &spray).await, before);
            sandbox.overwrite_balance("s", 20).await;
        }
    }
    let as_read = buckets(&sandbox, &spray).await;
    let outcome = refund_at(&sandbox, &spray, &as_read, spray.window.closes).await;
    assert_eq!(outcome, RefundOutcome::AlreadyPosted);
    // The audit at the end of the test finds such a bucket.
    tables[1].put(closed).await;
}

#[tokio::test(start_paused = true)]
async fn a_refund_that_another_run_makes_meanwhile_is_none_of_this_one() {
    let sandbox = Arc::new(Sandbox::new(14));
    let spray = sprayed(&sandbox, 2).await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let (other, id) = (sandbox.another_process(91), spray.id);
    meanwhile(&sandbox, Before(1, "BatchGetItem", "largesse-pools"), async move {
        assert_eq!(refund::refund(&*other, id).await.unwrap(), Refunded::Now { amount: 20 });
    });
    let refunded = refund::refund(&*sandbox.store, spray.id).await.unwrap();
    assert_eq!((refunded, balance(&sandbox, "s").await), (Refunded::Before, 20));
}

/// The other run's refund, and what came after it, leave no room for the amount that is returned already.
#[tokio::test(start_paused = true)]
async fn a_refund_that_another_run_makes_into_the_last_room_of_the_wallet_is_no_error() {
    let sandbox = Arc::new(Sandbox::new(15));
    let spray = sprayed(&sandbox, 2).await;
    tokio::time::advance(Duration::from_secs(600)).await;
    let (other, id) = (sandbox.another_process(91), spray.id);
    let wallets = Arc::clone(&sandbox);
    meanwhile(&sandbox, Before(1, "GetItem", "largesse-ledger"), async move {
        assert_eq!(refund::refund(&*other, id).await.unwrap(), Refunded::Now { amount: 20 });
        fill(&wallets, "s").await;
    });
    let refunded = refund::refund(&*sandbox.store, spray.id).await.unwrap();
    assert_eq!(refunded, Refunded::Before);
    sandbox.overwrite_balance("s", 20).await;
}
