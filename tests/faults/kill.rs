//! For every k: a process is killed at the k-th await of each step. Afterwards every draw is paid
//! once, every remainder is returned once, and money is conserved.

use largesse_app::pool::sweep;
use largesse_app::ports::Clock;
use largesse_tests::kill::kill_at;

use crate::rig::{Kill, Rig, claim_by, drawn_but_not_recorded, refund_all};

/// No step waits this often; a test that gets here has lost count.
const AWAITS_MAX: usize = 200;

/// The sizes of a spray that keeps its notes, and of one that is trimmed.
const SIZES: [u64; 2] = [3, 60];

/// Kills `play(k)` for k = 1, 2 … until it ends before it can be killed; at least `least` times.
async fn for_every_await<F: Future<Output = bool>>(least: usize, play: impl Fn(usize) -> F) {
    for k in 1..=AWAITS_MAX {
        if !play(k).await {
            assert!(k > least, "killed only {} times", k - 1);
            return;
        }
    }
    panic!("it never ended");
}

#[tokio::test(start_paused = true)]
async fn a_claim_killed_at_any_await_and_sent_again_wins_one_share() {
    for size in SIZES {
        for_every_await(5, async |k| {
            let rig = Rig::new(1, Kill::default());
            let (room, spray) = rig.spray(size).await;
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, claim_by(&killed, room, &spray, "a")).await;
            drop(killed);
            let fresh = rig.sandbox.another_process(8);
            let again = claim_by(&fresh, room, &spray, "a").await.unwrap();
            if let Some(first) = &first {
                assert_eq!(first.as_ref().unwrap().amount, again.amount);
            }
            claim_by(&fresh, room, &spray, "b").await.unwrap();
            rig.pay().await;
            assert_eq!(rig.balance("a").await, again.amount.get());
            rig.wind_up().await;
            assert_eq!(rig.balance("a").await, again.amount.get());
            first.is_none()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_killed_at_any_await_and_never_sent_again_is_settled_by_the_sweep() {
    for size in SIZES {
        for_every_await(5, async |k| {
            let rig = Rig::new(2, Kill::default());
            let (room, spray) = rig.spray(size).await;
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, claim_by(&killed, room, &spray, "a")).await;
            drop(killed);
            let drew = !head(&rig, &spray).await.pending.is_empty();
            rig.wind_up().await;
            // Drawn is paid, whether or not the caller heard of it; not drawn is returned.
            assert_eq!(rig.balance("a").await > 0, drew);
            assert_eq!(rig.balance("a").await + rig.balance("s").await, size * 10);
            first.is_none()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_claims_share_is_paid_within_the_window_once_the_sweep_has_run() {
    let rig = Rig::new(3, Kill::default());
    let (room, spray) = rig.spray(3).await;
    let mut k = 1;
    // The first await after which a note stands: killed between draw and record.
    loop {
        let killed = rig.sandbox.another_process(7 + k as u64);
        assert!(kill_at(k, claim_by(&killed, room, &spray, "a")).await.is_none());
        if !head(&rig, &spray).await.pending.is_empty() {
            break;
        }
        k += 1;
    }
    rig.pay().await;
    assert_eq!(rig.balance("a").await, 0, "nobody has recorded it");
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    let store = rig.sandbox.another_process(9);
    let report = sweep::run(&*store, store.now().plus_ms(60_000)).await.unwrap();
    assert_eq!((report.pools, report.settled, report.failed), (1, 1, 0));
    rig.pay().await;
    assert!(rig.balance("a").await > 0);
    let idle = sweep::run(&*store, store.now().plus_ms(60_000)).await.unwrap();
    assert_eq!(idle.pools, 0, "a pool that is swept has left the index");
    rig.wind_up().await;
}

#[tokio::test(start_paused = true)]
async fn an_outbox_killed_at_any_await_sends_every_grant() {
    for_every_await(1, async |k| {
        let rig = Rig::new(4, Kill { outbox: Some(k), ..Kill::default() });
        played(&rig).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_payment_killed_at_any_await_pays_once() {
    for_every_await(5, async |k| {
        let rig = Rig::new(5, Kill { grant_pay: Some(k), ..Kill::default() });
        played(&rig).await
    })
    .await;
}

/// Two claims, paid; says whether the kill struck.
async fn played(rig: &Rig) -> bool {
    let (room, spray) = rig.spray(3).await;
    let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
    let b = claim_by(&rig.sandbox.store, room, &spray, "b").await.unwrap();
    rig.pay().await;
    assert_eq!(rig.balance("a").await, a.amount.get());
    assert_eq!(rig.balance("b").await, b.amount.get());
    rig.wind_up().await;
    rig.was_struck()
}

#[tokio::test(start_paused = true)]
async fn a_refund_killed_at_any_await_returns_the_remainder_once() {
    for_every_await(5, async |k| {
        let rig = Rig::new(6, Kill::default());
        let (room, spray) = rig.spray(3).await;
        let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
        rig.pay().await;
        tokio::time::advance(std::time::Duration::from_secs(700)).await;
        let killed = rig.sandbox.another_process(7);
        let first = kill_at(k, refund_all(&killed)).await;
        rig.wind_up().await;
        assert_eq!(rig.balance("s").await, 30 - a.amount.get());
        first.is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refund_killed_while_it_settles_what_is_pending_pays_it_and_returns_the_rest() {
    for size in SIZES {
        for_every_await(8, async |k| {
            let rig = Rig::new(8, Kill::default());
            let (room, spray) = rig.spray(size).await;
            let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
            let (_, b) = drawn_but_not_recorded(&rig, &spray, "b").await;
            let (_, c) = drawn_but_not_recorded(&rig, &spray, "c").await;
            tokio::time::advance(std::time::Duration::from_secs(700)).await;
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, refund_all(&killed)).await;
            // No sweep runs: the next refund settles what the first one left.
            let next = rig.sandbox.another_process(8);
            assert_eq!(refund_all(&next).await.unwrap().failed, 0);
            rig.pay().await;
            let rest = size * 10 - a.amount.get() - b - c;
            for (name, expected) in [("a", a.amount.get()), ("b", b), ("c", c), ("s", rest)] {
                assert_eq!(rig.balance(name).await, expected, "{name}, killed at {k}");
            }
            rig.assert_all_paid();
            rig.wind_up().await;
            first.is_none()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sweep_killed_at_any_await_is_made_up_for_by_the_next() {
    for size in SIZES {
        for_every_await(3, async |k| {
            let rig = Rig::new(7, Kill::default());
            let (_, spray) = rig.spray(size).await;
            drawn_but_not_recorded(&rig, &spray, "a").await;
            drawn_but_not_recorded(&rig, &spray, "b").await;
            tokio::time::advance(std::time::Duration::from_secs(61)).await;
            let killed = rig.sandbox.another_process(7);
            let stop_at = killed.now().plus_ms(60_000);
            let first = kill_at(k, sweep::run(&*killed, stop_at)).await;
            let next = rig.sandbox.another_process(8);
            sweep::run(&*next, stop_at).await.unwrap();
            rig.pay().await;
            assert!(rig.balance("a").await > 0 && rig.balance("b").await > 0);
            rig.wind_up().await;
            first.is_none()
        })
        .await;
    }
}

async fn head(rig: &Rig, spray: &largesse_domain::spray::Spray) -> largesse_domain::pool::Pool {
    let pool = largesse_app::ports::Pools::pool(&*rig.sandbox.store, spray.pool.id);
    pool.await.unwrap().unwrap()
}
