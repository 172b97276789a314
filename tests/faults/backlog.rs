//! The schedules were away for eight hours.

use std::time::Duration;

use largesse_app::pool::sweep;
use largesse_app::ports::Clock;
use largesse_app::spray::refund;

use crate::rig::{Kill, Rig, claim_by};

/// Sprays made and left alone for eight hours.
const SPRAYS: u64 = 400;
/// Runs of a schedule that must be enough: one, and one that finds nothing.
const RUNS_MAX: u32 = 2;

#[tokio::test(start_paused = true)]
async fn eight_hours_of_backlog_are_settled_within_two_runs_of_each_schedule() {
    let rig = Rig::new(1, Kill::default());
    let room = rig.sandbox.room(&["s", "a"]).await;
    for n in 0..SPRAYS {
        let spray = rig.sandbox.spray(room, "s", 100, 10).await;
        if n % 4 == 0 {
            claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
        }
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    tokio::time::advance(Duration::from_secs(8 * 3_600)).await;
    rig.pay().await;
    let store = rig.sandbox.another_process(5);
    let mut runs = 0;
    loop {
        runs += 1;
        let stop_at = store.now().plus_ms(295_000);
        let swept = sweep::run(&*store, stop_at).await.unwrap();
        let refunded = refund::run(&*store, stop_at).await.unwrap();
        assert_eq!(swept.failed + refunded.failed, 0);
        if swept.pools + refunded.refunded == 0 {
            break;
        }
    }
    assert!(runs <= RUNS_MAX, "{runs} runs");
    rig.wind_up().await;
    assert_eq!(rig.balance("s").await + rig.balance("a").await, SPRAYS * 100);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_short_of_time_stops_in_time_and_the_next_ones_finish() {
    let rig = Rig::new(2, Kill::default());
    let room = rig.sandbox.room(&["s"]).await;
    for _ in 0..120 {
        rig.sandbox.spray(room, "s", 100, 10).await;
    }
    tokio::time::advance(Duration::from_secs(700)).await;
    let store = rig.sandbox.another_process(5);
    // No time at all: nothing is begun.
    let none = refund::run(&*store, store.now()).await.unwrap();
    assert!(none.has_more && none.refunded == 0);
    let all = refund::run(&*store, store.now().plus_ms(60_000)).await.unwrap();
    assert_eq!((all.refunded, all.returned, all.has_more), (120, 12_000, false));
    rig.wind_up().await;
}
