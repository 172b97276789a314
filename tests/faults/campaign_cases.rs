//! Cases that payers in bulk have reported, by their numbers in the list of campaigns, where a whole
//! campaign is needed to show them. The others stand beside what they are about.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use largesse_app::campaign::ChunkOutcome;
use largesse_app::campaign::pay::{PaySettings, pay_chunk};
use largesse_app::ports::{Breakers, CampaignResults, ChunkSet, ChunkWork, Clock};
use largesse_domain::breaker::{Breaker, BreakerPolicy};
use largesse_domain::campaign::{ChunkNumber, RowState, State};
use largesse_domain::grant::RetryPolicy;
use largesse_domain::rate::{Rate, Tolerance};
use largesse_money_server::{Fault, Faults, Verb};
use largesse_tests::kill::kill_at;

use crate::campaign_attach::{attach, settle};
use crate::campaign_money::{MoneyServer, Probe, service};
use crate::campaign_scene::{AMOUNT, Act, SETTINGS, Scene};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// No worker of these tests awaits more often.
const AWAITS_MAX: usize = 500;

/// The keys of requests are kept for 30 days; what was paid, for ever.
#[tokio::test(start_paused = true)]
async fn c13_a_retry_after_31_days_pays_no_member_twice() {
    let scene = Scene::new(13, 5).await;
    scene.bank.tell("m001", &[Act::Refuse; 4]);
    let store = &scene.sandbox.store;
    let messages = scene.messages(ChunkWork::Pay).await;
    scene.drain(store, ChunkWork::Pay).await;
    tokio::time::advance(31 * DAY).await;
    // A message that comes again so late pays nothing.
    let outcome = scene.deliver(store, &messages[0]).await;
    assert!(matches!(outcome, ChunkOutcome::Dropped), "{outcome:?}");
    scene.retry().await;
    scene.drain(store, ChunkWork::Pay).await;
    scene.assert_all_paid().await;
    let pays = |member| scene.bank.calls_of(member).len();
    assert_eq!((pays("m000"), pays("m001")), (1, 5));
}

/// The answer of every call is lost after its effect. The rows are looked up under their ids before
/// anything is sent again, and none is sent twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c14_a_campaign_whose_answers_are_lost_sends_no_row_twice() {
    const ROWS: u64 = 20;
    for fault in [Fault::Stall, Fault::FailAfter, Fault::ResetAfter] {
        let scene = Scene::new(14, ROWS).await;
        let faults = Faults { stall_ms: 60_000, ..Faults::default().with(fault, 1_000) };
        let server = MoneyServer::start(&scene.sandbox, 1, faults);
        let store = scene.sandbox.another_process(7);
        let probe = Probe::new(&scene.sandbox);
        let rate = Rate::new(1_000, Tolerance::default()).unwrap();
        // It stays closed: what a breaker does is tested by the storm.
        let policy = BreakerPolicy { failures_max: 1_000, ..BreakerPolicy::default() };
        let money = server.worker(&probe, store.clone(), rate, policy, 1_000);
        let message = scene.messages(ChunkWork::Pay).await[0];
        let work = || {
            let stop_at = store.now().plus_ms(50_000);
            pay_chunk(&*money, &*store, &message, SETTINGS, stop_at)
        };
        let outcome = work().await;
        assert!(matches!(outcome, ChunkOutcome::Unresolved), "{fault}: {outcome:?}");
        assert_eq!(scene.tally().await.unknown.rows, ROWS, "{fault}");
        assert_eq!((server.report().paid, probe.take().len()), (ROWS, 20), "{fault}");
        server.set(Faults::default());
        while !matches!(work().await, ChunkOutcome::Done) {
            // The rate of the look-ups paces it.
            tokio::task::yield_now().await;
        }
        assert!(probe.take().is_empty(), "{fault}: it was sent again");
        let report = server.report();
        assert_eq!((report.paid, report.paid_sum), (ROWS, ROWS * AMOUNT), "{fault}");
        assert_eq!(scene.state().await, State::Completed);
    }
}

/// Every twentieth call is lost without effect: its row is neither paid nor failed, and as long as
/// there is one such row, the campaign has not ended.
#[tokio::test(start_paused = true)]
async fn c15_a_campaign_completes_only_when_paid_and_failed_are_all_rows() {
    let scene = Scene::new(15, 200).await;
    for n in (0..200).step_by(20) {
        scene.bank.tell(&format!("m{n:03}"), &[Act::Lose; 3]);
    }
    scene.bank.tell("m001", &[Act::Refuse; 4]);
    attach(&scene.sandbox, [&scene.bank, &scene.bank], 2);
    scene.sandbox.world.settle().await;
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.open()), (189, 11));
    assert_eq!(scene.state().await, State::Running);
    settle(&scene.sandbox).await;
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.failed.rows), (199, 1));
    assert_eq!(scene.state().await, State::Completed);
}

/// The service accepts every payment (202) and decides later; a third of the verdicts are refusals.
/// That it accepts is no failure of it, so the breaker stays closed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c16_a_campaign_whose_payments_are_decided_later_counts_each_verdict_once() {
    let scene = Scene::new(16, 60).await;
    let faults = Faults {
        only: Some(Verb::Pay),
        verdict_after_ms: Some(20),
        verdict_refused: 333,
        ..Faults::default().with(Fault::Pend, 1_000)
    };
    let server = MoneyServer::start(&scene.sandbox, 3, faults);
    let store = scene.sandbox.another_process(7);
    let rate = Rate::new(1_000, Tolerance::default()).unwrap();
    let policy = BreakerPolicy::default();
    let money = server.worker(&Probe::new(&scene.sandbox), store.clone(), rate, policy, 20_000);
    let message = scene.messages(ChunkWork::Pay).await[0];
    // Refused rows come back at once here.
    let settings = PaySettings { policy: RetryPolicy { retries_max: 3, delay_s: 0 }, ..SETTINGS };
    loop {
        let stop_at = store.now().plus_ms(50_000);
        match pay_chunk(&*money, &*store, &message, settings, stop_at).await {
            ChunkOutcome::Done => break,
            ChunkOutcome::SetAside(cause) => panic!("set aside: {}", cause.causes()),
            // The rate of the look-ups paces it.
            _ => tokio::task::yield_now().await,
        }
    }
    assert_eq!(scene.state().await, State::Completed);
    let (tally, report) = (scene.tally().await, server.report());
    assert_eq!((report.paid, report.refused), (tally.success.rows, tally.failed.rows));
    assert_eq!((report.paid_twice, report.pending), (0, 0));
    assert!(report.refusals > 10, "{report:?}");
    // Each refusal was counted once: a failed row has four, and no other has more than three.
    let attempts = attempts(&scene).await;
    assert_eq!(attempts.values().sum::<u32>(), u32::try_from(report.refusals).unwrap());
    let breaker = store.breaker(&service()).await.unwrap();
    assert_eq!((breaker.breaker, breaker.version), (Breaker::Closed, 0));
}

/// How often each member's row was refused.
async fn attempts(scene: &Scene) -> BTreeMap<String, u32> {
    let set = ChunkSet::of(&scene.campaign().await).unwrap();
    let chunk = scene.sandbox.store.stored_chunk(&set, ChunkNumber(0)).await.unwrap().unwrap();
    let record = chunk.record.unwrap();
    let rows = chunk.rows.iter().zip(&record.rows);
    rows.map(|(row, result)| (row.member.to_string(), result.outcome.attempts())).collect()
}

/// The last attempt is refused while its worker dies, at any await, so that its lease runs out.
#[tokio::test(start_paused = true)]
async fn c17_a_last_attempt_that_fails_as_the_lease_runs_out_is_failed_and_a_retry_takes_it() {
    for k in 1..AWAITS_MAX {
        let scene = Scene::new(17, 3).await;
        // A refusal that the dead worker did not record is not counted, so there is one more.
        scene.bank.tell("m001", &[Act::Refuse; 5]);
        let store = scene.sandbox.another_process(7);
        let message = scene.messages(ChunkWork::Pay).await[0];
        for attempt in 1..=3 {
            let outcome = scene.deliver(&store, &message).await;
            assert!(
                matches!(outcome, ChunkOutcome::Retry { delay_s: 3 }),
                "{attempt}: {outcome:?}"
            );
            tokio::time::advance(Duration::from_secs(3)).await;
        }
        let last = kill_at(k, scene.deliver(&store, &message)).await;
        tokio::time::advance(Duration::from_secs(91)).await;
        scene.drain(&scene.sandbox.another_process(8), ChunkWork::Pay).await;
        assert_eq!(scene.state().await, State::Completed);
        let set = ChunkSet::of(&scene.campaign().await).unwrap();
        let chunk = store.stored_chunk(&set, ChunkNumber(0)).await.unwrap().unwrap();
        let listed = chunk.record.unwrap().state(1);
        assert!(matches!(listed, Some(RowState::Failed { attempts: 4, .. })), "{listed:?}");
        scene.retry().await;
        scene.drain(&scene.sandbox.another_process(9), ChunkWork::Pay).await;
        scene.assert_all_paid().await;
        if last.is_some() {
            assert!(k > 10, "it awaits {k} times only");
            return;
        }
    }
    panic!("the worker never ended");
}

/// The second row is poison: the money service has other content under its id. The others are paid,
/// and the summary says that one is open.
#[tokio::test(start_paused = true)]
async fn c21_a_poisonous_row_keeps_no_other_from_being_paid() {
    let scene = Scene::new(21, 500).await;
    scene.bank.tell("m001", &[Act::Contradict; 5_000]);
    let bank = Arc::clone(&scene.bank);
    attach(&scene.sandbox, [&bank, &bank], 2);
    scene.sandbox.world.settle().await;
    tokio::time::advance(DAY).await;
    scene.sandbox.world.settle().await;
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.failed.rows, tally.open()), (499, 0, 1));
    assert_eq!(scene.state().await, State::Running);
}
