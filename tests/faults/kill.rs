//! For every k: a process is killed at the k-th await of each step. Afterwards every entry is paid
//! once, every remainder is returned once, and money is conserved.

use std::collections::HashMap;
use std::time::Duration;

use dynoxide::AttributeValue as Stored;
use largesse_app::spray::create::{self, Create};
use largesse_domain::id::SprayId;
use largesse_domain::ledger::TransferKind;
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_tests::kill::kill_at;
use largesse_tests::{money, user};

use crate::client::{claim_by, share};
use crate::rig::{Kill, OUTBOX, Rig, Strike, refund_all, sweep_all};

type Item = HashMap<String, Stored>;

/// No step waits this often.
const AWAITS_MAX: usize = 200;

/// The sizes of a spray of one bucket, and of one of four.
const SIZES: [u64; 2] = [3, 60];

/// Kills `play(k)` for k = 1, 2 … until it ends before it can be killed; more than `least` times.
pub(crate) async fn for_every_await<F>(least: usize, play: impl Fn(usize) -> F)
where
    F: Future<Output = bool>,
{
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
        for_every_await(3, async |k| {
            let rig = Rig::new(1, Kill::default());
            let (room, spray) = rig.spray(size).await;
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, claim_by(&killed, room, &spray, "a")).await;
            drop(killed);
            let fresh = rig.sandbox.another_process(8);
            let again = share(&claim_by(&fresh, room, &spray, "a").await);
            if let Some(first) = &first {
                assert_eq!(first.as_ref().unwrap().get(), again);
            }
            claim_by(&fresh, room, &spray, "b").await.unwrap();
            rig.wind_up().await;
            rig.assert_all_paid();
            assert_eq!(rig.balance("a"), again);
            assert_eq!(rig.transfers(TransferKind::Claim), 2);
            first.is_none()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_killed_at_any_await_and_never_sent_again_is_paid_if_it_drew() {
    for size in SIZES {
        for_every_await(3, async |k| {
            let rig = Rig::new(2, Kill::default());
            let (room, spray) = rig.spray(size).await;
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, claim_by(&killed, room, &spray, "a")).await;
            drop(killed);
            let drawn: u64 =
                money::books(&rig.sandbox.world).grants().map(|g| g.amount.get()).sum();
            // No sweep is needed: the entry itself goes through the stream.
            rig.pay().await;
            assert_eq!(rig.balance("a"), drawn, "paid as drawn, or not drawn");
            rig.wind_up().await;
            rig.assert_all_paid();
            assert_eq!(rig.balance("s"), size * 10 - drawn);
            first.is_none()
        })
        .await;
    }
}

/// A strike of a function's first run.
fn first(at: usize) -> Option<Strike> {
    Some(Strike { run: 1, at })
}

/// Two claims, paid; says whether the kill struck.
async fn two_claims(rig: &Rig) -> bool {
    let (room, spray) = rig.spray(3).await;
    let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
    let b = claim_by(&rig.sandbox.store, room, &spray, "b").await.unwrap();
    rig.pay().await;
    assert_eq!((rig.balance("a"), rig.balance("b")), (a.get(), b.get()));
    rig.wind_up().await;
    rig.assert_all_paid();
    assert_eq!(rig.transfers(TransferKind::Claim), 2);
    rig.was_struck()
}

#[tokio::test(start_paused = true)]
async fn an_outbox_killed_at_any_await_sends_every_entry() {
    for_every_await(1, async |k| {
        two_claims(&Rig::new(4, Kill { outbox: first(k), ..Kill::default() })).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_payment_killed_at_any_await_pays_once() {
    for_every_await(2, async |k| {
        two_claims(&Rig::new(5, Kill { grant_pay: first(k), ..Kill::default() })).await
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sweep_killed_at_any_await_is_made_up_for_by_the_next() {
    for_every_await(20, async |k| {
        let rig = Rig::new(7, Kill::default());
        rig.sandbox.world.set_stream_enabled(OUTBOX, false).unwrap();
        let (room, spray) = rig.spray(60).await;
        for name in ["a", "b", "c"] {
            claim_by(&rig.sandbox.store, room, &spray, name).await.unwrap();
        }
        tokio::time::advance(Duration::from_secs(301)).await;
        let killed = rig.sandbox.another_process(7);
        let first = kill_at(k, sweep_all(&killed)).await;
        // The sends of the killed run and of this one are the same messages.
        let next = rig.sandbox.another_process(8);
        let swept = sweep_all(&next).await.unwrap();
        assert_eq!((swept.failed, swept.has_more), (0, false));
        rig.pay().await;
        for name in ["a", "b", "c"] {
            assert!(rig.balance(name) > 0, "{name}, killed at {k}");
        }
        rig.wind_up().await;
        rig.assert_all_paid();
        assert_eq!(rig.transfers(TransferKind::Claim), 3);
        let idle = sweep_all(&rig.sandbox.another_process(9)).await.unwrap();
        assert_eq!(idle.buckets, 0, "buckets that are paid have left the index");
        first.is_none()
    })
    .await;
}

/// The spray's token is free, and its sender has no live spray.
fn assert_freed(rig: &Rig, spray: &Spray) {
    let scan = |table: &str| rig.sandbox.world.database().scan(table).unwrap();
    let token = format!("TOKEN#{}", spray.token);
    let is_free = |item: &Item| {
        item["pk"] == Stored::S(token.clone()) && item["refunded"] == Stored::BOOL(true)
    };
    assert_eq!(scan("largesse-tokens").iter().filter(|item| is_free(item)).count(), 1);
    let live = |item: &Item| item.get("live").cloned();
    let live: Vec<_> = scan("largesse-sprays").iter().filter_map(live).collect();
    assert_eq!(live, [Stored::N("0".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_refund_killed_at_any_await_returns_the_remainder_once() {
    for size in SIZES {
        for_every_await(5, async |k| {
            let rig = Rig::new(6, Kill::default());
            let (room, spray) = rig.spray(size).await;
            let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap().get();
            tokio::time::advance(Duration::from_secs(700)).await;
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, refund_all(&killed)).await;
            let next = refund_all(&rig.sandbox.another_process(8)).await.unwrap();
            assert_eq!((next.failed, next.has_more), (0, false));
            assert_eq!(rig.balance("s"), size * 10 - a, "killed at {k}");
            rig.wind_up().await;
            rig.assert_all_paid();
            assert_eq!(rig.transfers(TransferKind::Refund), 1);
            // The sender may spray as many as before, under the same token too.
            assert_freed(&rig, &spray);
            first.is_none()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_killed_at_any_await_makes_one_spray_or_none() {
    for is_repeated in [true, false] {
        for_every_await(3, async |k| {
            let rig = Rig::new(9, Kill::default());
            let room = rig.sandbox.room(&["s", "a"]).await;
            rig.sandbox.deposit("s", 100).await;
            let terms = Terms::new(60, 20, Split::Random, 600).unwrap();
            let request = Create { id: SprayId(rig.sandbox.id()), room, sender: user("s"), terms };
            let killed = rig.sandbox.another_process(7);
            let first = kill_at(k, create::create(&*killed, request.clone())).await;
            drop(killed);
            let mut sprays = usize::from(rig.balance("s") == 40);
            if is_repeated {
                let fresh = rig.sandbox.another_process(8);
                let made = create::create(&*fresh, request).await.unwrap();
                if let Some(Ok(first)) = &first {
                    assert_eq!(&made, first);
                }
                claim_by(&fresh, room, &made, "a").await.unwrap();
                sprays = 1;
            }
            assert_eq!(rig.balance("s"), 100 - 60 * sprays as u64);
            assert_eq!(rig.transfers(TransferKind::Spray), sprays);
            assert_eq!(money::books(&rig.sandbox.world).buckets.len(), 2 * sprays);
            rig.wind_up().await;
            rig.assert_all_paid();
            assert_eq!(rig.balance("a") + rig.balance("s"), 100);
            first.is_none()
        })
        .await;
    }
}
