//! Everything at once.

use std::collections::BTreeMap;

use largesse_app::ports::{Money, Standing};
use largesse_money_server::{Fault, Faults};

use crate::scene::{Scene, adapter, grant, scene, serving, settings, word};

const GRANTS: u64 = 2_000;
/// A storm that does not end is a defect: each round decides more than half of what is left.
const ROUNDS_MAX: u32 = 60;

fn storm() -> Faults {
    let faults = Faults { stall_ms: 5_000, ..Faults::default() };
    faults
        .with(Fault::Refuse, 200)
        .with(Fault::Stall, 50)
        .with(Fault::ResetBefore, 30)
        .with(Fault::ResetAfter, 30)
        .with(Fault::FailAfter, 20)
        .with(Fault::Fail, 30)
        .with(Fault::Malformed, 20)
        .with(Fault::Throttle, 50)
        .with(Fault::Pend, 20)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_storm_every_grant_is_paid_once_or_refused_and_the_books_agree() {
    let faults = Faults { verdict_after_ms: Some(100), verdict_refused: 333, ..storm() };
    let mut scene = scene(faults).await;
    let mut stormy = settings(&scene.server);
    (stormy.timeout_ms, stormy.concurrency_max) = (500, 64);
    scene.money = adapter(stormy);
    let mut open: Vec<_> = (0..GRANTS).map(grant).collect();
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut paid, mut refused) = (Vec::new(), Vec::new());
    for round in 0.. {
        assert!(round < ROUNDS_MAX, "still open: {}", open.len());
        let payments = scene.money.pay(&open).await;
        let mut rest = Vec::new();
        for (grant, payment) in open.into_iter().zip(&payments) {
            *seen.entry(word(payment)).or_default() += 1;
            match word(payment) {
                "paid" | "before" => paid.push(grant),
                "refused" => refused.push(grant),
                _ => rest.push(grant),
            }
        }
        open = rest;
        if open.is_empty() {
            break;
        }
    }
    // It was a storm.
    let is_seen = |word| seen.get(word).copied().unwrap_or(0) > 20;
    assert!(["paid", "before", "refused", "later", "unknown"].into_iter().all(is_seen), "{seen:?}");
    scene.set(Faults::default());
    scene.money = adapter(settings(&scene.server));
    let report = scene.server.report();
    let count = |grants: &[_]| u64::try_from(grants.len()).unwrap();
    assert_eq!((report.transfers, report.pending, report.reversed), (GRANTS, 0, 0));
    assert_eq!((report.paid, report.refused), (count(&paid), count(&refused)));
    let sum: u64 = paid.iter().map(|grant| grant.amount.get()).sum();
    assert_eq!((report.paid_sum, report.held_sum), (sum, sum));
    assert_eq!((report.paid_twice, report.duplicates, report.wrong_amounts), (0, 0, 0));
    // Grant by grant, the service says the same.
    assert_eq!(scene.money.lookup(&paid).await.unwrap(), vec![Standing::Paid; paid.len()]);
    assert_eq!(scene.money.lookup(&refused).await.unwrap(), vec![Standing::NotPaid; refused.len()]);
}

/// What sixty grants come to, one after the other.
async fn outcomes(seed: u64) -> Vec<&'static str> {
    let faults = Faults { burst: 100, burst_calls: 5, ..storm().with(Fault::Stall, 0) };
    let of_server = largesse_money_server::Settings { seed, faults, ..Default::default() };
    let server = serving(of_server).await;
    let scene = Scene { money: adapter(settings(&server)), server };
    let mut outcomes = Vec::new();
    for n in 0..60 {
        outcomes.push(scene.paid(n).await);
    }
    outcomes
}

#[tokio::test]
async fn a_run_repeats_under_its_seed() {
    let (first, again, other) = tokio::join!(outcomes(7), outcomes(7), outcomes(8));
    assert_eq!(first, again);
    assert_ne!(first, other);
}
