//! Refunds: only of a spray that is as it was read, only when it is over, once, and freeing only its
//! own token. One test for each clause of the conditions.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::{Clock, Once, RefundOutcome, Refunds, Sprays, Wallets};
use largesse_app::spray::refund::{self, Refunded};
use largesse_domain::id::TransferId;
use largesse_domain::ledger::{TransferKind, TransferOrder};
use largesse_domain::pool::{Bucket, BucketStatus};
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, amount, user};

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{Item, Table, balance, buckets, draw, key, number, request, s, sprayed};
use crate::sprays::{made, wish};

/// The spray as it is now.
pub(crate) async fn read(sandbox: &Sandbox, spray: &Spray) -> Spray {
    sandbox.store.spray(spray.id).await.unwrap().unwrap()
}

/// A draw in the last moment of the window.
async fn drawn(sandbox: &Sandbox, spray: &Spray, member: &str) {
    let request = request(member, spray.window.closes.minus_ms(1), 1);
    draw(&sandbox.store, spray, &request).await.unwrap();
}

/// What the refund of the spray as it was read comes to at that moment.
pub(crate) async fn refund_at(
    sandbox: &Sandbox,
    spray: &Spray,
    as_read: &[Bucket],
    now: Timestamp,
) -> RefundOutcome {
    sandbox.store.refund_spray(spray, as_read, now).await.unwrap()
}

/// Everything that a refund writes.
pub(crate) async fn state(
    sandbox: &Sandbox,
    spray: &Spray,
) -> (Option<Spray>, Vec<Bucket>, u64, Vec<Item>) {
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
