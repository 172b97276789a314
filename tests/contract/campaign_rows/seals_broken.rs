//! A seal that is killed, repeated, late, or finds other rows than were uploaded.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::campaign::act::ActError;
use largesse_app::campaign::read;
use largesse_app::campaign::seal::{PASS_CHUNKS, SealProgress, SealRun, run};
use largesse_app::ports::Clock;
use largesse_domain::campaign::{Duplicates, Hash, State};
use largesse_domain::id::CampaignId;
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::Sandbox;
use largesse_tests::kill::kill_at;

use super::{
    begin_seal, campaign, csv, draft, listed, members, put, run_of, seal, seal_in, sealed_rows,
};
use crate::scene::{Table, key_with};

/// A campaign of 150 members and two duplicates in two parts: two chunks.
async fn small(sandbox: &Sandbox) -> CampaignId {
    let id = draft(sandbox, Duplicates::First).await;
    put(sandbox, id, 1, &members(0, 150)).await;
    put(sandbox, id, 2, &csv([("m0", 1), ("m149", 1)])).await;
    id
}

/// How often an action stands in the audit.
async fn entries(sandbox: &Sandbox, id: CampaignId, action: &str) -> usize {
    let page = read::audit(&*sandbox.store, id, 0, 100).await.unwrap().unwrap();
    page.rows.iter().filter(|entry| entry.action == action).count()
}

#[tokio::test(start_paused = true)]
async fn a_seal_killed_at_any_call_is_finished_by_its_redelivery() {
    let whole = {
        let sandbox = Sandbox::new(1);
        let id = small(&sandbox).await;
        seal(&sandbox, id).await.life.sealed.unwrap()
    };
    let (mut open, mut ended) = (0, 0);
    for wait in 1..1_000 {
        let sandbox = Sandbox::new(1);
        let id = small(&sandbox).await;
        let attempt = begin_seal(&sandbox, id).await;
        let first = sandbox.another_process(2);
        let killed = kill_at(wait, run(&*first, &run_of(&first, id, attempt, 1))).await.is_none();
        let was_sealed = campaign(&sandbox, id).await.life.state == State::Waiting;
        let second = sandbox.another_process(3);
        let progress = run(&*second, &run_of(&second, id, attempt, 1)).await.unwrap();
        let expected = if was_sealed { SealProgress::Stale } else { SealProgress::Sealed(whole) };
        assert_eq!(progress, expected, "wait {wait}");
        let sealed = campaign(&sandbox, id).await;
        assert_eq!(sealed.life.sealed, Some(whole));
        assert_eq!(sealed_rows(&sandbox, &sealed).await.len(), 150);
        assert_eq!(listed(&sandbox, &sealed, 10).await.len(), 2);
        assert_eq!(entries(&sandbox, id, "sealed").await, 1);
        match (killed, was_sealed) {
            (true, false) => open += 1,
            (true, true) => ended += 1,
            (false, _) => {
                assert!(open > 10 && ended > 0, "{open} before the end, {ended} after it");
                return;
            }
        }
    }
    panic!("a seal ends");
}

#[tokio::test(start_paused = true)]
async fn two_workers_seal_at_once_and_once() {
    for seed in 1..=8 {
        let sandbox = Sandbox::new(seed);
        let id = small(&sandbox).await;
        let attempt = begin_seal(&sandbox, id).await;
        let stores = [sandbox.another_process(20), sandbox.another_process(21)];
        let runs = stores
            .iter()
            .map(async |store| run(&**store, &run_of(store, id, attempt, 1)).await.unwrap());
        let done = futures::future::join_all(runs).await;
        let sealed = campaign(&sandbox, id).await;
        let whole = sealed.life.sealed.unwrap();
        let ends = [SealProgress::Sealed(whole), SealProgress::Stale];
        assert!(done.contains(&ends[0]) && done.iter().all(|end| ends.contains(end)), "{done:?}");
        assert_eq!(sealed_rows(&sandbox, &sealed).await.len(), 150);
        assert_eq!(listed(&sandbox, &sealed, 10).await.len(), 2);
        assert_eq!(entries(&sandbox, id, "sealed").await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_in_time_and_the_next_one_goes_on() {
    let sandbox = Sandbox::new(3);
    let id = draft(&sandbox, Duplicates::First).await;
    put(&sandbox, id, 1, &members(0, 1_000)).await;
    let attempt = begin_seal(&sandbox, id).await;
    // Each write takes a second, so a run of two seconds is over after a pass.
    let slow = Fault::DelayReply(Duration::from_secs(1));
    let slow = Faults::seeded(1).always(Matching::operation("BatchWriteItem"), slow);
    sandbox.world.set_fault_hook(Some(Arc::new(slow)));
    let mut runs = 0;
    let progress = loop {
        runs += 1;
        let stop_at = sandbox.store.now().plus_ms(1_500);
        let run_of = SealRun { campaign: id, attempt, pass_chunks: 3, stop_at };
        match run(&*sandbox.store, &run_of).await.unwrap() {
            SealProgress::HasMore => assert!(runs < 10),
            other => break other,
        }
    };
    sandbox.world.set_fault_hook(None);
    assert!(matches!(progress, SealProgress::Sealed(_)), "{progress:?}");
    // Ten chunks are four passes.
    assert_eq!(runs, 4);
    let late = SealRun { stop_at: sandbox.store.now(), ..run_of(&sandbox.store, id, attempt, 3) };
    assert_eq!(run(&*sandbox.store, &late).await.unwrap(), SealProgress::Stale);
}

#[tokio::test(start_paused = true)]
async fn a_worker_of_an_earlier_attempt_stops() {
    let sandbox = Sandbox::new(4);
    let id = draft(&sandbox, Duplicates::Refuse).await;
    put(&sandbox, id, 1, "member_id,amount\na,oops\n").await;
    let first = begin_seal(&sandbox, id).await;
    let refused = run(&*sandbox.store, &run_of(&sandbox.store, id, first, 1)).await.unwrap();
    assert!(matches!(refused, SealProgress::Refused(_)));
    put(&sandbox, id, 2, &csv([("a", 5)])).await;
    let second = begin_seal(&sandbox, id).await;
    assert_eq!((first, second), (1, 2));
    // The message of the first seal is delivered again.
    let run_of_first = run_of(&sandbox.store, id, first, 1);
    sandbox.world.recorder().reset();
    assert_eq!(run(&*sandbox.store, &run_of_first).await.unwrap(), SealProgress::Stale);
    let writes = sandbox.world.recorder().operation(Service::DynamoDb, "BatchWriteItem").calls;
    assert_eq!(writes, 0);
    assert_eq!(campaign(&sandbox, id).await.life.state, State::Sealing);
    let done = run(&*sandbox.store, &run_of(&sandbox.store, id, second, 1)).await.unwrap();
    assert!(matches!(done, SealProgress::Sealed(_)), "{done:?}");
    // One that does not exist.
    let nowhere = run_of(&sandbox.store, CampaignId(sandbox.id()), 1, 1);
    assert_eq!(run(&*sandbox.store, &nowhere).await.unwrap(), SealProgress::Stale);
}

/// A table was restored, or an item was deleted by hand.
#[tokio::test(start_paused = true)]
async fn rows_that_are_lost_are_a_fault_and_seal_nothing() {
    let sandbox = Sandbox::new(5);
    let id = small(&sandbox).await;
    let body = csv([("m0", 1), ("m149", 1)]);
    let hash = Hash::of(body.as_bytes()).to_string();
    let key = key_with(format!("PART#{id}#2#{}", &hash[..16]), "ROWS#0000000000");
    let table = Table::of(&sandbox, "campaign-rows");
    assert!(table.get(&key).await.is_some());
    table.delete(&key).await;
    let progress = seal_in(&sandbox, id, PASS_CHUNKS).await;
    let expected = "fault of the system: the parts have 152 rows, the chunks 150";
    assert_eq!(progress, SealProgress::Refused(expected.to_owned()));
    let refused = campaign(&sandbox, id).await;
    assert_eq!((refused.life.state, refused.problem.as_deref()), (State::Draft, Some(expected)));
}

#[tokio::test(start_paused = true)]
async fn a_seal_that_meets_faults_goes_on_later_and_changes_nothing_else() {
    let sandbox = Sandbox::new(6);
    let id = small(&sandbox).await;
    let attempt = begin_seal(&sandbox, id).await;
    let run_of = run_of(&sandbox.store, id, attempt, 1);
    let down =
        Faults::seeded(1).always(Matching::any().on("largesse-campaign-rows"), Fault::Throttle);
    sandbox.world.set_fault_hook(Some(Arc::new(down)));
    let failed = run(&*sandbox.store, &run_of).await.unwrap_err();
    sandbox.world.set_fault_hook(None);
    assert!(!matches!(
        failed,
        largesse_app::campaign::seal::SealRunError::Act(ActError::Refused(_))
    ));
    assert_eq!(campaign(&sandbox, id).await.life.state, State::Sealing);
    let done = run(&*sandbox.store, &run_of).await.unwrap();
    assert!(matches!(done, SealProgress::Sealed(_)), "{done:?}");
}
