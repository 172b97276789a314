//! Settlements and refunds, from one run to the next.

use std::time::Duration;

use largesse_app::ports::Clock;
use largesse_app::ports::{PortErrorKind, Products};
use largesse_app::product::settle::{self, SettleReport};
use largesse_domain::product::{Limits, Outcome, Product};
use largesse_tests::Sandbox;

use super::scene::{
    OPEN_MS, invested, investment_key, limits, made_of, products, read, settle_all, shard_key,
};
use crate::scene::{balance, fill, key_with, n, s};

/// `a` invested twice and `b` once, 60 in all, of a minimum of 80.
async fn missed(sandbox: &Sandbox, shards: u32) -> Product {
    let product = made_of(sandbox, Limits { min_raise: Some(80), ..limits(100) }, shards).await;
    for who in ["a", "b"] {
        sandbox.deposit(who, 100).await;
    }
    for (who, minor) in [("a", 10), ("a", 20), ("b", 30)] {
        invested(sandbox, &product, who, minor).await;
    }
    product
}

async fn over() {
    tokio::time::advance(Duration::from_millis(OPEN_MS)).await;
}

async fn outcome(sandbox: &Sandbox, product: &Product) -> Option<Outcome> {
    read(sandbox, product).await.settled.map(|settled| settled.outcome)
}

/// Row P6.
#[tokio::test(start_paused = true)]
async fn a_missed_minimum_is_refunded_once_by_three_runs_at_the_same_time() {
    for shards in [1, 4, 16] {
        let sandbox = Sandbox::new(1);
        let product = missed(&sandbox, shards).await;
        // Nothing happens before its end.
        assert_eq!(settle_all(&sandbox.store).await, SettleReport::default());
        over().await;
        let stores: Vec<_> = (0..3).map(|n| sandbox.another_process(20 + n)).collect();
        let runs = stores.iter().map(|store| settle_all(store));
        let reports = futures::future::join_all(runs).await;
        assert_eq!(reports.iter().map(|report| report.settled).sum::<u64>(), 1);
        while outcome(&sandbox, &product).await != Some(Outcome::Refunded) {
            settle_all(&sandbox.store).await;
        }
        assert_eq!((balance(&sandbox, "a").await, balance(&sandbox, "b").await), (100, 100));
        assert_eq!(settle_all(&sandbox.store).await, SettleReport::default(), "it is done");
    }
}

/// Row P2, of the minimum.
#[tokio::test(start_paused = true)]
async fn a_product_that_reaches_its_minimum_exactly_is_paid_out_once() {
    let sandbox = Sandbox::new(2);
    let product = missed(&sandbox, 4).await;
    invested(&sandbox, &product, "b", 20).await;
    over().await;
    let report = settle_all(&sandbox.store).await;
    assert_eq!((report.settled, report.paid_out, report.refunded), (1, 80, 0));
    assert_eq!(outcome(&sandbox, &product).await, Some(Outcome::PaidOut));
    assert_eq!(settle_all(&sandbox.store).await, SettleReport::default());
    assert_eq!(balance(&sandbox, "i").await, 80);
}

#[tokio::test(start_paused = true)]
async fn a_product_without_investments_ends_without_money() {
    let sandbox = Sandbox::new(3);
    let plain = made_of(&sandbox, limits(100), 4).await;
    let least = made_of(&sandbox, Limits { min_raise: Some(1), ..limits(100) }, 4).await;
    over().await;
    assert_eq!(settle_all(&sandbox.store).await.settled, 2);
    assert_eq!(outcome(&sandbox, &plain).await, Some(Outcome::PaidOut));
    assert_eq!(outcome(&sandbox, &least).await, Some(Outcome::Refunded));
    assert_eq!(settle_all(&sandbox.store).await, SettleReport::default());
}

#[tokio::test(start_paused = true)]
async fn a_full_wallet_holds_up_no_other_refund() {
    let sandbox = Sandbox::new(4);
    let product = missed(&sandbox, 4).await;
    over().await;
    let held = fill(&sandbox, "a").await;
    // Settled and refunded by one run, but for `a`. Repeats within the hour do nothing.
    let report = settle_all(&sandbox.store).await;
    assert_eq!((report.settled, report.refunded, report.returned), (1, 1, 30));
    assert_eq!(report.wallet_full, 1);
    let since = read(&sandbox, &product).await.refused;
    assert_eq!(since, Some(sandbox.store.now()));
    assert_eq!(settle_all(&sandbox.store).await, SettleReport::default());
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(settle_all(&sandbox.store).await.wallet_full, 1);
    assert_eq!(read(&sandbox, &product).await.refused, since, "the first time stays");
    sandbox.overwrite_balance("a", held).await;
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(settle_all(&sandbox.store).await.refunded, 2);
    let after = read(&sandbox, &product).await;
    assert_eq!((after.settled.unwrap().outcome, after.refused), (Outcome::Refunded, None));
}

#[tokio::test(start_paused = true)]
async fn an_issuer_whose_wallet_is_full_is_paid_when_it_has_room() {
    let sandbox = Sandbox::new(5);
    sandbox.deposit("i", 1).await;
    let product = missed(&sandbox, 4).await;
    invested(&sandbox, &product, "b", 40).await;
    let held = fill(&sandbox, "i").await;
    // Sold out: it is due at once.
    let report = settle_all(&sandbox.store).await;
    assert_eq!((report.settled, report.wallet_full), (0, 1));
    assert_eq!(outcome(&sandbox, &product).await, None);
    sandbox.overwrite_balance("i", held).await;
    assert_eq!(settle_all(&sandbox.store).await, SettleReport::default());
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(settle_all(&sandbox.store).await.paid_out, 100);
    assert_eq!(balance(&sandbox, "i").await, 101);
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_when_its_time_is_over_and_the_next_one_goes_on() {
    let sandbox = Sandbox::new(6);
    let product = missed(&sandbox, 4).await;
    over().await;
    let now = sandbox.store.now();
    let report = settle::run(&*sandbox.store, now).await.unwrap();
    assert_eq!(report, SettleReport { has_more: true, ..SettleReport::default() });
    assert_eq!(outcome(&sandbox, &product).await, None);
    assert_eq!(settle_all(&sandbox.store).await.refunded, 3);
}

#[tokio::test(start_paused = true)]
async fn a_product_that_cannot_be_read_holds_up_no_other() {
    let sandbox = Sandbox::new(7);
    let (bad, good) = (missed(&sandbox, 4).await, missed(&sandbox, 4).await);
    let key = key_with(bad.pool(), "META");
    products(&sandbox).set(&key, "shards", s("some")).await;
    over().await;
    // The run comes from another process: this one remembers what it has read.
    let report = settle_all(&sandbox.another_process(3)).await;
    assert_eq!((report.settled, report.failed), (1, 1));
    assert_eq!(outcome(&sandbox, &good).await, Some(Outcome::Refunded));
    products(&sandbox).set(&key, "shards", n(4)).await;
    assert_eq!(settle_all(&sandbox.store).await.settled, 1);
}

/// One table was restored without the other: an error at once, and no money moves.
#[tokio::test(start_paused = true)]
async fn tables_that_contradict_each_other_are_an_error_and_nothing_moves() {
    let sandbox = Sandbox::new(8);
    let product = missed(&sandbox, 1).await;
    invested(&sandbox, &product, "b", 40).await;
    let table = products(&sandbox);
    let keys = [key_with(product.pool(), "META"), shard_key(&product, 0)];
    sandbox.store.mark_sold_out(product.id, sandbox.store.now()).await.unwrap();
    let before = [table.get(&keys[0]).await.unwrap(), table.get(&keys[1]).await.unwrap()];
    assert_eq!(settle_all(&sandbox.store).await.paid_out, 100);
    let after = [table.get(&keys[0]).await.unwrap(), table.get(&keys[1]).await.unwrap()];
    // First the product alone is as before; then its shard too, while the ledger has the payout.
    for (at, said) in [(0, "a shard is closed"), (1, "the ledger has the payout")] {
        table.put(before[at].clone()).await;
        let mut report = SettleReport::default();
        let until = sandbox.store.now().plus_ms(60_000);
        let settled = settle::settle(&*sandbox.store, product.id, until, &mut report).await;
        let error = settled.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Corrupt);
        assert!(error.operation.contains(said), "{error}");
    }
    assert_eq!(balance(&sandbox, "i").await, 100);
    table.put(after[0].clone()).await;
    table.put(after[1].clone()).await;
}

#[tokio::test(start_paused = true)]
async fn refunds_that_are_not_what_was_raised_never_end_as_refunded() {
    let sandbox = Sandbox::new(9);
    let product = missed(&sandbox, 1).await;
    over().await;
    let (table, key) = (products(&sandbox), investment_key(&product, "b", 1));
    let item = table.get(&key).await.unwrap();
    table.delete(&key).await;
    let report = settle_all(&sandbox.store).await;
    assert_eq!((report.refunded, report.failed), (2, 1));
    assert_eq!(outcome(&sandbox, &product).await, Some(Outcome::Refunding));
    table.put(item).await;
    assert_eq!(settle_all(&sandbox.store).await.refunded, 1);
    assert_eq!(outcome(&sandbox, &product).await, Some(Outcome::Refunded));
}

/// A product that was sold out by a process that ended before it marked it, and is over since: it
/// is in no list of those that are to be marked. The mark is what is told to the bus, and comes
/// before the end.
#[tokio::test(start_paused = true)]
async fn a_product_that_was_never_marked_is_marked_before_it_is_settled() {
    let sandbox = Sandbox::new(10);
    let product = made_of(&sandbox, limits(60), 4).await;
    sandbox.deposit("a", 60).await;
    invested(&sandbox, &product, "a", 60).await;
    over().await;
    assert_eq!(read(&sandbox, &product).await.sold_out, None);
    let report = settle_all(&sandbox.store).await;
    assert_eq!((report.settled, report.paid_out, report.failed), (1, 60, 0));
    let settled = read(&sandbox, &product).await;
    assert_eq!(settled.sold_out, Some(sandbox.store.now()));
    assert_eq!(outcome(&sandbox, &product).await, Some(Outcome::PaidOut));
    assert_eq!(settle_all(&sandbox.store).await, SettleReport::default(), "it is done");
}
