//! Refunds: only of a spray that is as it was read, only when it is over, once, and freeing only its
//! own token. One test for each clause of the conditions.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::{
    Clock, INDEX_SHARDS, Once, Pools, RefundOutcome, Refunds, Sprays, Wallets,
};
use largesse_app::spray::refund::{self, Refunded};
use largesse_app::spray::refused::{RefusedRefunds, refused};
use largesse_domain::id::{SprayId, TransferId};
use largesse_domain::ledger::{TransferKind, TransferOrder};
use largesse_domain::pool::{Bucket, BucketStatus};
use largesse_domain::spray::{RefusedRefund, Spray};
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, amount, user};

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{
    Item, Table, balance, bucket, buckets, draw, fill, key, number, request, s, sprayed,
};
use crate::sprays::{made, wish};

async fn read(sandbox: &Sandbox, spray: &Spray) -> Spray {
    sandbox.store.spray(spray.id).await.unwrap().unwrap()
}

/// A draw in the last moment of the window.
async fn drawn(sandbox: &Sandbox, spray: &Spray, member: &str) {
    let request = request(member, spray.window.closes.minus_ms(1), 1);
    draw(&sandbox.store, spray, &request).await.unwrap();
}

/// What the refund of the spray as it was read comes to at that moment.
async fn refund_at(
    sandbox: &Sandbox,
    spray: &Spray,
    as_read: &[Bucket],
    now: Timestamp,
) -> RefundOutcome {
    sandbox.store.refund_spray(spray, as_read, now).await.unwrap()
}

/// Everything that a refund writes.
async fn state(sandbox: &Sandbox, spray: &Spray) -> (Option<Spray>, Vec<Bucket>, u64, Vec<Item>) {
    let items = vec![token_item(sandbox, spray).await, sender_item(sandbox).await];
    let items = items.into_iter().flatten().collect();
    let found = sandbox.store.spray(spray.id).await.unwrap();
    (found, buckets(sandbox, spray).await, balance(sandbox, "s").await, items)
}

async fn token_item(sandbox: &Sandbox, spray: &Spray) -> Option<Item> {
    Table::of(sandbox, "tokens").get(&key(format!("TOKEN#{}", spray.token))).await
}

async fn sender_item(sandbox: &Sandbox) -> Option<Item> {
    Table::of(sandbox, "sprays").get(&key("SENDER#s")).await
}

#[tokio::test(start_paused = true)]
async fn a_refund_returns_what_is_left_frees_the_token_and_counts_one_spray_less() {
    let sandbox = Sandbox::new(1);
    let spray = sprayed(&sandbox, 20).await;
    drawn(&sandbox, &spray, "a").await;
    let as_read = buckets(&sandbox, &spray).await;
    let left: u64 = as_read.iter().map(Bucket::remainder).sum();
    let now = spray.window.closes.plus_ms(7);
    assert_eq!(refund_at(&sandbox, &spray, &as_read, now).await, RefundOutcome::Done);
    let refund = read(&sandbox, &spray).await.refund.unwrap();
    assert_eq!((refund.amount, refund.shares, refund.at), (left, 19, now));
    assert_eq!(balance(&sandbox, "s").await, left);
    let closed = buckets(&sandbox, &spray).await;
    assert!(closed.iter().all(|bucket| bucket.status == BucketStatus::Closed));
    let token = token_item(&sandbox, &spray).await.unwrap();
    assert_eq!(token["refunded"].as_bool(), Ok(&true));
    assert!(token.contains_key("free_shard") && token.contains_key("ttl"));
    assert_eq!(number(&sender_item(&sandbox).await.unwrap(), "live"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_spray_is_refunded_at_the_end_of_its_window_and_not_a_millisecond_before() {
    let sandbox = Sandbox::new(2);
    let spray = sprayed(&sandbox, 20).await;
    let (as_read, closes) = (buckets(&sandbox, &spray).await, spray.window.closes);
    let before = state(&sandbox, &spray).await;
    let early = refund_at(&sandbox, &spray, &as_read, closes.minus_ms(1)).await;
    assert_eq!(early, RefundOutcome::Changed);
    assert_eq!(state(&sandbox, &spray).await, before);
    assert_eq!(refund_at(&sandbox, &spray, &as_read, closes).await, RefundOutcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_share_drawn_meanwhile_is_not_returned() {
    let sandbox = Sandbox::new(3);
    let spray = sprayed(&sandbox, 20).await;
    let as_read = buckets(&sandbox, &spray).await;
    drawn(&sandbox, &spray, "a").await;
    let before = state(&sandbox, &spray).await;
    let outcome = refund_at(&sandbox, &spray, &as_read, spray.window.closes).await;
    assert_eq!(outcome, RefundOutcome::Changed);
    assert_eq!(state(&sandbox, &spray).await, before);
    // Read again, just what is left goes back.
    let left = before.1.iter().map(Bucket::remainder).sum();
    tokio::time::advance(Duration::from_secs(600)).await;
    let refunded = refund::refund(&*sandbox.store, spray.id).await.unwrap();
    assert_eq!(refunded, Refunded::Now { amount: left });
    let again = refund::refund(&*sandbox.store, spray.id).await.unwrap();
    assert_eq!(again, Refunded::Before);
    assert_eq!(balance(&sandbox, "s").await, left);
}

/// Of one share, which was drawn: nothing is left, so no transfer shows that it was refunded.
async fn all_drawn(sandbox: &Sandbox) -> (Spray, Vec<Bucket>) {
    let spray = sprayed(sandbox, 1).await;
    drawn(sandbox, &spray, "a").await;
    let as_read = buckets(sandbox, &spray).await;
    (spray, as_read)
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_closed_is_not_closed_again_though_the_spray_was_restored() {
    let sandbox = Sandbox::new(4);
    let (spray, as_read) = all_drawn(&sandbox).await;
    let closes = spray.window.closes;
    let sprays = Table::of(&sandbox, "sprays");
    let spray_key = key(spray.pool());
    let not_refunded = sprays.get(&spray_key).await.unwrap();
    assert_eq!(refund_at(&sandbox, &spray, &as_read, closes).await, RefundOutcome::Done);
    sprays.put(not_refunded).await;
    let before = state(&sandbox, &spray).await;
    // Later, hence under another request token.
    let again = refund_at(&sandbox, &spray, &as_read, closes.plus_ms(1)).await;
    assert_eq!(again, RefundOutcome::Changed);
    assert_eq!(state(&sandbox, &spray).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_spray_that_is_refunded_is_not_refunded_again_though_its_buckets_were_restored() {
    let sandbox = Sandbox::new(5);
    let (spray, as_read) = all_drawn(&sandbox).await;
    let closes = spray.window.closes;
    assert_eq!(refund_at(&sandbox, &spray, &as_read, closes).await, RefundOutcome::Done);
    let bucket_key = key(format!("{}#0", spray.pool()));
    Table::of(&sandbox, "pools").set(&bucket_key, "status", s("OPEN")).await;
    let before = state(&sandbox, &spray).await;
    let again = refund_at(&sandbox, &spray, &as_read, closes.plus_ms(1)).await;
    assert_eq!(again, RefundOutcome::Changed);
    assert_eq!(state(&sandbox, &spray).await, before);
}

#[tokio::test(start_paused = true)]
async fn of_a_spray_whose_item_is_gone_no_half_is_brought_back() {
    let sandbox = Sandbox::new(6);
    let spray = sprayed(&sandbox, 1).await;
    let as_read = buckets(&sandbox, &spray).await;
    Table::of(&sandbox, "sprays").delete(&key(spray.pool())).await;
    let before = state(&sandbox, &spray).await;
    assert_eq!(before.0, None);
    let outcome = refund_at(&sandbox, &spray, &as_read, spray.window.closes).await;
    assert_eq!(outcome, RefundOutcome::Changed);
    assert_eq!(Table::of(&sandbox, "sprays").get(&key(spray.pool())).await, None);
    assert_eq!(state(&sandbox, &spray).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_refund_leaves_its_token_alone_once_that_stands_for_another_spray() {
    let sandbox = Sandbox::new(7);
    sandbox.deposit("s", 100).await;
    let first = made(&sandbox, "ABC", 50).await;
    let as_read = buckets(&sandbox, &first).await;
    // The token's item is deleted by hand, and another spray takes it.
    Table::of(&sandbox, "tokens").delete(&key("TOKEN#ABC")).await;
    let (second, order) = wish(&sandbox, "ABC", 50);
    let made = sandbox.store.create_spray(&second, &order).await.unwrap().unwrap();
    assert_eq!(made, Once::Now(second.clone()));
    let before = token_item(&sandbox, &second).await;
    let outcome = refund_at(&sandbox, &first, &as_read, first.window.closes).await;
    assert_eq!(outcome, RefundOutcome::Done, "the money goes back all the same");
    assert_eq!(token_item(&sandbox, &second).await, before);
    assert_eq!(balance(&sandbox, "s").await, 50);
}

#[tokio::test(start_paused = true)]
async fn a_refund_goes_on_without_a_token_and_a_count_that_were_deleted() {
    let sandbox = Sandbox::new(8);
    for (n, is_count_zero) in [true, false].into_iter().enumerate() {
        let spray = sprayed(&sandbox, 2).await;
        let as_read = buckets(&sandbox, &spray).await;
        Table::of(&sandbox, "tokens").delete(&key(format!("TOKEN#{}", spray.token))).await;
        let sprays = Table::of(&sandbox, "sprays");
        if is_count_zero {
            sprays.set(&key("SENDER#s"), "live", crate::scene::n(0)).await;
        } else {
            sprays.delete(&key("SENDER#s")).await;
        }
        let count = sender_item(&sandbox).await;
        let outcome = refund_at(&sandbox, &spray, &as_read, spray.window.closes).await;
        assert_eq!(outcome, RefundOutcome::Done);
        assert_eq!(token_item(&sandbox, &spray).await, None);
        assert_eq!(sender_item(&sandbox).await, count);
        let returned = 20 * (u64::try_from(n).unwrap() + 1);
        assert_eq!(balance(&sandbox, "s").await, returned);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_is_added_to_what_the_wallet_holds_then() {
    let sandbox = Arc::new(Sandbox::new(9));
    let spray = sprayed(&sandbox, 2).await;
    let as_read = buckets(&sandbox, &spray).await;
    let (other, id, at) = (sandbox.another_process(91), sandbox.id(), sandbox.store.now());
    meanwhile(&sandbox, Before(1, "TransactWriteItems", "largesse-sprays"), async move {
        let order = TransferOrder {
            id: TransferId(id),
            wallet: user("s"),
            kind: TransferKind::Deposit,
            amount: amount(5),
            at,
            pool: None,
            counterpart: None,
            memo: None,
        };
        other.post(order).await.unwrap().unwrap();
    });
    let outcome = refund_at(&sandbox, &spray, &as_read, spray.window.closes).await;
    assert_eq!(outcome, RefundOutcome::Done);
    assert_eq!(balance(&sandbox, "s").await, 25);
}

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
    sprays_table.set(&key(sprays[0].pool()), "recipients", crate::scene::n(2)).await;
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
