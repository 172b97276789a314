//! Refunds: only of a spray that is as it was read, only when it is over, and freeing only its own
//! token. One test for each clause of the two conditions.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Grants, Once, Pools, RefundOutcome, Refunds, Sprays, Won};
use largesse_app::spray::refund::{self, Refunded};
use largesse_domain::grant::Grant;
use largesse_domain::id::Token;
use largesse_domain::pool::{Ask, Attempt, Draw, Supply};
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;
use largesse_tests::{Sandbox, user};

use crate::sprays::wish;

async fn sprayed(sandbox: &Sandbox, recipients: u64) -> Spray {
    let room = sandbox.room(&["s"]).await;
    sandbox.spray(room, "s", recipients * 10, recipients).await
}

async fn read(sandbox: &Sandbox, spray: &Spray) -> Spray {
    sandbox.store.spray(spray.id).await.unwrap().unwrap()
}

/// A draw in the last moment of the window.
async fn drawn(sandbox: &Sandbox, spray: &Spray, member: &str) -> Won {
    let (at, attempt) = (spray.pool.window.closes.minus_ms(1), Attempt::from_bits(1));
    let draw = Draw { member: user(member), at, attempt, ask: Ask::Next };
    sandbox.store.draw(spray.pool.id, draw).await.unwrap().unwrap()
}

/// The same, recorded and its note trimmed.
async fn recorded(sandbox: &Sandbox, spray: &Spray, member: &str) {
    let (pool, won) = (spray.pool.id, drawn(sandbox, spray, member).await);
    let grant = Grant::of_draw(pool, user(member), won.drawn, won.amount, user("s"));
    sandbox.store.record(&grant).await.unwrap();
    let trims = BTreeMap::from([(user(member), won.drawn)]);
    sandbox.store.trim(pool, &trims).await.unwrap();
}

/// What the refund of the spray as it was read comes to at that moment.
async fn refund_at(sandbox: &Sandbox, as_read: &Spray, now: Timestamp) -> RefundOutcome {
    let remainder = as_read.pool.supply.remainder();
    sandbox.store.refund_spray(as_read, remainder, now).await.unwrap()
}

/// The refund of the spray as it was read does nothing; read again, just what is left goes back.
async fn is_refused_until_read_again(sandbox: &Sandbox, as_read: &Spray) {
    let before = read(sandbox, as_read).await;
    let outcome = refund_at(sandbox, as_read, as_read.pool.window.closes).await;
    assert_eq!(outcome, RefundOutcome::Changed);
    assert_eq!(read(sandbox, as_read).await, before);
    tokio::time::advance(Duration::from_secs(600)).await;
    let refunded = refund::refund(&*sandbox.store, as_read.id).await.unwrap();
    let (amount, token) = (before.pool.supply.remainder(), as_read.token);
    assert_eq!(refunded, Refunded::Now { amount, token });
}

#[tokio::test(start_paused = true)]
async fn a_spray_is_closed_once_even_if_nothing_was_left_whose_transfer_would_show_it() {
    let sandbox = Sandbox::new(1);
    let spray = sprayed(&sandbox, 1).await;
    recorded(&sandbox, &spray, "a").await;
    let (as_read, closes) = (read(&sandbox, &spray).await, spray.pool.window.closes);
    assert_eq!(refund_at(&sandbox, &as_read, closes).await, RefundOutcome::Done);
    let closed = read(&sandbox, &spray).await;
    // Later, hence under another request token.
    let again = refund_at(&sandbox, &as_read, closes.plus_ms(1)).await;
    assert_eq!(again, RefundOutcome::Changed);
    assert_eq!(read(&sandbox, &spray).await, closed);
}

#[tokio::test]
async fn a_spray_goes_back_at_the_end_of_its_window_and_not_a_millisecond_before() {
    let sandbox = Sandbox::new(2);
    let spray = sprayed(&sandbox, 3).await;
    let closes = spray.pool.window.closes;
    let early = refund_at(&sandbox, &spray, closes.minus_ms(1)).await;
    assert_eq!(early, RefundOutcome::Changed);
    assert_eq!(read(&sandbox, &spray).await, spray);
    assert_eq!(refund_at(&sandbox, &spray, closes).await, RefundOutcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_share_that_went_from_one_note_to_another_meanwhile_is_not_lost_with_the_notes() {
    let sandbox = Sandbox::new(3);
    let spray = sprayed(&sandbox, 60).await;
    let first = drawn(&sandbox, &spray, "a").await.drawn;
    let as_read = read(&sandbox, &spray).await;
    sandbox.store.release(spray.pool.id, &user("a"), first).await.unwrap();
    let second = drawn(&sandbox, &spray, "b").await.drawn;
    assert_eq!(second.part, first.part);
    // All but the notes is as it was.
    assert_eq!(read(&sandbox, &spray).await.pool.supply, as_read.pool.supply);
    is_refused_until_read_again(&sandbox, &as_read).await;
    assert!(sandbox.store.grant(spray.pool.id, &user("b")).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_share_drawn_recorded_and_trimmed_meanwhile_is_not_returned() {
    let sandbox = Sandbox::new(4);
    let spray = sprayed(&sandbox, 60).await;
    let as_read = read(&sandbox, &spray).await;
    recorded(&sandbox, &spray, "a").await;
    assert!(read(&sandbox, &spray).await.pool.pending.is_empty(), "no note tells");
    is_refused_until_read_again(&sandbox, &as_read).await;
}

#[tokio::test(start_paused = true)]
async fn a_released_share_drawn_again_recorded_and_trimmed_meanwhile_is_not_returned() {
    let sandbox = Sandbox::new(5);
    let spray = sprayed(&sandbox, 60).await;
    let first = drawn(&sandbox, &spray, "a").await.drawn;
    sandbox.store.release(spray.pool.id, &user("a"), first).await.unwrap();
    let as_read = read(&sandbox, &spray).await;
    recorded(&sandbox, &spray, "b").await;
    let now = read(&sandbox, &spray).await.pool;
    let taken = |supply: &Supply| match supply {
        Supply::Shares { numbers, .. } => numbers.taken,
        _ => unreachable!("a spray has shares"),
    };
    let told = (taken(&now.supply), now.pending.len());
    assert_eq!(told, (taken(&as_read.pool.supply), 0), "neither counter nor notes tell");
    is_refused_until_read_again(&sandbox, &as_read).await;
}

async fn token_item(sandbox: &Sandbox, token: Token) -> HashMap<String, Av> {
    let pk = Av::S(format!("TOKEN#{token}"));
    let get = Client::new(&sandbox.world.sdk_config()).get_item().table_name("largesse-tokens");
    get.key("pk", pk).send().await.unwrap().item.unwrap()
}

#[tokio::test]
async fn a_refund_leaves_its_token_alone_once_that_carries_another_spray() {
    let sandbox = Sandbox::new(6);
    sandbox.deposit("s", 100).await;
    let (first, order) = wish(&sandbox, "ABC", 50);
    sandbox.store.create_spray(&first, &order).await.unwrap().unwrap();
    // Somebody deletes the token's item by hand, and another spray takes it.
    let delete = Client::new(&sandbox.world.sdk_config()).delete_item();
    let delete = delete.table_name("largesse-tokens").key("pk", Av::S("TOKEN#ABC".to_owned()));
    delete.send().await.unwrap();
    let (second, order) = wish(&sandbox, "ABC", 50);
    let made = sandbox.store.create_spray(&second, &order).await.unwrap().unwrap();
    assert_eq!(made, Once::Now(second.clone()));
    let before = token_item(&sandbox, second.token).await;
    let outcome = refund_at(&sandbox, &first, first.pool.window.closes).await;
    assert_eq!(outcome, RefundOutcome::Done, "the money goes back all the same");
    assert_eq!(token_item(&sandbox, second.token).await, before);
}
