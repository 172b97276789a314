//! Products: an investment and a settlement killed at every await, and with each reply lost.

use std::time::Duration;

use largesse_app::ports::{Clock, Products};
use largesse_app::product::invest::invest;
use largesse_app::product::settle::{self, SettleReport};
use largesse_aws::Store;
use largesse_domain::ledger::TransferKind;
use largesse_domain::product::{Limits, Outcome, Product};
use largesse_emulator::Fault;
use largesse_tests::http::Reply;
use largesse_tests::kill::kill_at;
use largesse_tests::{Sandbox, money};
use serde_json::json;

use crate::kill::for_every_await;
use crate::lost::{LOSING, five, for_every_call, insist};
use crate::products::{OPEN_MS, product, remaining, request, target};
use crate::rig::{Kill, Rig};

/// A rig in which `a` has money and a product that is open.
async fn rig_with(seed: u64, shards: u32) -> (Rig, Product) {
    let rig = Rig::new(seed, Kill::default());
    rig.sandbox.deposit("a", 1_000).await;
    let product = product(&rig.sandbox, shards, target(160)).await;
    (rig, product)
}

fn path(product: &Product) -> String {
    format!("/api/v2/products/{}/investments", product.id)
}

const KEYED: [(&str, &str); 2] = [("x-user-id", "a"), ("idempotency-key", "k")];

async fn ask(rig: &Rig, product: &Product, minor: u64) -> Reply {
    let body = json!({ "amount": minor }).to_string();
    insist(rig, "POST", &path(product), &KEYED, &body).await
}

async fn assert_made_once(rig: &Rig, product: &Product, minor: u64, heard: &Reply) {
    assert_eq!((heard.status, heard.number("amount")), (201, minor));
    assert_eq!(heard.number("remaining"), 160 - minor);
    assert_eq!(remaining(&rig.sandbox, product).await, 160 - minor);
    assert_eq!(rig.transfers(TransferKind::Investment), 1);
    assert_eq!(rig.balance("a"), 1_000 - minor);
    // If the mark was lost with the reply, the next run makes up for it.
    settle_all(&rig.sandbox.another_process(40)).await;
    let sold_out = rig.sandbox.store.product(product.id).await.unwrap().unwrap().sold_out;
    assert_eq!(sold_out.is_some(), minor == 160, "marked if nothing remains");
    assert_eq!(rig.balance("i"), if minor == 160 { 160 } else { 0 });
}

/// From one shard, from several, and all that remains.
const KINDS: [(u32, u64); 3] = [(1, 100), (16, 100), (4, 160)];

#[tokio::test(start_paused = true)]
async fn an_investment_that_is_killed_at_any_await_and_repeated_is_made_once() {
    for (shards, minor) in KINDS {
        for_every_await(5, async |k| {
            let (rig, product) = rig_with(1, shards).await;
            let body = json!({ "amount": minor }).to_string();
            let (path, headers) = (path(&product), KEYED);
            let first = kill_at(k, rig.request("POST", &path, &headers, &body)).await;
            tokio::time::advance(Duration::from_secs(20)).await;
            let again = ask(&rig, &product, minor).await;
            if let Some(first) = &first {
                assert_eq!((first.status, &first.text), (again.status, &again.text));
            }
            assert_eq!(ask(&rig, &product, minor).await.text, again.text);
            assert_made_once(&rig, &product, minor, &again).await;
            first.is_none()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_investment_whose_replies_are_lost_is_made_once_and_answered_the_same() {
    for (shards, minor) in KINDS {
        for plan in LOSING {
            check_under(shards, minor, plan).await;
        }
        for fault in [Fault::Throttle, Fault::InternalError, Fault::ResetBeforeCommit] {
            check_under(shards, minor, |n| five(n, fault)).await;
        }
    }
}

async fn check_under(shards: u32, minor: u64, plan: impl Fn(u64) -> largesse_emulator::Faults) {
    for_every_call(
        plan,
        5,
        async |rig| {
            rig.sandbox.deposit("a", 1_000).await;
            (product(&rig.sandbox, shards, target(160)).await, std::cell::RefCell::new(None))
        },
        async |rig, (product, heard)| *heard.borrow_mut() = Some(ask(rig, product, minor).await),
        async |rig, (product, heard)| {
            let heard = heard.into_inner().unwrap();
            assert_eq!(ask(rig, &product, minor).await.text, heard.text);
            assert_made_once(rig, &product, minor, &heard).await;
        },
    )
    .await;
}

async fn settle_all(store: &Store) -> SettleReport {
    settle::run(store, store.now().plus_ms(60_000)).await.unwrap()
}

/// A product that pays out, and one that refunds; each run of which is killed.
#[tokio::test(start_paused = true)]
async fn a_settlement_that_is_killed_at_any_await_is_finished_by_the_next_run() {
    for_every_await(20, async |k| {
        let sandbox = Sandbox::new(1);
        for who in ["a", "b"] {
            sandbox.deposit(who, 1_000).await;
        }
        let good = product(&sandbox, 2, target(100)).await;
        let missed = Limits { min_raise: Some(90), ..target(100) };
        let bad = product(&sandbox, 2, missed).await;
        for (product, who, minor) in [(&good, "a", 60), (&bad, "a", 10), (&bad, "b", 20)] {
            invest(&*sandbox.store, request(&sandbox, product, who, minor)).await.unwrap();
        }
        tokio::time::advance(Duration::from_millis(OPEN_MS)).await;
        let killed = sandbox.another_process(7);
        let first = kill_at(k, settle_all(&killed)).await;
        drop(killed);
        let fresh = sandbox.another_process(8);
        // A repeat of a settlement may come a millisecond later, and so be another transaction.
        tokio::time::advance(Duration::from_millis(1)).await;
        settle_all(&fresh).await;
        assert_eq!(settle_all(&fresh).await, SettleReport::default());
        for (product, outcome) in [(&good, Outcome::PaidOut), (&bad, Outcome::Refunded)] {
            let settled = fresh.product(product.id).await.unwrap().unwrap().settled;
            assert_eq!(settled.unwrap().outcome, outcome);
        }
        let totals = money::assert_conserved(&sandbox.world);
        assert_eq!((totals.escrows, totals.wallets), (0, 2_000));
        first.is_none()
    })
    .await;
}
