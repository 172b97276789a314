//! The schedules were away for eight hours.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::pool::sweep;
use largesse_app::ports::{Clock, HINT_PARTS, INDEX_SHARDS, Pools};
use largesse_app::spray::refund;
use largesse_domain::ledger::TransferKind;
use largesse_domain::pool::{Ask, Attempt, Draw};
use largesse_domain::time::Timestamp;
use largesse_tests::user;

use crate::rig::{Distance, Kill, Rig, claim_by};

/// Sprays made and left alone for eight hours: some two pages in each part of the index.
const SPRAYS: u64 = 1_400;
/// Of so many of them one is claimed by "a", who is paid; from each "b" draws in a process that
/// ends before the record.
const CLAIMED_EVERY: u64 = 4;

/// What every call takes.
const CALL_MS: u64 = 10;
/// Rows of the index that a run reads at a time.
const PAGE: u64 = 100;
/// Rounds of a page: sixteen pools at the same time.
const ROUNDS: u64 = PAGE.div_ceil(16);
/// P of pool-sweep: the index, and for each pool the spray, its records, one record and the mark.
const SWEEP_PAGE_MS: u64 = CALL_MS * (1 + ROUNDS * 4);
/// P of refund-batch: the index, for each spray itself, its records, the wallet and the
/// transaction; and the hints at the tokens, one part after the other.
const REFUND_PAGE_MS: u64 = CALL_MS * (1 + ROUNDS * 4 + HINT_PARTS as u64);
/// Pages that a run has time for: T / P.
const PAGES: u64 = 10;

/// Runs that are enough for so many pools, as refund-batch and pool-sweep state it.
const fn runs_max(due: u64) -> u64 {
    due.div_ceil(PAGE * (PAGES - (INDEX_SHARDS as u64 - 1))) + 1
}

/// Every spray has a sender of its own: those of one sender are refunded one after the other.
fn sender(n: u64) -> String {
    format!("s{n}")
}

/// Eight hours of sprays. Says what was claimed and paid, and what was drawn and is not recorded.
async fn neglected(rig: &Rig) -> (u64, u64) {
    let names: Vec<String> = (0..SPRAYS).map(sender).collect();
    let members: Vec<&str> = names.iter().map(String::as_str).chain(["a", "b"]).collect();
    let room = rig.sandbox.room(&members).await;
    let died = rig.sandbox.another_process(50);
    let (mut paid, mut lost) = (0, 0);
    for n in 0..SPRAYS {
        let spray = rig.sandbox.spray(room, &sender(n), 100, 10).await;
        if n % CLAIMED_EVERY == 0 {
            let won = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
            paid += won.amount.get();
        }
        let (at, attempt) = (rig.sandbox.store.now(), Attempt::from_bits(n));
        let draw = Draw { member: user("b"), at, attempt, ask: Ask::Next };
        lost += died.draw(spray.pool.id, draw).await.unwrap().unwrap().amount.get();
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    rig.pay().await;
    tokio::time::advance(Duration::from_secs(8 * 3_600)).await;
    (paid, lost)
}

/// Runs a schedule until a run has looked at everything; says what each run did. A run that stops
/// short has used its time, has ended at most one page later, and has done something.
async fn work_off(
    clock: &impl Clock,
    page_ms: u64,
    due: u64,
    run: impl AsyncFn(Timestamp) -> (u64, bool),
) -> Vec<u64> {
    let mut done = Vec::new();
    for _ in 0..runs_max(due) {
        let began = clock.now();
        let time_ms = PAGES * page_ms;
        let (count, has_more) = run(began.plus_ms(time_ms)).await;
        let took_ms = clock.now().ms_since(began);
        assert!(took_ms < time_ms + page_ms, "{took_ms} ms");
        done.push(count);
        if !has_more {
            return done;
        }
        assert!(took_ms >= time_ms && count > 0, "{done:?} in {took_ms} ms");
    }
    panic!("{due} are not done in {} runs: {done:?}", runs_max(due));
}

#[tokio::test(start_paused = true)]
async fn eight_hours_of_backlog_are_settled_within_the_stated_number_of_runs() {
    let rig = Rig::new(1, Kill::default());
    let (paid, lost) = neglected(&rig).await;
    assert_eq!((rig.balance("a").await, rig.balance("b").await), (paid, 0));
    let store = rig.sandbox.another_process(5);
    rig.sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(CALL_MS))));
    let swept = work_off(&*store, SWEEP_PAGE_MS, SPRAYS, async |stop_at| {
        let report = sweep::run(&*store, stop_at).await.unwrap();
        assert_eq!(report.failed, 0);
        (report.pools, report.has_more)
    });
    let swept = swept.await;
    assert_eq!(swept.iter().sum::<u64>(), SPRAYS, "each pool once: {swept:?}");
    let refunded = work_off(&*store, REFUND_PAGE_MS, SPRAYS, async |stop_at| {
        let report = refund::run(&*store, stop_at).await.unwrap();
        assert_eq!(report.failed, 0);
        (report.refunded, report.has_more)
    });
    let refunded = refunded.await;
    rig.sandbox.world.set_fault_hook(None);
    assert_eq!(refunded.iter().sum::<u64>(), SPRAYS, "each spray once: {refunded:?}");
    assert!(swept.len() > 1 && refunded.len() > 1, "none stopped short: {swept:?} {refunded:?}");
    rig.pay().await;
    rig.assert_all_paid();
    assert_eq!((rig.balance("a").await, rig.balance("b").await), (paid, lost));
    assert_eq!(rig.transfers(TransferKind::Refund) as u64, SPRAYS);
    let totals = largesse_tests::money::assert_conserved(&rig.sandbox.world);
    assert_eq!((totals.wallets, totals.escrows), (SPRAYS * 100, 0));
}

#[tokio::test(start_paused = true)]
async fn a_run_without_time_begins_nothing_and_says_that_there_is_more() {
    let rig = Rig::new(2, Kill::default());
    let room = rig.sandbox.room(&["s"]).await;
    rig.sandbox.spray(room, "s", 100, 10).await;
    tokio::time::advance(Duration::from_secs(700)).await;
    let store = rig.sandbox.another_process(5);
    let none = refund::run(&*store, store.now()).await.unwrap();
    assert_eq!((none.refunded, none.has_more), (0, true));
    let none = sweep::run(&*store, store.now()).await.unwrap();
    assert_eq!((none.pools, none.has_more), (0, true));
    rig.wind_up().await;
}
