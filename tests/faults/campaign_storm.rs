//! A campaign through a storm of the money server: every row is paid once or failed, and the books of
//! both sides agree.

use std::collections::{BTreeMap, BTreeSet};

use largesse_app::ports::{Breakers, CampaignResults, ChunkSet, Money, PortResult, Standing};
use largesse_domain::breaker::{Breaker, BreakerPolicy};
use largesse_domain::campaign::{ChunkNumber, RowKey, RowState, State};
use largesse_domain::grant::Grant;
use largesse_domain::rate::{Rate, Tolerance};
use largesse_money_server::{Fault, Faults};

use crate::campaign_attach::{attach, settle};
use crate::campaign_money::{MoneyServer, Probe, Seen, service};
use crate::campaign_scene::{AMOUNT, SETTINGS, Scene};

const ROWS: u64 = 900;
const LANES: u32 = 8;
/// Longer than every answer but one that stalls.
const TIMEOUT_MS: u64 = 1_000;
/// The outage that this stands for takes 60 s, and real time passes here: the outage takes 6 s, and the
/// breaker opens for 0.2 to 2 s instead of 2 to 60 s. The retries of refused rows keep their 3 s.
const OUTAGE_MS: u64 = 6_000;
const POLICY: BreakerPolicy =
    BreakerPolicy { failures_max: 5, open_ms_first: 200, open_ms_max: 2_000, probe_ms: 5_000 };

fn storm() -> Faults {
    let faults = Faults {
        stall_ms: 2_000,
        verdict_after_ms: Some(500),
        verdict_refused: 333,
        ..Faults::default()
    };
    faults
        .with(Fault::Refuse, 200)
        .with(Fault::Fail, 100)
        .with(Fault::Stall, 50)
        .with(Fault::FailAfter, 20)
        .with(Fault::ResetBefore, 20)
        .with(Fault::ResetAfter, 20)
        .with(Fault::Throttle, 20)
        .with(Fault::Pend, 20)
        .with(Fault::WrongMember, 10)
        .with(Fault::Malformed, 10)
}

/// Every row with its state, as the store has it.
async fn rows(scene: &Scene) -> Vec<(Grant, RowState)> {
    let campaign = scene.campaign().await;
    let set = ChunkSet::of(&campaign).unwrap();
    let mut rows = Vec::new();
    for chunk in 0..scene.chunks {
        let chunk = scene.sandbox.store.stored_chunk(&set, ChunkNumber(chunk)).await;
        let chunk = chunk.unwrap().unwrap();
        let record = chunk.record.unwrap();
        for (position, row) in chunk.rows.iter().enumerate() {
            let generation = record.rows[position].outcome.generation();
            let key = RowKey { campaign: scene.id, member: row.member.clone(), generation };
            let grant = key.grant_of(row, &campaign.life.creator);
            rows.push((grant, record.state(position).unwrap()));
        }
    }
    rows
}

/// Both books agree, in both directions; returns the grants that failed.
async fn assert_books_agree(scene: &Scene, server: &MoneyServer) -> Vec<Grant> {
    server.set(Faults::default());
    let (books, report) = (server.adapter(20_000), server.report());
    let rows = rows(scene).await;
    assert_eq!(u64::try_from(rows.len()).unwrap(), ROWS, "no row is lost");
    let (mut paid, mut failed) = (0, Vec::new());
    for (grant, state) in rows {
        let standing: PortResult<Vec<Standing>> = books.lookup(std::slice::from_ref(&grant)).await;
        match state {
            // The look-up compares the amount and the member.
            RowState::Success => {
                assert_eq!(standing.unwrap(), [Standing::Paid], "{grant:?}");
                paid += 1;
            }
            RowState::Failed { attempts, .. } => {
                assert_eq!(standing.unwrap(), [Standing::NotPaid], "{grant:?}");
                assert_eq!(attempts, 1 + SETTINGS.policy.retries_max);
                failed.push(grant);
            }
            open => panic!("{open:?}: {grant:?}"),
        }
    }
    // As many transfers as there are rows of success, each of them once: no other is in the books.
    assert_eq!((report.paid, report.paid_sum), (paid, paid * AMOUNT));
    assert_eq!((report.paid_twice, report.duplicates, report.wrong_amounts), (0, 0, 0));
    assert_eq!((report.pending, report.reversed), (0, 0));
    let tally = scene.tally().await;
    let counted = (tally.success.rows, tally.failed.rows, tally.open());
    assert_eq!(counted, (paid, u64::try_from(failed.len()).unwrap(), 0));
    failed
}

/// No row was sent within 3 s after it was refused, or after its last retry.
fn assert_retried_after_the_delay(seen: &BTreeMap<largesse_domain::id::GrantId, Vec<Seen>>) {
    let delay_ms = i64::from(SETTINGS.policy.delay_s) * 1_000;
    for (id, sends) in seen {
        for pair in sends.windows(2).filter(|pair| pair[0].is_refused) {
            let waited_ms = pair[1].sent_at.ms() - pair[0].answered_at.ms();
            assert!(waited_ms >= delay_ms, "{id}: {waited_ms} ms");
        }
        let refused = sends.iter().filter(|send| send.is_refused).count();
        let sends_max = usize::try_from(1 + SETTINGS.policy.retries_max).unwrap();
        assert!(refused <= sends_max, "{id}: {refused} refusals");
    }
}

/// Where the shared breaker stands, each time that it changes, until the campaign has ended.
async fn watch_breaker(scene: &Scene) -> Vec<Breaker> {
    let mut seen = vec![Breaker::Closed];
    while scene.state().await == State::Running {
        let breaker = scene.sandbox.store.breaker(&service()).await.unwrap().breaker;
        if seen.last() != Some(&breaker) {
            seen.push(breaker);
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_of_the_money_server_each_row_is_paid_once_or_failed_and_the_books_agree() {
    // Which calls the storm hits depends on their order. That some rows fail does not.
    let closed: BTreeSet<String> = ["m001", "m400", "m899"].map(str::to_owned).into();
    let storm = || Faults { closed: closed.clone(), ..storm() };
    let scene = Scene::new(1, ROWS).await;
    let server = MoneyServer::start(&scene.sandbox, 1, storm());
    let probe = Probe::new(&scene.sandbox);
    let worker = |seed| {
        let store = scene.sandbox.another_process(seed);
        let rate = Rate::new(1_000, Tolerance::default()).unwrap();
        server.worker(&probe, store, rate, POLICY, TIMEOUT_MS)
    };
    attach(&scene.sandbox, [&worker(30), &worker(31)], LANES);
    let outage = async {
        // The storm has begun, and most rows are not paid yet.
        let mut count = probe.count.subscribe();
        count.wait_for(|count| *count >= 200).await.unwrap();
        server.set(Faults { outage_ms: OUTAGE_MS, ..storm() });
    };
    let (breakers, (), ()) = futures::join!(watch_breaker(&scene), outage, settle(&scene.sandbox));
    assert_eq!(scene.state().await, State::Completed);
    let opened = breakers.iter().filter(|breaker| matches!(breaker, Breaker::Open { .. })).count();
    assert!(opened > 0, "the breaker never opened");
    let now = scene.sandbox.store.breaker(&service()).await.unwrap().breaker;
    assert_eq!(now, Breaker::Closed);
    let failed = assert_books_agree(&scene, &server).await;
    let seen = probe.take();
    assert_retried_after_the_delay(&seen);
    let members: BTreeSet<String> = failed.iter().map(|grant| grant.member.to_string()).collect();
    assert!(members.is_superset(&closed), "{members:?}");
    for grant in &failed {
        let refused = seen[&grant.id].iter().filter(|send| send.is_refused).count();
        assert_eq!(refused, 4, "{grant:?}");
    }
    // A retry pays exactly those.
    scene.retry().await;
    settle(&scene.sandbox).await;
    assert_eq!(scene.state().await, State::Completed);
    assert_eq!(probe.take().len(), failed.len());
    assert!(assert_books_agree(&scene, &server).await.is_empty());
}

/// Reversals meet the same storm. One without an answer is made again under its id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_through_a_storm_takes_each_payment_back_once() {
    const ROWS: u64 = 300;
    let scene = Scene::new(2, ROWS).await;
    let server = MoneyServer::start(&scene.sandbox, 2, Faults::default());
    let probe = Probe::new(&scene.sandbox);
    let worker = |seed| {
        let store = scene.sandbox.another_process(seed);
        let rate = Rate::new(1_000, Tolerance::default()).unwrap();
        server.worker(&probe, store, rate, POLICY, TIMEOUT_MS)
    };
    attach(&scene.sandbox, [&worker(30), &worker(31)], LANES);
    settle(&scene.sandbox).await;
    assert_eq!((scene.state().await, server.report().paid), (State::Completed, ROWS));
    server.set(storm());
    scene.roll_back().await;
    settle(&scene.sandbox).await;
    assert_eq!(scene.state().await, State::RolledBack);
    let (tally, report) = (scene.tally().await, server.report());
    assert_eq!((tally.reversed.rows, tally.success.rows), (ROWS, 0));
    assert_eq!((report.reversed, report.paid), (ROWS, 0));
    assert_eq!((report.reversed_sum, report.held_sum), (ROWS * AMOUNT, 0));
    assert!(report.calls > 2 * ROWS + 20, "no storm: {report:?}");
}
