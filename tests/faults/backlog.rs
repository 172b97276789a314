//! The schedules did not run for eight hours.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::pool::sweep;
use largesse_app::ports::{Clock, INDEX_SHARDS, Pools};
use largesse_app::spray::refund;
use largesse_domain::ledger::TransferKind;
use largesse_domain::pool::{BucketId, Draw, Nonce};
use largesse_domain::time::Timestamp;
use largesse_tests::user;

use crate::crowd::add_members;
use crate::rig::{Distance, Kill, OUTBOX, Rig};

/// Sprays of eight hours: more than a page in each shard of the index. Their number is scaled down
/// from 28,800, and so is the time of a run: what is stated holds for every number and every time.
const SPRAYS: u64 = 1_100;

/// What every call takes.
const CALL_MS: u64 = 10;
/// Rows of the index that a run reads at a time.
const PAGE: u64 = 100;
/// Rounds of a page: sixteen items at the same time.
const ROUNDS: u64 = PAGE.div_ceil(16);
/// P of pool-sweep: the index, and for each bucket itself, its payments, its failed grants, one
/// send (up to two where more than ten are unpaid) and the mark.
const SWEEP_PAGE_MS: u64 = CALL_MS * (1 + ROUNDS * 5);
/// P of refund-batch: the index, and for each spray itself, its buckets, the wallet and the
/// transaction.
const REFUND_PAGE_MS: u64 = CALL_MS * (1 + ROUNDS * 4);
/// Pages that a run has time for: T / P.
const PAGES: u64 = 10;

/// Runs that are enough for so many items, as refund-batch and pool-sweep state it.
const fn runs_max(due: u64) -> u64 {
    due.div_ceil(PAGE * (PAGES - (INDEX_SHARDS as u64 - 1))) + 1
}

/// Eight hours of sprays, from each of which one member has drawn, while the mapping of the outbox
/// is off. Says how much was drawn.
async fn neglected(rig: &Rig) -> u64 {
    rig.sandbox.world.set_stream_enabled(OUTBOX, false).unwrap();
    // Every spray has a sender of its own: those of one sender are refunded one after the other.
    let senders: Vec<String> = (0..SPRAYS).map(|n| format!("s{n}")).collect();
    let room = rig.sandbox.room(&["s"]).await;
    add_members(rig, room, &senders).await;
    let mut drawn = 0;
    for (sender, n) in senders.iter().zip(0..) {
        let spray = rig.sandbox.spray(room, sender, 100, 10).await;
        let draw = Draw {
            member: user(&format!("m{n}")),
            at: rig.sandbox.store.now(),
            nonce: Nonce::from_bits(n),
        };
        let id = BucketId { pool: spray.pool(), number: 0 };
        let won = rig.sandbox.store.draw(id, &draw).await.unwrap().unwrap();
        drawn += won.amount.unwrap().get();
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    tokio::time::advance(Duration::from_secs(8 * 3_600)).await;
    drawn
}

/// Runs a schedule until a run has looked at everything; says what each run did. A run that stops
/// short has used its time, has ended at most one page later, and has done something.
async fn work_off(
    clock: &impl Clock,
    page_ms: u64,
    due: u64,
    mut run: impl AsyncFnMut(Timestamp) -> (u64, bool),
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
    let drawn = neglected(&rig).await;
    let store = rig.sandbox.another_process(5);
    rig.sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(CALL_MS))));
    let mut resent = 0;
    let swept = work_off(&*store, SWEEP_PAGE_MS, SPRAYS, async |stop_at| {
        let report = sweep::run(&*store, stop_at).await.unwrap();
        assert_eq!(report.failed, 0);
        resent += report.resent;
        (report.buckets, report.has_more)
    });
    let swept = swept.await;
    let refunded = work_off(&*store, REFUND_PAGE_MS, SPRAYS, async |stop_at| {
        let report = refund::run(&*store, stop_at).await.unwrap();
        assert_eq!(report.failed, 0);
        (report.refunded, report.has_more)
    });
    let refunded = refunded.await;
    rig.sandbox.world.set_fault_hook(None);
    assert_eq!((swept.iter().sum::<u64>(), resent), (SPRAYS, SPRAYS), "each once: {swept:?}");
    assert_eq!(refunded.iter().sum::<u64>(), SPRAYS, "each once: {refunded:?}");
    assert!(swept.len() > 1 && refunded.len() > 1, "none stopped short: {swept:?} {refunded:?}");
    rig.pay().await;
    rig.assert_all_paid();
    assert_eq!(rig.transfers(TransferKind::Claim) as u64, SPRAYS);
    assert_eq!(rig.transfers(TransferKind::Refund) as u64, SPRAYS);
    let totals = rig.assert_ended();
    assert_eq!((totals.wallets, totals.escrows), (SPRAYS * 100, 0));
    let of_senders = SPRAYS * 100 - drawn;
    assert!(of_senders > 0, "{drawn}");
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
    assert_eq!((none.buckets, none.has_more), (0, true));
    rig.wind_up().await;
}
