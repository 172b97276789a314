//! The transactions of settlements and refunds, clause by clause.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::{Clock, InvestmentRefund, Products, SettleOutcome, Settlements};
use largesse_domain::product::{Investment, Limits, Outcome, Product, Settled};
use largesse_domain::time::Timestamp;
use largesse_tests::Sandbox;

use super::scene::{
    OPEN_MS, invested, investment_key, limits, made_of, products, read, settle_all, shard_key, wish,
};
use crate::meanwhile::{Before, meanwhile};
use crate::scene::{balance, key_with, s};

/// A product of 100 in two shards, in which `a` has 10.
async fn scene(seed: u64, min_raise: Option<u64>) -> (Arc<Sandbox>, Product, Investment) {
    let sandbox = Arc::new(Sandbox::new(seed));
    sandbox.deposit("a", 100).await;
    let product = made_of(&sandbox, Limits { min_raise, ..limits(100) }, 2).await;
    let investment = invested(&sandbox, &product, "a", 10).await;
    (sandbox, product, investment)
}

async fn over() {
    tokio::time::advance(Duration::from_millis(OPEN_MS)).await;
}

/// Settles by the shards as they are.
async fn settle_at(sandbox: &Sandbox, product: &Product, at: Timestamp) -> SettleOutcome {
    let shards = sandbox.store.shards(product).await.unwrap();
    let (outcome, raised, investors) = (Outcome::PaidOut, 10, 1);
    let settled = Settled { outcome, raised, investors, at };
    sandbox.store.settle_product(product, &shards, &settled).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_settled_before_its_end_unless_nothing_remains() {
    let (sandbox, product, _) = scene(1, None).await;
    let closes = product.terms.window.closes;
    let early = settle_at(&sandbox, &product, closes.minus_ms(1)).await;
    assert_eq!((early, balance(&sandbox, "i").await), (SettleOutcome::Changed, 0));
    assert_eq!(settle_at(&sandbox, &product, closes).await, SettleOutcome::Done);
    assert_eq!(balance(&sandbox, "i").await, 10);
    let full = made_of(&sandbox, limits(20), 2).await;
    invested(&sandbox, &full, "a", 20).await;
    assert_eq!(settle_all(&sandbox.store).await.paid_out, 20, "long before it closes");
}

/// An investor's clock is behind: the window is not over by it.
#[tokio::test(start_paused = true)]
async fn what_is_invested_while_a_product_is_settled_is_settled_too() {
    let (sandbox, product, _) = scene(2, None).await;
    over().await;
    let behind = sandbox.skewed_process(7, -1);
    let (theirs, of_them) = (super::scene::order(&sandbox, "a", 5), product.clone());
    meanwhile(&sandbox, Before(1, "TransactWriteItems", "largesse-products"), async move {
        behind.invest(&of_them, &theirs).await.unwrap().unwrap();
    });
    let report = settle_all(&sandbox.store).await;
    assert_eq!((report.settled, report.paid_out), (1, 15));
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_is_closed_is_not_closed_again() {
    let (sandbox, product, _) = scene(3, None).await;
    over().await;
    let (table, key) = (products(&sandbox), shard_key(&product, 1));
    table.set(&key, "status", s("CLOSED")).await;
    let outcome = settle_at(&sandbox, &product, sandbox.store.now()).await;
    assert_eq!((outcome, balance(&sandbox, "i").await), (SettleOutcome::Changed, 0));
    table.set(&key, "status", s("OPEN")).await;
    assert_eq!(settle_all(&sandbox.store).await.settled, 1);
}

#[tokio::test(start_paused = true)]
async fn a_product_that_is_settled_or_gone_is_not_settled() {
    let (sandbox, product, _) = scene(4, Some(50)).await;
    over().await;
    let (table, meta) = (products(&sandbox), key_with(product.pool(), "META"));
    let item = table.get(&meta).await.unwrap();
    let mut settled = item.clone();
    for (name, value) in [("outcome", s("refunded")), ("settled_ms", crate::scene::n(1))] {
        settled.insert(name.to_owned(), value);
    }
    for name in ["raised", "investors"] {
        settled.insert(name.to_owned(), crate::scene::n(0));
    }
    table.put(settled.clone()).await;
    let outcome = settle_at(&sandbox, &product, sandbox.store.now()).await;
    assert_eq!(outcome, SettleOutcome::Changed);
    assert_eq!(table.get(&meta).await, Some(settled));
    table.delete(&meta).await;
    let outcome = settle_at(&sandbox, &product, sandbox.store.now()).await;
    assert_eq!(outcome, SettleOutcome::Changed);
    assert_eq!(table.get(&meta).await, None);
    table.put(item).await;
    assert_eq!(balance(&sandbox, "i").await, 0);
}

#[tokio::test(start_paused = true)]
async fn an_issuer_whose_wallet_moves_meanwhile_is_paid_what_was_raised() {
    let (sandbox, _, _) = scene(5, None).await;
    over().await;
    let between = Arc::clone(&sandbox);
    meanwhile(&sandbox, Before(1, "TransactWriteItems", "largesse-products"), async move {
        between.deposit("i", 7).await;
    });
    assert_eq!(settle_all(&sandbox.another_process(3)).await.paid_out, 10);
    assert_eq!(balance(&sandbox, "i").await, 17);
}

/// A product that is being refunded, by a run that had no time for it.
async fn refunding(seed: u64) -> (Arc<Sandbox>, Product, Investment) {
    let (sandbox, product, investment) = scene(seed, Some(50)).await;
    over().await;
    let shards = sandbox.store.shards(&product).await.unwrap();
    let settled = product.settlement(&shards, sandbox.store.now()).unwrap();
    let outcome = sandbox.store.settle_product(&product, &shards, &settled).await.unwrap();
    assert_eq!(outcome, SettleOutcome::Done);
    (sandbox, product, investment)
}

#[tokio::test(start_paused = true)]
async fn an_investment_that_is_refunded_is_not_refunded_again() {
    let (sandbox, product, investment) = refunding(6).await;
    let (table, key) = (products(&sandbox), investment_key(&product, "a", 1));
    let refund = || sandbox.store.refund_investment(&product, &investment);
    // By its record alone; then by its record and its transfer; then by its transfer alone.
    table.set(&key, "status", s("REFUNDED")).await;
    assert_eq!(refund().await.unwrap(), InvestmentRefund::Before);
    assert_eq!(balance(&sandbox, "a").await, 90);
    table.set(&key, "status", s("INVESTED")).await;
    assert_eq!(refund().await.unwrap(), InvestmentRefund::Done);
    assert_eq!(refund().await.unwrap(), InvestmentRefund::Before);
    table.set(&key, "status", s("INVESTED")).await;
    assert_eq!(refund().await.unwrap(), InvestmentRefund::AlreadyPosted);
    let report = settle_all(&sandbox.store).await;
    assert_eq!((report.refunded, report.failed), (0, 1));
    table.set(&key, "status", s("REFUNDED")).await;
    assert_eq!(balance(&sandbox, "a").await, 100);
}

#[tokio::test(start_paused = true)]
async fn an_investor_whose_wallet_moves_meanwhile_is_refunded_once() {
    let (sandbox, product, investment) = refunding(7).await;
    let between = Arc::clone(&sandbox);
    meanwhile(&sandbox, Before(1, "TransactWriteItems", "largesse-products"), async move {
        between.deposit("a", 7).await;
    });
    let store = sandbox.another_process(3);
    let refund = store.refund_investment(&product, &investment).await.unwrap();
    assert_eq!((refund, balance(&sandbox, "a").await), (InvestmentRefund::Done, 107));
}

/// The other run's refund leaves no room for the amount that is returned already.
#[tokio::test(start_paused = true)]
async fn a_wallet_that_is_full_because_of_the_refund_was_refunded() {
    let (sandbox, product, investment) = refunding(8).await;
    let refund = || sandbox.store.refund_investment(&product, &investment);
    assert_eq!(refund().await.unwrap(), InvestmentRefund::Done);
    let held = crate::scene::fill(&sandbox, "a").await;
    assert_eq!(refund().await.unwrap(), InvestmentRefund::Before);
    sandbox.overwrite_balance("a", held).await;
}

#[tokio::test(start_paused = true)]
async fn only_a_product_that_is_being_refunded_ends_as_refunded() {
    let (sandbox, product, _) = scene(9, None).await;
    sandbox.store.finish_refunds(product.id).await.unwrap();
    assert_eq!(read(&sandbox, &product).await.settled, None);
    over().await;
    settle_all(&sandbox.store).await;
    sandbox.store.finish_refunds(product.id).await.unwrap();
    let settled = read(&sandbox, &product).await.settled.unwrap();
    assert_eq!(settled.outcome, Outcome::PaidOut);
    let nowhere = wish(&sandbox, limits(1));
    sandbox.store.finish_refunds(nowhere.id).await.unwrap();
    assert_eq!(sandbox.store.product(nowhere.id).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_settled_or_not_there_is_not_due_again() {
    let (sandbox, product, _) = scene(10, None).await;
    over().await;
    settle_all(&sandbox.store).await;
    let (table, meta) = (products(&sandbox), key_with(product.pool(), "META"));
    let settled = table.get(&meta).await.unwrap();
    let now = sandbox.store.now();
    sandbox.store.defer_product(product.id, now, now).await.unwrap();
    assert_eq!(table.get(&meta).await, Some(settled));
    let nowhere = wish(&sandbox, limits(1));
    sandbox.store.defer_product(nowhere.id, now, now).await.unwrap();
    assert_eq!(table.get(&key_with(nowhere.pool(), "META")).await, None);
}
