//! Sprays and tokens: all or nothing, once, and no token is overwritten.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::{
    Clock, Once, PortErrorKind, RefundOutcome, Refunds, SprayNotMade, Sprays, Wallets,
};
use largesse_domain::id::{PoolId, RoomId, SprayId, TransferId};
use largesse_domain::ledger::{TransferKind, TransferOrder};
use largesse_domain::split::{Seed, Split};
use largesse_domain::spray::{Spray, Terms};
use largesse_domain::time::Timestamp;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::{Sandbox, amount, user};

/// A spray that is open for 10 s, and the order that pays for it.
pub(crate) fn wish(sandbox: &Sandbox, token: &str, minor: u64) -> (Spray, TransferOrder) {
    wish_at(sandbox, token, minor, sandbox.store.now())
}

fn wish_at(sandbox: &Sandbox, token: &str, minor: u64, now: Timestamp) -> (Spray, TransferOrder) {
    let terms = Terms::new(minor, 2, Split::Equal, 10).unwrap();
    let id = SprayId(sandbox.id());
    let room = RoomId(sandbox.id());
    let token = token.parse().unwrap();
    let spray = Spray::new(id, token, room, user("s"), &terms, Seed([9; 32]), now);
    let order = TransferOrder {
        id: TransferId(id.0),
        wallet: user("s"),
        kind: TransferKind::Spray,
        amount: amount(minor),
        at: now,
        pool: Some(PoolId::Spray(id)),
        counterpart: None,
        memo: None,
    };
    (spray, order)
}

#[tokio::test]
async fn a_spray_is_made_once_for_its_id_even_after_the_wallet_is_empty() {
    let sandbox = Sandbox::new(1);
    sandbox.deposit("s", 100).await;
    let (spray, order) = wish(&sandbox, "ABC", 100);
    let made = sandbox.store.create_spray(&spray, &order).await.unwrap().unwrap();
    assert_eq!(made, Once::Now(spray.clone()));
    let other_token = Spray { token: "XYZ".parse().unwrap(), ..spray.clone() };
    let again = sandbox.store.create_spray(&other_token, &order).await.unwrap().unwrap();
    assert_eq!(again, Once::Before(spray.clone()));
    assert_eq!(sandbox.store.spray(spray.id).await.unwrap(), Some(spray));
    assert_eq!(sandbox.store.token_entry("XYZ".parse().unwrap()).await.unwrap(), None);
}

#[tokio::test]
async fn a_repeat_under_another_token_or_transfer_finds_the_first_spray_and_pays_nothing() {
    let sandbox = Sandbox::new(7);
    sandbox.deposit("s", 300).await;
    let (spray, order) = wish(&sandbox, "ABC", 100);
    sandbox.store.create_spray(&spray, &order).await.unwrap().unwrap();
    let other_token = Spray { token: "XYZ".parse().unwrap(), ..spray.clone() };
    let other_order = TransferOrder { id: TransferId(sandbox.id()), ..order.clone() };
    for order in [order, other_order] {
        let again = sandbox.store.create_spray(&other_token, &order).await.unwrap().unwrap();
        assert_eq!(again, Once::Before(spray.clone()));
        assert_eq!(sandbox.store.spray(spray.id).await.unwrap().as_ref(), Some(&spray));
        assert_eq!(sandbox.store.wallet(&user("s")).await.unwrap().balance.get(), 200);
        assert_eq!(sandbox.store.token_entry(other_token.token).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_live_token_is_never_overwritten_and_nothing_else_happens() {
    let sandbox = Sandbox::new(2);
    sandbox.deposit("s", 100).await;
    let (first, order) = wish(&sandbox, "ABC", 50);
    sandbox.store.create_spray(&first, &order).await.unwrap().unwrap();
    let (second, order) = wish(&sandbox, "ABC", 50);
    let refused = sandbox.store.create_spray(&second, &order).await.unwrap();
    assert_eq!(refused, Err(SprayNotMade::TokenTaken));
    assert_eq!(sandbox.store.spray(second.id).await.unwrap(), None);
    assert_eq!(sandbox.store.wallet(&user("s")).await.unwrap().balance.get(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_but_not_refunded_is_not_given_away_even_if_ttl_is_late() {
    let sandbox = Sandbox::new(3);
    sandbox.deposit("s", 100).await;
    let (first, order) = wish(&sandbox, "ABC", 50);
    sandbox.store.create_spray(&first, &order).await.unwrap().unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    let (second, order) = wish(&sandbox, "ABC", 50);
    let refused = sandbox.store.create_spray(&second, &order).await.unwrap();
    assert_eq!(refused, Err(SprayNotMade::TokenTaken));
}

#[tokio::test]
async fn a_refunded_token_is_given_away_by_the_clock_of_whoever_asks_and_not_before_its_end() {
    let sandbox = Sandbox::new(8);
    sandbox.deposit("s", 100).await;
    let (first, order) = wish(&sandbox, "ABC", 50);
    sandbox.store.create_spray(&first, &order).await.unwrap().unwrap();
    // Whoever refunds has a clock that is ahead; other processes remember the token till its end.
    let closes = first.pool.window.closes;
    let refunded = sandbox.store.refund_spray(&first, 50, closes).await.unwrap();
    assert_eq!(refunded, RefundOutcome::Done);
    let (early, order) = wish_at(&sandbox, "ABC", 50, closes.minus_ms(1));
    let refused = sandbox.store.create_spray(&early, &order).await.unwrap();
    assert_eq!(refused, Err(SprayNotMade::TokenTaken));
    let (second, order) = wish_at(&sandbox, "ABC", 50, closes);
    let made = sandbox.store.create_spray(&second, &order).await.unwrap();
    assert_eq!(made, Ok(Once::Now(second)));
}

#[tokio::test]
async fn without_the_money_nothing_is_made() {
    let sandbox = Sandbox::new(4);
    sandbox.deposit("s", 99).await;
    let (spray, order) = wish(&sandbox, "ABC", 100);
    let refused = sandbox.store.create_spray(&spray, &order).await.unwrap();
    assert!(matches!(refused, Err(SprayNotMade::Wallet(_))));
    assert_eq!(sandbox.store.spray(spray.id).await.unwrap(), None);
    assert_eq!(sandbox.store.token_entry(spray.token).await.unwrap(), None);
}

#[tokio::test]
async fn fifty_sprays_at_once_with_money_for_ten_are_ten() {
    let sandbox = Sandbox::new(5);
    sandbox.deposit("s", 1_000).await;
    let stores: Vec<_> = (0..5).map(|n| sandbox.another_process(50 + n)).collect();
    let wishes: Vec<_> = (0..50)
        .map(|n| wish(&sandbox, largesse_domain::id::Token::from_index(n).as_str(), 100))
        .collect();
    let answers =
        futures::future::join_all(wishes.iter().enumerate().map(|(i, (spray, order))| {
            let store = stores[i % 5].clone();
            async move { store.create_spray(spray, order).await.unwrap() }
        }))
        .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    assert_eq!(sandbox.store.wallet(&user("s")).await.unwrap().balance.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_senders_own_sprays_are_listed_newest_first() {
    let sandbox = Sandbox::new(6);
    sandbox.deposit("s", 100).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        let token = largesse_domain::id::Token::from_index(n);
        let (spray, order) = wish(&sandbox, token.as_str(), 10);
        sandbox.store.create_spray(&spray, &order).await.unwrap().unwrap();
        ids.push(spray.id);
        tokio::time::advance(Duration::from_millis(5)).await;
    }
    ids.reverse();
    let first = sandbox.store.sprays_by(&user("s"), None, 3).await.unwrap();
    let second = sandbox.store.sprays_by(&user("s"), first.next, 3).await.unwrap();
    let listed: Vec<SprayId> =
        first.rows.iter().chain(&second.rows).map(|spray| spray.id).collect();
    assert_eq!(listed, ids);
    assert_eq!(second.next, None);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_throttled_in_part_is_asked_for_again_after_a_while() {
    let sandbox = Sandbox::new(9);
    sandbox.deposit("s", 100).await;
    let (spray, order) = wish(&sandbox, "ABC", 100);
    sandbox.store.create_spray(&spray, &order).await.unwrap().unwrap();
    let batch = || Matching::operation("BatchGetItem");
    let thrice = (1..4).fold(Faults::seeded(1), |f, n| f.nth(n, batch(), Fault::Unprocessed));
    sandbox.world.set_fault_hook(Some(Arc::new(thrice)));
    let began = sandbox.store.now();
    let page = sandbox.store.sprays_by(&user("s"), None, 10).await.unwrap();
    assert_eq!(page.rows, [spray]);
    assert!(sandbox.store.now().ms_since(began) > 3, "it waited");
    let always = Faults::seeded(1).always(batch(), Fault::Unprocessed);
    sandbox.world.set_fault_hook(Some(Arc::new(always)));
    let error = sandbox.store.sprays_by(&user("s"), None, 10).await.unwrap_err();
    sandbox.world.set_fault_hook(None);
    assert_eq!(error.kind, PortErrorKind::Contended);
}
