//! Idempotency keys: one run at a time, one answer, and a crashed run is taken over.

use largesse_app::ports::{Begun, Clock, Idempotency, StoredAnswer};
use largesse_tests::Sandbox;

fn answer() -> StoredAnswer {
    StoredAnswer { status: 201, body: "{}".to_owned() }
}

#[tokio::test]
async fn a_key_runs_once_and_replays_its_answer() {
    let sandbox = Sandbox::new(1);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    assert_eq!(store.begin("k", "p", op, now).await.unwrap(), Begun::Fresh(op));
    let second = store.begin("k", "p", sandbox.id(), now).await.unwrap();
    assert_eq!(second, Begun::InFlight);
    let other = store.begin("k", "q", sandbox.id(), now).await.unwrap();
    assert_eq!(other, Begun::OtherPayload);
    store.finish("k", op, &answer()).await.unwrap();
    let replay = store.begin("k", "p", sandbox.id(), now).await.unwrap();
    assert_eq!(replay, Begun::Done(answer()));
}

#[tokio::test]
async fn a_run_that_ended_without_an_answer_is_taken_over_by_one_under_the_same_operation() {
    let sandbox = Sandbox::new(2);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now).await.unwrap();
    let later = now.plus_ms(60_000);
    let both = futures::future::join_all(
        (0..2).map(|_| async { store.begin("k", "p", sandbox.id(), later).await.unwrap() }),
    )
    .await;
    assert_eq!(both.iter().filter(|b| **b == Begun::Resumed(op)).count(), 1);
    assert_eq!(both.iter().filter(|b| **b == Begun::InFlight).count(), 1);
}

#[tokio::test]
async fn a_key_that_was_let_go_runs_again_at_once_under_the_same_operation() {
    let sandbox = Sandbox::new(3);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now).await.unwrap();
    store.let_go("k", op).await.unwrap();
    let again = store.begin("k", "p", sandbox.id(), now).await.unwrap();
    assert_eq!(again, Begun::Resumed(op));
}

#[tokio::test]
async fn after_24_hours_the_key_is_free_by_its_own_timestamp() {
    let sandbox = Sandbox::new(4);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now).await.unwrap();
    store.finish("k", op, &answer()).await.unwrap();
    let last = now.plus_ms(86_400_000 - 1);
    let replay = store.begin("k", "p", sandbox.id(), last).await.unwrap();
    assert_eq!(replay, Begun::Done(answer()));
    let fresh = sandbox.id();
    let begun = store.begin("k", "p", fresh, now.plus_ms(86_400_000)).await.unwrap();
    assert_eq!(begun, Begun::Fresh(fresh));
}

#[tokio::test]
async fn an_answer_is_kept_once_and_only_by_the_operation_that_has_the_key() {
    let sandbox = Sandbox::new(5);
    let (store, now, op) = (&sandbox.store, sandbox.store.now(), sandbox.id());
    store.begin("k", "p", op, now).await.unwrap();
    let other = StoredAnswer { status: 409, body: "other".to_owned() };
    // An operation that had the key before it ran out.
    store.finish("k", sandbox.id(), &other).await.unwrap();
    let still = store.begin("k", "p", sandbox.id(), now).await.unwrap();
    assert_eq!(still, Begun::InFlight);
    store.finish("k", op, &answer()).await.unwrap();
    // The same operation, run twice at once, that ended the other way.
    store.finish("k", op, &other).await.unwrap();
    let replay = store.begin("k", "p", sandbox.id(), now).await.unwrap();
    assert_eq!(replay, Begun::Done(answer()));
}
