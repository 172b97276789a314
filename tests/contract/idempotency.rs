//! Idempotency keys: one run at a time, one answer, and a crashed run is taken over.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue as Av;
use largesse_app::ports::{Begun, Clock, Idempotency, Retention, StoredAnswer};
use largesse_tests::Sandbox;

use crate::meanwhile::{Before, meanwhile};

const DAY: Retention = Retention::DAY;

fn answer() -> StoredAnswer {
    StoredAnswer { status: 201, body: "{}".to_owned() }
}

#[tokio::test]
async fn a_key_runs_once_and_replays_its_answer() {
    let sandbox = Sandbox::new(1);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    assert_eq!(store.begin("k", "p", op, now, DAY).await.unwrap(), Begun::Fresh(op));
    let second = store.begin("k", "p", sandbox.id(), now, DAY).await.unwrap();
    assert_eq!(second, Begun::InFlight);
    let other = store.begin("k", "q", sandbox.id(), now, DAY).await.unwrap();
    assert_eq!(other, Begun::OtherPayload);
    store.finish("k", op, &answer()).await.unwrap();
    let replay = store.begin("k", "p", sandbox.id(), now, DAY).await.unwrap();
    assert_eq!(replay, Begun::Done(answer()));
}

#[tokio::test]
async fn a_run_that_ended_without_an_answer_is_taken_over_by_one_under_the_same_operation() {
    let sandbox = Sandbox::new(2);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now, DAY).await.unwrap();
    let later = now.plus_ms(60_000);
    let both = futures::future::join_all(
        (0..2).map(|_| async { store.begin("k", "p", sandbox.id(), later, DAY).await.unwrap() }),
    )
    .await;
    assert_eq!(both.iter().filter(|b| **b == Begun::Resumed(op)).count(), 1);
    assert_eq!(both.iter().filter(|b| **b == Begun::InFlight).count(), 1);
}

#[tokio::test]
async fn a_key_that_was_released_runs_again_at_once_under_the_same_operation() {
    let sandbox = Sandbox::new(3);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now, DAY).await.unwrap();
    store.release("k", op).await.unwrap();
    let again = store.begin("k", "p", sandbox.id(), now, DAY).await.unwrap();
    assert_eq!(again, Begun::Resumed(op));
}

#[tokio::test]
async fn after_24_hours_the_key_is_free_by_its_own_timestamp() {
    let sandbox = Sandbox::new(4);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now, DAY).await.unwrap();
    store.finish("k", op, &answer()).await.unwrap();
    let last = now.plus_ms(86_400_000 - 1);
    let replay = store.begin("k", "p", sandbox.id(), last, DAY).await.unwrap();
    assert_eq!(replay, Begun::Done(answer()));
    let fresh = sandbox.id();
    let begun = store.begin("k", "p", fresh, now.plus_ms(86_400_000), DAY).await.unwrap();
    assert_eq!(begun, Begun::Fresh(fresh));
}

/// Its function runs longer, so its lease is longer too.
#[tokio::test]
async fn a_key_of_a_campaign_is_kept_for_30_days_and_its_run_for_35_seconds() {
    let sandbox = Sandbox::new(11);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    let begin = |at_ms: u64, op| store.begin("k", "p", op, now.plus_ms(at_ms), Retention::MONTH);
    assert_eq!(begin(0, op).await.unwrap(), Begun::Fresh(op));
    assert_eq!(begin(34_999, sandbox.id()).await.unwrap(), Begun::InFlight);
    assert_eq!(begin(35_000, sandbox.id()).await.unwrap(), Begun::Resumed(op));
    assert_eq!(begin(69_999, sandbox.id()).await.unwrap(), Begun::InFlight);
    store.finish("k", op, &answer()).await.unwrap();
    let month_ms = 30 * 86_400_000;
    assert_eq!(begin(month_ms - 1, sandbox.id()).await.unwrap(), Begun::Done(answer()));
    let fresh = sandbox.id();
    assert_eq!(begin(month_ms, fresh).await.unwrap(), Begun::Fresh(fresh));
}

#[tokio::test]
async fn an_answer_is_kept_once_and_only_by_the_operation_that_has_the_key() {
    let sandbox = Sandbox::new(5);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now, DAY).await.unwrap();
    let other = StoredAnswer { status: 409, body: "other".to_owned() };
    // An operation that had the key before it ran out.
    store.finish("k", sandbox.id(), &other).await.unwrap();
    let still = store.begin("k", "p", sandbox.id(), now, DAY).await.unwrap();
    assert_eq!(still, Begun::InFlight);
    store.finish("k", op, &answer()).await.unwrap();
    // The same operation, run twice at once, that ended the other way.
    store.finish("k", op, &other).await.unwrap();
    let replay = store.begin("k", "p", sandbox.id(), now, DAY).await.unwrap();
    assert_eq!(replay, Begun::Done(answer()));
}

/// The write that takes a key over, once the put has shown that it is taken.
const TAKE_OVER: Before = Before(1, "UpdateItem", "largesse-edge");

#[tokio::test]
async fn a_run_that_another_caller_took_over_meanwhile_is_in_flight() {
    let sandbox = Sandbox::new(6);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now, DAY).await.unwrap();
    let (other, ops) = (sandbox.another_process(7), [sandbox.id(), sandbox.id()]);
    let later = now.plus_ms(60_000);
    meanwhile(&sandbox, TAKE_OVER, async move {
        let first = other.begin("k", "p", ops[0], later, DAY).await.unwrap();
        assert_eq!(first, Begun::Resumed(op));
    });
    assert_eq!(store.begin("k", "p", ops[1], later, DAY).await.unwrap(), Begun::InFlight);
}

#[tokio::test]
async fn a_run_that_was_answered_meanwhile_is_not_taken_over() {
    let sandbox = Sandbox::new(7);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now, DAY).await.unwrap();
    let (other, later) = (sandbox.another_process(8), now.plus_ms(60_000));
    meanwhile(&sandbox, TAKE_OVER, async move {
        other.finish("k", op, &answer()).await.unwrap();
    });
    assert_eq!(store.begin("k", "p", sandbox.id(), later, DAY).await.unwrap(), Begun::InFlight);
    let replay = store.begin("k", "p", sandbox.id(), later, DAY).await.unwrap();
    assert_eq!(replay, Begun::Done(answer()));
}

#[tokio::test]
async fn an_operation_whose_key_ran_out_meanwhile_is_not_taken_over() {
    let sandbox = Sandbox::new(8);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now, DAY).await.unwrap();
    store.release("k", op).await.unwrap();
    let (other, next) = (sandbox.another_process(9), sandbox.id());
    meanwhile(&sandbox, TAKE_OVER, async move {
        let begun = other.begin("k", "p", next, now.plus_ms(86_400_000), DAY).await.unwrap();
        assert_eq!(begun, Begun::Fresh(next));
        // Released as well: the leases are the same.
        other.release("k", next).await.unwrap();
    });
    let last = now.plus_ms(86_400_000 - 1);
    assert_eq!(store.begin("k", "p", sandbox.id(), last, DAY).await.unwrap(), Begun::InFlight);
    let again = store.begin("k", "p", sandbox.id(), last, DAY).await.unwrap();
    assert_eq!(again, Begun::Resumed(next));
}

/// The key's item.
async fn item(sandbox: &Sandbox) -> HashMap<String, Av> {
    let client = aws_sdk_dynamodb::Client::new(&sandbox.world.sdk_config());
    let get = client.get_item().table_name("largesse-edge").key("pk", Av::S("IDEM#k".to_owned()));
    get.send().await.unwrap().item.unwrap_or_default()
}

#[tokio::test]
async fn a_key_is_released_only_by_the_operation_that_has_it_and_not_once_it_is_answered() {
    let sandbox = Sandbox::new(9);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.release("k", op).await.unwrap();
    assert!(item(&sandbox).await.is_empty(), "there is nothing to release");
    store.begin("k", "p", op, now, DAY).await.unwrap();
    store.release("k", sandbox.id()).await.unwrap();
    let still = store.begin("k", "p", sandbox.id(), now, DAY).await.unwrap();
    assert_eq!(still, Begun::InFlight);
    store.finish("k", op, &answer()).await.unwrap();
    let answered = item(&sandbox).await;
    store.release("k", op).await.unwrap();
    assert_eq!(item(&sandbox).await, answered);
}
