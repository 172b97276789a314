//! Sprays and tokens: all or nothing, once, and no token is overwritten. One test for each clause of
//! the conditions.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::{
    Clock, Once, Pools, RefundOutcome, Refunds, SprayNotMade, Sprays, Wallets,
};
use largesse_domain::id::{PoolId, RoomId, SprayId, Token, TransferId};
use largesse_domain::ledger::{PostRefused, TransferKind, TransferOrder};
use largesse_domain::money::Balance;
use largesse_domain::split::{Seed, Split};
use largesse_domain::spray::{LIVE_SPRAYS_MAX, Spray, Terms};
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, amount, user};

use crate::meanwhile::{Before, meanwhile};
use crate::scene::{Table, balance, buckets, key, n, number};

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

/// Makes a spray that must be new.
pub(crate) async fn made(sandbox: &Sandbox, token: &str, minor: u64) -> Spray {
    let (spray, order) = wish(sandbox, token, minor);
    let made = sandbox.store.create_spray(&spray, &order).await.unwrap().unwrap();
    assert_eq!(made, Once::Now(spray.clone()));
    spray
}

/// Returns the rest of a spray at its end, by a clock that may be ahead.
async fn refunded(sandbox: &Sandbox, spray: &Spray) {
    let as_read = buckets(sandbox, spray).await;
    let outcome = sandbox.store.refund_spray(spray, &as_read, spray.window.closes).await.unwrap();
    assert_eq!(outcome, RefundOutcome::Done);
}

/// How many live sprays are counted for `s`.
async fn live(sandbox: &Sandbox) -> i64 {
    let item = Table::of(sandbox, "sprays").get(&key("SENDER#s")).await;
    item.map_or(0, |item| number(&item, "live"))
}

#[tokio::test(start_paused = true)]
async fn a_spray_is_made_with_its_buckets_once_for_its_id_even_after_the_wallet_is_empty() {
    let sandbox = Sandbox::new(1);
    sandbox.deposit("s", 100).await;
    let (spray, order) = wish(&sandbox, "ABC", 100);
    let made = sandbox.store.create_spray(&spray, &order).await.unwrap().unwrap();
    assert_eq!(made, Once::Now(spray.clone()));
    assert_eq!(buckets(&sandbox, &spray).await, spray.buckets());
    let other_token = Spray { token: "XYZ".parse().unwrap(), ..spray.clone() };
    let again = sandbox.store.create_spray(&other_token, &order).await.unwrap().unwrap();
    assert_eq!(again, Once::Before(spray.clone()));
    assert_eq!(sandbox.store.spray(spray.id).await.unwrap(), Some(spray));
    assert_eq!(sandbox.store.token_entry("XYZ".parse().unwrap()).await.unwrap(), None);
    assert_eq!(live(&sandbox).await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_under_another_token_or_transfer_finds_the_first_spray_and_pays_nothing() {
    let sandbox = Sandbox::new(2);
    sandbox.deposit("s", 300).await;
    let (spray, order) = wish(&sandbox, "ABC", 100);
    sandbox.store.create_spray(&spray, &order).await.unwrap().unwrap();
    let other_token = Spray { token: "XYZ".parse().unwrap(), ..spray.clone() };
    let other_order = TransferOrder { id: TransferId(sandbox.id()), ..order.clone() };
    for order in [order, other_order] {
        let again = sandbox.store.create_spray(&other_token, &order).await.unwrap().unwrap();
        assert_eq!(again, Once::Before(spray.clone()));
        assert_eq!(sandbox.store.spray(spray.id).await.unwrap().as_ref(), Some(&spray));
        assert_eq!(balance(&sandbox, "s").await, 200);
        assert_eq!(sandbox.store.token_entry(other_token.token).await.unwrap(), None);
        assert_eq!(live(&sandbox).await, 1);
    }
}

/// Under that token nothing can be made now, and nothing is.
async fn assert_taken(sandbox: &Sandbox, token: &str, now: Timestamp) {
    let (spray, order) = wish_at(sandbox, token, 50, now);
    let (money, count) = (balance(sandbox, "s").await, live(sandbox).await);
    let refused = sandbox.store.create_spray(&spray, &order).await.unwrap();
    assert_eq!(refused, Err(SprayNotMade::TokenTaken));
    assert_eq!(sandbox.store.spray(spray.id).await.unwrap(), None);
    assert!(sandbox.store.buckets(spray.pool(), &[0]).await.unwrap().is_empty());
    assert_eq!((balance(sandbox, "s").await, live(sandbox).await), (money, count));
}

#[tokio::test(start_paused = true)]
async fn a_live_token_is_never_overwritten_and_nothing_else_happens() {
    let sandbox = Sandbox::new(3);
    sandbox.deposit("s", 100).await;
    let first = made(&sandbox, "ABC", 50).await;
    assert_taken(&sandbox, "ABC", sandbox.store.now()).await;
    let entry = sandbox.store.token_entry(first.token).await.unwrap().unwrap();
    assert_eq!(entry.spray, first.id);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_but_not_refunded_is_not_given_away_even_if_ttl_is_late() {
    let sandbox = Sandbox::new(4);
    sandbox.deposit("s", 100).await;
    made(&sandbox, "ABC", 50).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_taken(&sandbox, "ABC", sandbox.store.now()).await;
}

#[tokio::test(start_paused = true)]
async fn a_refunded_token_is_given_away_from_its_end_on_and_not_before() {
    let sandbox = Sandbox::new(5);
    sandbox.deposit("s", 100).await;
    let first = made(&sandbox, "ABC", 50).await;
    // The refund is by a clock that is ahead; other processes remember the token until its end.
    let closes = first.window.closes;
    refunded(&sandbox, &first).await;
    assert_taken(&sandbox, "ABC", closes.minus_ms(1)).await;
    let (second, order) = wish_at(&sandbox, "ABC", 50, closes);
    let made = sandbox.store.create_spray(&second, &order).await.unwrap();
    assert_eq!(made, Ok(Once::Now(second)));
}

#[tokio::test(start_paused = true)]
async fn without_the_money_nothing_is_made() {
    let sandbox = Sandbox::new(6);
    sandbox.deposit("s", 99).await;
    let (spray, order) = wish(&sandbox, "ABC", 100);
    let refused = sandbox.store.create_spray(&spray, &order).await.unwrap();
    let balance = Balance::new(99).unwrap();
    assert_eq!(refused, Err(SprayNotMade::Wallet(PostRefused::Insufficient { balance })));
    assert_eq!(sandbox.store.spray(spray.id).await.unwrap(), None);
    assert_eq!(sandbox.store.token_entry(spray.token).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_sender_has_as_many_live_sprays_as_the_limit_says_and_one_more_after_a_refund() {
    let sandbox = Sandbox::new(7);
    sandbox.deposit("s", 200).await;
    // The first of all: nothing is counted yet.
    let first = made(&sandbox, "AAA", 50).await;
    assert_eq!(live(&sandbox).await, 1);
    let count = Table::of(&sandbox, "sprays");
    count.set(&key("SENDER#s"), "live", n(LIVE_SPRAYS_MAX - 1)).await;
    made(&sandbox, "AAB", 50).await;
    let (spray, order) = wish(&sandbox, "AAC", 50);
    let refused = sandbox.store.create_spray(&spray, &order).await.unwrap();
    assert_eq!(refused, Err(SprayNotMade::TooManyLive));
    assert_eq!(sandbox.store.spray(spray.id).await.unwrap(), None);
    assert_eq!(sandbox.store.token_entry(spray.token).await.unwrap(), None);
    assert_eq!(balance(&sandbox, "s").await, 100);
    refunded(&sandbox, &first).await;
    made(&sandbox, "AAD", 50).await;
    assert_eq!(live(&sandbox).await, i64::from(LIVE_SPRAYS_MAX));
    // The earlier run of a request is the answer, whatever is counted.
    let again = sandbox.store.create_spray(&first, &order).await.unwrap().unwrap();
    assert!(matches!(again, Once::Before(earlier) if earlier.id == first.id));
}

#[tokio::test(start_paused = true)]
async fn a_wallet_that_moves_meanwhile_makes_the_spray_from_what_it_holds_then() {
    let sandbox = Arc::new(Sandbox::new(8));
    sandbox.deposit("s", 150).await;
    let (between, (theirs, order)) = (sandbox.clone(), wish(&sandbox, "AAA", 100));
    meanwhile(&sandbox, Before(1, "TransactWriteItems", "largesse-sprays"), async move {
        let other = between.another_process(81);
        other.create_spray(&theirs, &order).await.unwrap().unwrap();
    });
    let (spray, order) = wish(&sandbox, "AAB", 100);
    let refused = sandbox.store.create_spray(&spray, &order).await.unwrap();
    let balance = Balance::new(50).unwrap();
    assert_eq!(refused, Err(SprayNotMade::Wallet(PostRefused::Insufficient { balance })));
}

#[tokio::test(start_paused = true)]
async fn sprays_at_once_from_one_wallet_spend_it_and_no_more() {
    let sandbox = Sandbox::new(9);
    sandbox.deposit("s", 1_000).await;
    let stores: Vec<_> = (0..5).map(|n| sandbox.another_process(50 + n)).collect();
    let wishes: Vec<_> =
        (0..50).map(|n| wish(&sandbox, Token::from_index(n).as_str(), 100)).collect();
    let answers =
        futures::future::join_all(wishes.iter().enumerate().map(|(i, (spray, order))| {
            let store = stores[i % 5].clone();
            async move { store.create_spray(spray, order).await.unwrap() }
        }))
        .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 10);
    assert_eq!(balance(&sandbox, "s").await, 0);
    assert_eq!(live(&sandbox).await, 10);
}

#[tokio::test(start_paused = true)]
async fn the_senders_own_sprays_are_listed_newest_first() {
    let sandbox = Sandbox::new(10);
    sandbox.deposit("s", 100).await;
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(made(&sandbox, Token::from_index(n).as_str(), 10).await.id);
        tokio::time::advance(Duration::from_millis(5)).await;
    }
    ids.reverse();
    let first = sandbox.store.sprays_by(&user("s"), None, 3).await.unwrap();
    let second = sandbox.store.sprays_by(&user("s"), first.next, 3).await.unwrap();
    let listed: Vec<SprayId> =
        first.rows.iter().chain(&second.rows).map(|spray| spray.id).collect();
    assert_eq!(listed, ids);
    assert_eq!(second.next, None);
    assert_eq!(sandbox.store.sprays_by(&user("other"), None, 3).await.unwrap().rows, []);
    // The money that is left says that five were made.
    assert_eq!(sandbox.store.wallet(&user("s")).await.unwrap().seq, 6);
}
