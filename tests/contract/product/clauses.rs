//! The transaction of an investment, clause by clause.

use std::sync::Arc;

use largesse_app::ports::{Clock, NotInvested, Once, PortErrorKind, Products, Settlements};
use largesse_domain::ledger::PostRefused;
use largesse_domain::product::{Position, Refusal};
use largesse_tests::{Sandbox, amount};

use super::scene::{
    OPEN_MS, invest_by, invested, investment_key, limits, made, made_of, order, products, refusal,
    settle_all, shard_key, sums,
};
use crate::meanwhile::{Before, meanwhile};
use crate::scene::{Table, balance, n, s};

const INVEST: Before = Before(1, "TransactWriteItems", "largesse-products");

/// A sandbox in which `a` and `b` have 1,000 each.
async fn sandbox(seed: u64) -> Arc<Sandbox> {
    let sandbox = Arc::new(Sandbox::new(seed));
    for who in ["a", "b"] {
        sandbox.deposit(who, 1_000).await;
    }
    sandbox
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_from_a_shard_that_is_settled_meanwhile() {
    let sandbox = sandbox(1).await;
    let product = made_of(&sandbox, limits(100), 1).await;
    invested(&sandbox, &product, "b", 10).await;
    let ahead = sandbox.skewed_process(5, i64::try_from(OPEN_MS).unwrap());
    meanwhile(&sandbox, INVEST, async move {
        assert_eq!(settle_all(&ahead).await.settled, 1);
    });
    let answer = invest_by(&sandbox.store, &sandbox, &product, "a", 20).await;
    assert_eq!(refusal(answer), Refusal::Over);
    assert_eq!((balance(&sandbox, "a").await, balance(&sandbox, "i").await), (1_000, 10));
}

/// The shard's own times count, whatever the process remembers of the product.
#[tokio::test(start_paused = true)]
async fn a_shard_takes_from_its_opening_to_before_its_closing_by_its_own_times() {
    let sandbox = sandbox(2).await;
    let product = made_of(&sandbox, limits(100), 1).await;
    let (key, now) = (shard_key(&product, 0), sandbox.store.now());
    let hour = 3_600_000;
    let closes = product.terms.window.closes;
    for (name, value, right) in
        [("opens_ms", now.plus_ms(hour), now), ("closes_ms", now.minus_ms(hour), closes)]
    {
        products(&sandbox).set(&key, name, n(value.ms())).await;
        let refused = invest_by(&sandbox.store, &sandbox, &product, "a", 20).await.unwrap_err();
        assert_eq!(refused.kind, PortErrorKind::Contended, "{name}");
        products(&sandbox).set(&key, name, n(right.ms())).await;
    }
    assert_eq!((sums(&sandbox, &product).await.raised, balance(&sandbox, "a").await), (0, 1_000));
    // To the millisecond: open at its first one, closed at its last.
    let now = sandbox.store.now();
    products(&sandbox).set(&key, "opens_ms", n(now.ms())).await;
    products(&sandbox).set(&key, "closes_ms", n(now.ms() + 1)).await;
    invested(&sandbox, &product, "a", 20).await;
    products(&sandbox).set(&key, "closes_ms", n(now.ms())).await;
    assert!(invest_by(&sandbox.store, &sandbox, &product, "a", 20).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_another_process_takes_meanwhile_is_not_taken_again() {
    for shards in [1, 4, 16] {
        let sandbox = sandbox(3).await;
        let product = made_of(&sandbox, limits(160), shards).await;
        let (other, theirs) = (sandbox.another_process(7), order(&sandbox, "b", 100));
        let of_them = product.clone();
        meanwhile(&sandbox, INVEST, async move {
            other.invest(&of_them, &theirs).await.unwrap().unwrap();
        });
        let answer = invest_by(&sandbox.store, &sandbox, &product, "a", 61).await;
        assert_eq!(refusal(answer), Refusal::AboveRemaining { remaining: 60 }, "{shards}");
        invested(&sandbox, &product, "a", 60).await;
        assert_eq!(sums(&sandbox, &product).await.remaining, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_lies_under_the_number_of_an_investment_is_not_overwritten() {
    let sandbox = sandbox(4).await;
    let product = made(&sandbox, limits(100)).await;
    let key = investment_key(&product, "a", 1);
    let mut planted = key.clone();
    planted.insert("planted".to_owned(), s("yes"));
    let (between, item) = (Arc::clone(&sandbox), planted.clone());
    meanwhile(&sandbox, INVEST, async move { products(&between).put(item).await });
    let refused = invest_by(&sandbox.store, &sandbox, &product, "a", 10).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::Corrupt);
    assert_eq!(products(&sandbox).get(&key).await, Some(planted));
    assert_eq!((sums(&sandbox, &product).await.raised, balance(&sandbox, "a").await), (0, 1_000));
    products(&sandbox).delete(&key).await;
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_moves_meanwhile_pays_from_what_it_holds_then() {
    let sandbox = sandbox(5).await;
    let product = made(&sandbox, limits(10_000)).await;
    let (other, theirs) = (sandbox.another_process(7), order(&sandbox, "a", 700));
    let of_them = product.clone();
    meanwhile(&sandbox, INVEST, async move {
        other.invest(&of_them, &theirs).await.unwrap().unwrap();
    });
    let answer = invest_by(&sandbox.store, &sandbox, &product, "a", 301).await.unwrap();
    let balance = largesse_domain::money::Balance::new(300).unwrap();
    let refused = NotInvested::Wallet(PostRefused::Insufficient { balance });
    assert_eq!(answer, Err(refused));
    assert_eq!(sums(&sandbox, &product).await.raised, 700);
}

/// The position has no item of its own: the condition on the wallet keeps it.
#[tokio::test(start_paused = true)]
async fn the_limit_of_an_investor_holds_against_another_process() {
    let sandbox = sandbox(6).await;
    let limits = largesse_domain::product::Limits { max_per_investor: Some(100), ..limits(10_000) };
    let product = made(&sandbox, limits).await;
    let (other, theirs) = (sandbox.another_process(7), order(&sandbox, "a", 60));
    let of_them = product.clone();
    meanwhile(&sandbox, INVEST, async move {
        other.invest(&of_them, &theirs).await.unwrap().unwrap();
    });
    let answer = invest_by(&sandbox.store, &sandbox, &product, "a", 41).await;
    assert_eq!(refusal(answer), Refusal::AboveLimit { most: amount(100), invested: 60 });
    let second = invested(&sandbox, &product, "a", 40).await;
    assert_eq!(second.position, Position { count: 2, total: 100 });
    assert_eq!(sums(&sandbox, &product).await.investors, 1);
}

#[tokio::test(start_paused = true)]
async fn an_id_invests_once_whatever_has_changed_since() {
    let sandbox = sandbox(7).await;
    let product = made_of(&sandbox, limits(1_000), 4).await;
    let order = order(&sandbox, "a", 400);
    // Another process has the same request.
    let (other, same, of_them) = (sandbox.skewed_process(7, 1), order.clone(), product.clone());
    meanwhile(&sandbox, INVEST, async move {
        other.invest(&of_them, &same).await.unwrap().unwrap();
    });
    let again = sandbox.store.invest(&product, &order).await.unwrap().unwrap();
    let Once::Before(first) = again else { panic!("{again:?}") };
    assert_eq!((first.id, first.remaining), (order.id, 600));
    invested(&sandbox, &product, "a", 600).await;
    // Nothing remains of product and wallet; then the window is over.
    for advance in [0, OPEN_MS] {
        tokio::time::advance(std::time::Duration::from_millis(advance)).await;
        for store in [sandbox.store.clone(), sandbox.another_process(8)] {
            let again = store.invest(&product, &order).await.unwrap().unwrap();
            assert_eq!(again, Once::Before(first.clone()));
        }
    }
    assert_eq!(balance(&sandbox, "a").await, 0);
}

/// The ledger has the transfer, and the investment is gone: nothing is invested a second time.
#[tokio::test(start_paused = true)]
async fn an_investment_that_was_deleted_is_an_error_and_not_made_again() {
    let sandbox = sandbox(8).await;
    let product = made(&sandbox, limits(100)).await;
    let order = order(&sandbox, "a", 10);
    sandbox.store.invest(&product, &order).await.unwrap().unwrap();
    let key = investment_key(&product, "a", 1);
    let item = products(&sandbox).get(&key).await.unwrap();
    products(&sandbox).delete(&key).await;
    let refused = sandbox.store.invest(&product, &order).await.unwrap_err();
    assert_eq!((refused.kind, balance(&sandbox, "a").await), (PortErrorKind::Corrupt, 990));
    products(&sandbox).put(item).await;
}

#[tokio::test(start_paused = true)]
async fn a_shard_that_says_more_than_it_can_hold_is_an_error() {
    let sandbox = sandbox(9).await;
    let product = made_of(&sandbox, limits(100), 1).await;
    let table: Table<'_> = products(&sandbox);
    for (name, value, right) in [
        ("remaining", n(101), n(100)),
        ("remaining", s("all"), n(100)),
        ("status", s("HALF"), s("OPEN")),
    ] {
        table.set(&shard_key(&product, 0), name, value).await;
        let refused = invest_by(&sandbox.store, &sandbox, &product, "a", 1).await.unwrap_err();
        assert_eq!(refused.kind, PortErrorKind::Corrupt);
        table.set(&shard_key(&product, 0), name, right).await;
    }
    let item = table.get(&shard_key(&product, 0)).await.unwrap();
    table.delete(&shard_key(&product, 0)).await;
    let refused = sandbox.store.shards(&product).await.unwrap_err();
    assert_eq!(refused.kind, PortErrorKind::Corrupt);
    table.put(item).await;
    let due = sandbox.store.due_products(0, sandbox.store.now(), None, 10).await.unwrap();
    assert!(due.rows.is_empty());
}

/// The process remembers that more remains than does, by which the amount is below the least one.
#[tokio::test(start_paused = true)]
async fn a_closing_investment_is_taken_whatever_the_process_remembers() {
    let sandbox = sandbox(10).await;
    let limits = largesse_domain::product::Limits { min_investment: Some(10), ..limits(22) };
    let product = made_of(&sandbox, limits, 1).await;
    invested(&sandbox, &product, "a", 10).await;
    let other = sandbox.another_process(7);
    invest_by(&other, &sandbox, &product, "b", 10).await.unwrap().unwrap();
    assert_eq!(invested(&sandbox, &product, "a", 2).await.remaining, 0);
}
