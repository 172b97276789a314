//! What holds the lane of a chunk, and what is set aside beside it.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::campaign::{ChunkOutcome, standing};
use largesse_app::ports::{CampaignResults, ChunkWork};
use largesse_domain::campaign::State;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::kill::kill_at;
use largesse_tests::user;

use crate::campaign_scene::{Act, Scene};

/// What became of the first delivery of the one chunk.
async fn delivered(scene: &Scene) -> ChunkOutcome {
    let message = scene.messages(ChunkWork::Pay).await[0];
    scene.deliver(&scene.sandbox.store, &message).await
}

#[tokio::test(start_paused = true)]
async fn a_service_that_takes_no_row_of_a_chunk_holds_its_lane() {
    let scene = Scene::new(1, 3).await;
    for member in ["m000", "m001", "m002"] {
        scene.bank.tell(member, &[Act::Deny]);
    }
    let outcome = delivered(&scene).await;
    assert!(matches!(outcome, ChunkOutcome::Later { .. }), "{outcome:?}");
    assert_eq!(scene.tally().await.pending.rows, 3);
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    scene.assert_all_paid().await;
}

/// Its other rows were answered in an earlier round, so the service works.
#[tokio::test(start_paused = true)]
async fn a_row_that_is_denied_after_the_others_were_paid_is_set_aside() {
    let scene = Scene::new(2, 3).await;
    scene.bank.tell("m001", &[Act::NotNow, Act::Deny]);
    let outcome = delivered(&scene).await;
    assert!(matches!(outcome, ChunkOutcome::SetAside(_)), "{outcome:?}");
    assert_eq!(scene.bank.calls_of("m001"), ["pay"; 2]);
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.open()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_row_that_was_voided_is_set_aside_and_holds_up_no_other() {
    let scene = Scene::new(3, 3).await;
    scene.bank.tell("m001", &[Act::Void]);
    let outcome = delivered(&scene).await;
    assert!(matches!(outcome, ChunkOutcome::SetAside(_)), "{outcome:?}");
    assert_eq!(scene.bank.calls_of("m001"), ["pay"]);
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.open()), (2, 1));
    assert_eq!(scene.state().await, State::Running);
}

#[tokio::test(start_paused = true)]
async fn a_lane_waits_as_long_as_the_longest_wait_that_its_rows_are_told() {
    let scene = Scene::new(4, 3).await;
    scene.bank.tell("m000", &[Act::Busy(30_000)]);
    scene.bank.tell("m001", &[Act::Busy(7_000)]);
    scene.bank.tell("m002", &[Act::Busy(8_000)]);
    let outcome = delivered(&scene).await;
    let wait_ms = match outcome {
        ChunkOutcome::Later { retry_after_ms, .. } => retry_after_ms,
        other => panic!("{other:?}"),
    };
    assert_eq!(wait_ms, Some(30_000));
    // The message waits, and not the worker.
    assert_eq!(scene.bank.calls_of("m000"), ["pay"]);
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    scene.assert_all_paid().await;
}

/// Its calls may be on the wire: what they come to is not asked before they are over.
#[tokio::test(start_paused = true)]
async fn a_chunk_of_a_killed_worker_is_left_alone_until_its_calls_are_over() {
    let mut scene = Scene::new(5, 6).await;
    for k in 5.. {
        let (message, store) = (scene.messages(ChunkWork::Pay).await[0], &scene.sandbox.store);
        assert!(kill_at(k, scene.deliver(store, &message)).await.is_none());
        if !scene.bank.calls_of("m000").is_empty() {
            break;
        }
        scene = Scene::new(5, 6).await;
    }
    let calls = || scene.bank.calls.lock().unwrap().len();
    let before = calls();
    // An invocation and a call of the money service may take 60 s and 20 s.
    for wait_s in [1, 59, 20] {
        tokio::time::advance(Duration::from_secs(wait_s)).await;
        let outcome = delivered(&scene).await;
        assert!(matches!(outcome, ChunkOutcome::Retry { delay_s: 3 }), "{outcome:?}");
        assert_eq!(calls(), before, "{wait_s}");
    }
    tokio::time::advance(Duration::from_secs(11)).await;
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    scene.assert_all_paid().await;
}

/// What is not committed would have to be looked up.
#[tokio::test(start_paused = true)]
async fn a_commit_that_the_store_takes_late_leaves_nothing_to_look_up() {
    let scene = Scene::new(6, 3).await;
    let plan = |plan: Faults, at| {
        plan.nth(at, Matching::operation("TransactWriteItems"), Fault::InternalError)
    };
    let faults = Arc::new((1..=5).fold(Faults::seeded(0), plan));
    scene.sandbox.world.set_fault_hook(Some(faults.clone()));
    let outcome = delivered(&scene).await;
    scene.sandbox.world.set_fault_hook(None);
    assert!(matches!(outcome, ChunkOutcome::Done), "{outcome:?}");
    assert_eq!(faults.injected(), 5);
    assert_eq!(scene.bank.calls_of("m001"), ["pay"]);
    scene.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_after_a_retry_takes_each_payment_back_under_the_id_that_paid_it() {
    let scene = Scene::new(7, 4).await;
    scene.bank.tell("m001", &[Act::Refuse; 4]);
    let store = &scene.sandbox.store;
    scene.drain(store, ChunkWork::Pay).await;
    scene.retry().await;
    scene.drain(store, ChunkWork::Pay).await;
    scene.roll_back().await;
    scene.drain(store, ChunkWork::Reverse).await;
    assert_eq!(scene.state().await, State::RolledBack);
    assert_eq!(scene.tally().await.reversed.rows, 4);
    let paid: Vec<_> = scene.bank.paid.lock().unwrap().keys().copied().collect();
    let reversed: Vec<_> = scene.bank.reversed.lock().unwrap().keys().copied().collect();
    assert_eq!(reversed, paid);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_not_decided_yet_is_not_sent_again() {
    let scene = Scene::new(8, 3).await;
    scene.bank.tell("m001", &[Act::Lose]);
    scene.bank.undecided.lock().unwrap().insert("m001".to_owned());
    for calls in 1..4 {
        let outcome = delivered(&scene).await;
        assert!(matches!(outcome, ChunkOutcome::Unresolved), "{outcome:?}");
        assert_eq!(scene.bank.calls_of("m001").len(), calls);
    }
    assert_eq!(scene.bank.calls_of("m001"), ["pay", "look up", "look up"]);
    assert_eq!(scene.tally().await.unknown.rows, 1);
    scene.bank.undecided.lock().unwrap().clear();
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    scene.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_does_not_end_before_each_row_is_decided() {
    let scene = Scene::new(9, 3).await;
    scene.bank.tell("m001", &[Act::PayUnknown]);
    scene.bank.undecided.lock().unwrap().insert("m001".to_owned());
    delivered(&scene).await;
    scene.stop().await;
    scene.roll_back().await;
    let store = &scene.sandbox.store;
    let message = scene.messages(ChunkWork::Reverse).await[0];
    let outcome = scene.deliver(store, &message).await;
    assert!(matches!(outcome, ChunkOutcome::Unresolved), "{outcome:?}");
    assert_eq!(store.closed_chunks(scene.id).await.unwrap(), 0);
    assert_eq!(scene.tally().await.reversed.rows, 2);
    assert_eq!(scene.state().await, State::RollingBack);
    scene.bank.undecided.lock().unwrap().clear();
    scene.drain(store, ChunkWork::Reverse).await;
    assert_eq!(scene.tally().await.reversed.rows, 3);
    assert_eq!(scene.state().await, State::RolledBack);
}

/// The money service says that it never paid a row of which it said before that it did.
#[tokio::test(start_paused = true)]
async fn a_payment_that_the_money_service_denies_is_not_counted_as_taken_back() {
    let scene = Scene::new(10, 3).await;
    let store = &scene.sandbox.store;
    scene.drain(store, ChunkWork::Pay).await;
    scene.bank.paid.lock().unwrap().retain(|_, (member, _)| member != "m001");
    scene.roll_back().await;
    let message = scene.messages(ChunkWork::Reverse).await[0];
    let outcome = scene.deliver(store, &message).await;
    assert!(matches!(outcome, ChunkOutcome::SetAside(_)), "{outcome:?}");
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.reversed.rows), (1, 2));
    assert_eq!(scene.state().await, State::RollingBack);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_denies_a_call_holds_the_lane() {
    let scene = Scene::new(11, 2).await;
    let message = scene.messages(ChunkWork::Pay).await[0];
    let denied = Faults::seeded(0).nth(1, Matching::any(), Fault::AccessDenied);
    scene.sandbox.world.set_fault_hook(Some(Arc::new(denied)));
    let outcome = scene.deliver(&scene.sandbox.store, &message).await;
    scene.sandbox.world.set_fault_hook(None);
    assert!(matches!(outcome, ChunkOutcome::Later { .. }), "{outcome:?}");
    assert!(scene.bank.calls.lock().unwrap().is_empty());
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    scene.assert_all_paid().await;
}

/// Else the rollback would end before a chunk of which a killed worker paid rows.
#[tokio::test(start_paused = true)]
async fn a_chunk_that_is_delivered_again_is_closed_once() {
    let scene = Scene::new(12, 150).await;
    let store = &scene.sandbox.store;
    scene.drain(store, ChunkWork::Pay).await;
    scene.roll_back().await;
    let messages = scene.messages(ChunkWork::Reverse).await;
    for _ in 0..2 {
        let outcome = scene.deliver(store, &messages[0]).await;
        assert!(matches!(outcome, ChunkOutcome::Done), "{outcome:?}");
        assert_eq!(store.closed_chunks(scene.id).await.unwrap(), 1);
        assert_eq!(scene.state().await, State::RollingBack);
    }
    scene.drain_one(store, &messages[1]).await;
    assert_eq!(scene.state().await, State::RolledBack);
}

#[tokio::test(start_paused = true)]
async fn a_row_that_a_retry_opens_is_shown_as_pending_before_any_worker_takes_it() {
    let scene = Scene::new(13, 3).await;
    scene.bank.tell("m001", &[Act::Refuse; 4]);
    let store = &scene.sandbox.store;
    scene.drain(store, ChunkWork::Pay).await;
    let shown = async || standing::row(&**store, scene.id, &user("m001")).await.unwrap().unwrap();
    let failed = shown().await;
    assert_eq!((failed.state.as_str(), failed.attempts), ("FAILED", 4));
    scene.retry().await;
    let opened = shown().await;
    assert_eq!((opened.state.as_str(), opened.attempts), ("PENDING", 0));
}
