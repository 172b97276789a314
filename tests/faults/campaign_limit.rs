//! The limit of a money service, over sockets, with several workers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use largesse_app::campaign::ChunkOutcome;
use largesse_app::campaign::pay::pay_chunk;
use largesse_app::ports::{ChunkMessage, ChunkWork, Clock};
use largesse_domain::breaker::BreakerPolicy;
use largesse_domain::rate::{Rate, Tolerance};
use largesse_money_server::{Fault, Faults};
use rstest::rstest;

use crate::campaign_money::{MoneyServer, Probe};
use crate::campaign_scene::{SETTINGS, Scene};

const LIMIT: u32 = 300;
const ROWS: u64 = 1_200;

/// The machine that runs this may have much else to do, so a call may arrive late. What the way to the
/// service varies by is a tolerance of the rate (`shared/domain/src/rate.rs`): here up to 100 ms.
fn rate() -> Rate {
    Rate::new(LIMIT, Tolerance { skew_us: 50_000, ..Tolerance::default() }).unwrap()
}

/// Answers are lost too: what is looked up counts as a call.
fn faults() -> Faults {
    let faults = Faults { limit_per_s: LIMIT, latency_ms: 20, ..Faults::default() };
    faults.with(Fault::FailAfter, 50).with(Fault::ResetAfter, 50).with(Fault::Fail, 50)
}

#[rstest]
#[case(1)]
#[case(4)]
#[case(16)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_of_the_money_server_holds_in_every_second(#[case] workers: u64) {
    let scene = Scene::new(workers, ROWS).await;
    let server = MoneyServer::start(&scene.sandbox, workers, faults());
    let probe = Probe::new(&scene.sandbox);
    let messages: VecDeque<ChunkMessage> = scene.messages(ChunkWork::Pay).await.into();
    let messages = Arc::new(Mutex::new(messages));
    let work = (0..workers).map(|seed| {
        let store = scene.sandbox.another_process(seed);
        let policy = BreakerPolicy::default();
        let money = server.worker(&probe, store.clone(), rate(), policy, 5_000);
        let messages = messages.clone();
        tokio::spawn(async move {
            loop {
                let Some(message) = messages.lock().unwrap().pop_front() else { return };
                let stop_at = store.now().plus_ms(50_000);
                let outcome = pay_chunk(&*money, &*store, &message, SETTINGS, stop_at).await;
                if !matches!(outcome, ChunkOutcome::Done | ChunkOutcome::Dropped) {
                    messages.lock().unwrap().push_back(message);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        })
    });
    for worker in join_all(work).await {
        worker.unwrap();
    }
    let report = server.report();
    println!("{workers} workers: {report:?}");
    assert_eq!(report.limit_violations, 0, "{report:?}");
    assert!(report.peak_per_s <= u64::from(LIMIT), "{report:?}");
    assert!(report.calls > ROWS, "no look-up: {report:?}");
    assert_eq!((report.paid, report.paid_twice, report.duplicates), (ROWS, 0, 0));
    assert_eq!(scene.tally().await.success.rows, ROWS);
}
