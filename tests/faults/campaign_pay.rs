//! Workers of campaigns that are killed, meet each other, or meet a money service that fails.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::campaign::ChunkOutcome;
use largesse_app::ports::{CampaignResults, ChunkWork, Clock};
use largesse_domain::campaign::State;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::kill::{interleave, kill_at};
use rand::{RngExt, SeedableRng};

use crate::campaign_scene::{AMOUNT, Act, Scene};

/// No worker of these tests awaits more often.
const AWAITS_MAX: usize = 2_000;
/// Longer than a lease.
const LEASE_OVER: Duration = Duration::from_secs(91);

#[tokio::test(start_paused = true)]
async fn a_worker_killed_at_any_await_pays_each_row_once() {
    for k in 1..AWAITS_MAX {
        let scene = Scene::new(1, 6).await;
        scene.bank.tell("m001", &[Act::Refuse]);
        scene.bank.tell("m002", &[Act::PayUnknown]);
        scene.bank.tell("m003", &[Act::Lose]);
        let message = scene.messages(ChunkWork::Pay).await[0];
        let killed = scene.sandbox.another_process(7);
        let first = kill_at(k, scene.deliver(&killed, &message)).await;
        tokio::time::advance(LEASE_OVER).await;
        scene.drain(&scene.sandbox.another_process(8), ChunkWork::Pay).await;
        scene.assert_all_paid().await;
        if first.is_some() {
            assert!(k > 20, "it awaits {k} times only");
            return;
        }
    }
    panic!("the worker never ended");
}

#[tokio::test(start_paused = true)]
async fn two_workers_on_one_chunk_pay_each_row_once() {
    for seed in 0..40 {
        let scene = Scene::new(seed, 5).await;
        scene.bank.tell("m001", &[Act::Refuse]);
        let message = scene.messages(ChunkWork::Pay).await[0];
        let (a, b) = (scene.sandbox.another_process(7), scene.sandbox.another_process(8));
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        let schedule: Vec<bool> = (0..200).map(|_| rng.random()).collect();
        let work = |store| {
            let scene = &scene;
            async move { scene.deliver(store, &message).await }
        };
        interleave(&schedule, work(&a), work(&b)).await;
        let pays = |member| scene.bank.calls_of(member).iter().filter(|c| **c == "pay").count();
        assert_eq!((pays("m000"), pays("m001")), (1, 1), "one of them sends, seed {seed}");
        scene.drain(&a, ChunkWork::Pay).await;
        scene.assert_all_paid().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_reply_is_lost_or_that_fails_costs_no_row() {
    for fault in [Fault::ReplyLost, Fault::Throttle, Fault::InternalError, Fault::ResetBeforeCommit]
    {
        for n in 0..400 {
            let scene = Scene::new(n, 4).await;
            scene.bank.tell("m001", &[Act::Refuse]);
            let plan = |plan: Faults, at| plan.nth(at, Matching::any(), fault);
            let faults = Arc::new((n..n + 5).fold(Faults::seeded(0), plan));
            let message = scene.messages(ChunkWork::Pay).await;
            scene.sandbox.world.set_fault_hook(Some(faults.clone()));
            scene.deliver(&scene.sandbox.store, &message[0]).await;
            scene.sandbox.world.set_fault_hook(None);
            tokio::time::advance(LEASE_OVER).await;
            scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
            scene.assert_all_paid().await;
            if faults.injected() == 0 {
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_row_fails_after_its_retries_and_slows_no_other() {
    let scene = Scene::new(2, 5).await;
    scene.bank.tell("m001", &[Act::Refuse; 4]);
    scene.bank.tell("m002", &[Act::NotNow, Act::NotNow, Act::NotNow]);
    let store = &scene.sandbox.store;
    let message = scene.messages(ChunkWork::Pay).await[0];
    // The others are paid by the first delivery, and the message comes back beside its lane.
    let outcome = scene.deliver(store, &message).await;
    assert!(matches!(outcome, ChunkOutcome::Retry { delay_s: 3 }), "{outcome:?}");
    assert_eq!(scene.bank.members_paid(), ["m000", "m002", "m003", "m004"]);
    // Before the delay is over it is not sent.
    tokio::time::advance(Duration::from_secs(2)).await;
    let outcome = scene.deliver(store, &message).await;
    assert!(matches!(outcome, ChunkOutcome::Retry { delay_s: 1 }), "{outcome:?}");
    assert_eq!(scene.bank.calls_of("m001"), ["pay"]);
    scene.drain(store, ChunkWork::Pay).await;
    assert_eq!(scene.bank.calls_of("m001"), ["pay"; 4]);
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.failed.rows), (4, 1));
    assert_eq!(tally.failed.amount, AMOUNT);
    assert_eq!(scene.state().await, State::Completed);
    let calls = scene.bank.calls.lock().unwrap();
    let times: Vec<i64> = calls.iter().filter(|c| c.1 == "m001").map(|c| c.2.ms()).collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= 3_000), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_row_of_unknown_outcome_is_looked_up_before_it_is_sent() {
    let scene = Scene::new(3, 3).await;
    scene.bank.tell("m001", &[Act::PayUnknown]);
    scene.bank.tell("m002", &[Act::Lose, Act::Lose]);
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    assert_eq!(scene.bank.calls_of("m000"), ["pay"]);
    assert_eq!(scene.bank.calls_of("m001"), ["pay", "look up"]);
    assert_eq!(scene.bank.calls_of("m002"), ["pay", "look up", "pay", "look up", "pay"]);
    scene.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_never_counts_as_a_failure() {
    let scene = Scene::new(4, 2).await;
    scene.bank.tell("m001", &[Act::Lose; 12]);
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    scene.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_campaign_sends_nothing_later_than_two_seconds_after() {
    let mut scene = Scene::new(5, 90).await;
    Arc::get_mut(&mut scene.bank).unwrap().takes_ms = 100;
    let message = scene.messages(ChunkWork::Pay).await[0];
    let stopped_at = async {
        tokio::time::sleep(Duration::from_millis(3_050)).await;
        scene.stop().await;
        scene.sandbox.store.now()
    };
    let store = scene.sandbox.another_process(7);
    let (outcome, stopped_at) = futures::join!(scene.deliver(&store, &message), stopped_at);
    assert!(matches!(outcome, ChunkOutcome::Dropped), "{outcome:?}");
    let last = scene.bank.calls.lock().unwrap().last().unwrap().2;
    assert!(last > stopped_at && last <= stopped_at.plus_ms(2_000), "{last:?} {stopped_at:?}");
    let paid = scene.bank.members_paid().len();
    assert!((30..90).contains(&paid), "{paid}");
    // What was paid is counted, and a message of that start pays nothing more.
    assert_eq!(scene.tally().await.success.rows, u64::try_from(paid).unwrap());
    assert!(matches!(scene.deliver(&store, &message).await, ChunkOutcome::Dropped));
    assert_eq!(scene.state().await, State::Stopped);
    scene.start().await;
    assert!(matches!(scene.deliver(&store, &message).await, ChunkOutcome::Dropped));
    scene.drain(&store, ChunkWork::Pay).await;
    scene.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_pays_exactly_the_failed_rows() {
    let scene = Scene::new(6, 250).await;
    for member in ["m003", "m100", "m249"] {
        scene.bank.tell(member, &[Act::Refuse; 4]);
    }
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    assert_eq!(scene.tally().await.failed.rows, 3);
    let calls = scene.bank.calls.lock().unwrap().len();
    scene.retry().await;
    let tally = scene.tally().await;
    assert_eq!((tally.failed.rows, tally.pending.rows), (0, 3));
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    let mut again: Vec<String> =
        scene.bank.calls.lock().unwrap().iter().skip(calls).map(|c| c.1.clone()).collect();
    again.sort();
    assert_eq!(again, ["m003", "m100", "m249"]);
    scene.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_contradicted_holds_up_no_other() {
    let scene = Scene::new(7, 5).await;
    scene.bank.tell("m001", &[Act::Contradict]);
    let message = scene.messages(ChunkWork::Pay).await[0];
    let outcome = scene.deliver(&scene.sandbox.store, &message).await;
    assert!(matches!(outcome, ChunkOutcome::SetAside(_)), "{outcome:?}");
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.open()), (4, 1));
    assert_eq!(scene.state().await, State::Running);
}

/// Its chunk is in a lane again after a start, and has no other row that the service could answer.
#[tokio::test(start_paused = true)]
async fn a_row_that_is_contradicted_holds_up_no_lane_when_all_others_are_paid() {
    let scene = Scene::new(12, 1).await;
    scene.bank.tell("m000", &[Act::Contradict; 9]);
    for _ in 0..2 {
        let message = scene.messages(ChunkWork::Pay).await[0];
        let outcome = scene.deliver(&scene.sandbox.store, &message).await;
        assert!(matches!(outcome, ChunkOutcome::SetAside(_)), "{outcome:?}");
        assert_eq!(scene.tally().await.open(), 1);
        scene.stop().await;
        scene.start().await;
    }
    assert_eq!(scene.bank.calls_of("m000"), ["pay"; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_money_service_that_does_not_work_holds_the_lane_and_counts_nothing() {
    let scene = Scene::new(8, 2).await;
    for member in ["m000", "m001"] {
        scene.bank.tell(member, &[Act::NotNow; 5_000]);
    }
    let message = scene.messages(ChunkWork::Pay).await[0];
    let outcome = scene.deliver(&scene.sandbox.store, &message).await;
    assert!(matches!(outcome, ChunkOutcome::Later { .. }), "{outcome:?}");
    assert_eq!(scene.tally().await.pending.rows, 2);
    scene.bank.tell("m000", &[]);
    scene.bank.tell("m001", &[]);
    scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
    assert_eq!(scene.bank.calls_of("m000").iter().filter(|call| **call == "look up").count(), 0);
    scene.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_killed_at_any_await_takes_each_payment_back_once() {
    for k in 1..AWAITS_MAX {
        let scene = Scene::new(9, 5).await;
        scene.bank.tell("m002", &[Act::Refuse; 4]);
        scene.drain(&scene.sandbox.store, ChunkWork::Pay).await;
        scene.bank.spent.lock().unwrap().insert("m001".to_owned(), 4);
        scene.roll_back().await;
        let message = scene.messages(ChunkWork::Reverse).await[0];
        let killed = scene.sandbox.another_process(7);
        let first = kill_at(k, scene.deliver(&killed, &message)).await;
        tokio::time::advance(LEASE_OVER).await;
        scene.drain(&scene.sandbox.another_process(8), ChunkWork::Reverse).await;
        assert_eq!(scene.bank.reversed.lock().unwrap().len(), 3);
        let tally = scene.tally().await;
        assert_eq!((tally.reversed.rows, tally.shortfall.rows, tally.failed.rows), (3, 1, 1));
        assert_eq!(scene.state().await, State::RolledBack);
        if first.is_some() {
            assert!(k > 10, "it awaits {k} times only");
            return;
        }
    }
    panic!("the worker never ended");
}

/// What a killed worker paid is still counted as pending: the rollback looks it up, and does not end
/// before.
#[tokio::test(start_paused = true)]
async fn a_rollback_finds_what_a_killed_worker_paid() {
    let scene = Scene::new(10, 150).await;
    let store = scene.sandbox.another_process(7);
    let messages = scene.messages(ChunkWork::Pay).await;
    scene.drain_one(&store, &messages[0]).await;
    // Killed after some rows were paid, before its commit.
    assert!(kill_at(60, scene.deliver(&store, &messages[1])).await.is_none());
    let paid = scene.bank.members_paid().len();
    scene.stop().await;
    let counted = scene.tally().await.success.rows;
    assert!(u64::try_from(paid).unwrap() > counted, "{paid} {counted}");
    scene.roll_back().await;
    let reverses = scene.messages(ChunkWork::Reverse).await;
    scene.drain_one(&store, &reverses[0]).await;
    assert_eq!(scene.tally().await.success.rows, 0);
    assert_eq!(scene.state().await, State::RollingBack);
    tokio::time::advance(LEASE_OVER).await;
    scene.drain_one(&store, &reverses[1]).await;
    assert_eq!(scene.state().await, State::RolledBack);
    assert_eq!(scene.bank.reversed.lock().unwrap().len(), paid);
    assert_eq!(scene.tally().await.reversed.rows, u64::try_from(paid).unwrap());
    assert_eq!(store.closed_chunks(scene.id).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_is_kept_for_each_time_slot() {
    let scene = Scene::new(11, 250).await;
    let store = scene.sandbox.another_process(7);
    for message in scene.messages(ChunkWork::Pay).await {
        scene.drain_one(&store, &message).await;
        tokio::time::advance(Duration::from_secs(5)).await;
    }
    let from = largesse_domain::time::Timestamp::from_ms(0);
    let series = store.snapshots(scene.id, from, 10).await.unwrap();
    assert_eq!(series.len(), 3);
    assert_eq!(series[2].tally.success.rows, 250);
    let progress = largesse_app::campaign::progress::progress(&*store, scene.id, from, 10).await;
    let progress = progress.unwrap().unwrap();
    assert_eq!((progress.series, progress.eta_s), (series, Some(0)));
    assert!(progress.rows_per_1000_s.unwrap() > 0);
}
