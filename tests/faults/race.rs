//! Two at once: one winner.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use largesse_app::grant::dispatch::dispatch;
use largesse_app::ports::{Clock, GrantMessage};
use largesse_app::spray::claim::ClaimError;
use largesse_app::spray::refund;
use largesse_domain::ledger::TransferKind;
use largesse_emulator::{Call, Fault, FaultHook};
use largesse_tests::kill::{interleave, kill_at};
use largesse_tests::money;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::client::claim_by;
use crate::rig::{GRANTS, Kill, Rig, refund_all, sweep_all};

/// More polls than a claim or a refund takes.
const POLLS: usize = 14;
/// Every so many schedules where each costs much. It has no divisor in common with the number of
/// places of the second switch, so that they still switch at every poll.
pub(crate) const SCHEDULES_STEP: usize = 5;

/// Sprays of one environment: making one takes longer than a spray.
const SPRAYS_PER_RIG: usize = 16;

/// All schedules with at most two switches, and random ones.
pub(crate) fn schedules() -> Vec<Vec<bool>> {
    let mut all = Vec::new();
    for starts in [true, false] {
        for first in 0..POLLS {
            for second in (0..POLLS).step_by(2) {
                let mut schedule = vec![starts; first];
                schedule.extend(vec![!starts; second]);
                schedule.extend(vec![starts; POLLS]);
                all.push(schedule);
            }
        }
    }
    let mut rng = StdRng::seed_from_u64(1);
    all.extend((0..60).map(|_| (0..POLLS * 2).map(|_| rng.random_bool(0.5)).collect()));
    all
}

#[tokio::test(start_paused = true)]
async fn the_schedules_switch_at_every_poll_of_a_claim_and_of_a_refund() {
    let rig = Rig::new(1, Kill::default());
    let (room, spray) = rig.spray(1).await;
    let claimer = rig.sandbox.another_process(7);
    assert!(kill_at(POLLS, claim_by(&claimer, room, &spray, "a")).await.is_some());
    tokio::time::advance(Duration::from_secs(600)).await;
    let refunder = rig.sandbox.another_process(8);
    assert!(kill_at(POLLS, refund::refund(&*refunder, spray.id)).await.is_some());
    rig.wind_up().await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_and_the_refund_at_the_same_instant_have_one_winner() {
    one_winner(schedules(), 0, -1, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_and_the_refund_have_one_winner_whichever_clock_is_seconds_off() {
    // A claimer's clock that is late, after the window; a refund's that is early, before its end;
    // both, at its end; and a millisecond of either.
    for (past_closing_ms, claimer_ms, refunder_ms) in
        [(1_000, -2_000, 0), (-1_000, 0, 2_000), (0, -2_000, 2_000), (0, -1, 0), (-1, 0, 1)]
    {
        let some = schedules().into_iter().step_by(SCHEDULES_STEP * 2).collect();
        one_winner(some, past_closing_ms, claimer_ms, refunder_ms).await;
    }
}

/// Lets a claim and the refund race so long after closing, when the window is over by the refund's
/// clock, and not yet by the claimer's.
async fn one_winner(
    schedules: Vec<Vec<bool>>,
    past_closing_ms: i64,
    claimer_ms: i64,
    refunder_ms: i64,
) {
    let enough = schedules.len() / 20;
    let (mut claims, mut refunds) = (0, 0);
    for some in schedules.chunks(SPRAYS_PER_RIG) {
        let rig = Rig::new(1, Kill::default());
        let claimer = rig.sandbox.skewed_process(7, claimer_ms);
        let refunder = rig.sandbox.skewed_process(8, refunder_ms);
        for schedule in some {
            let before = (rig.balance("a"), rig.balance("s"));
            let (room, spray) = rig.spray(1).await;
            let at_ms = spray.window.closes.ms() + past_closing_ms;
            let until = u64::try_from(at_ms - rig.sandbox.store.now().ms()).unwrap();
            tokio::time::advance(Duration::from_millis(until)).await;
            let (claimed, refunded) = interleave(
                schedule,
                claim_by(&claimer, room, &spray, "a"),
                refund::refund(&*refunder, spray.id),
            )
            .await;
            refunded.unwrap();
            rig.wind_up().await;
            let after = (rig.balance("a"), rig.balance("s"));
            match claimed {
                Ok(won) => {
                    claims += 1;
                    assert_eq!((won.get(), after), (10, (before.0 + 10, before.1)));
                }
                Err(ClaimError::WindowOver) => {
                    refunds += 1;
                    assert_eq!(after, (before.0, before.1 + 10));
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    let both_win = claims > enough && refunds > enough;
    assert!(both_win, "both must win sometimes: {claims} and {refunds}");
}

/// Loses the reply of the first draw, and refunds the spray before the SDK's own repeat.
struct BeforeTheRepeat {
    refunder: Arc<largesse_aws::Store>,
    spray: largesse_domain::id::SprayId,
    draws: AtomicUsize,
}

impl FaultHook for BeforeTheRepeat {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        Box::pin(async move {
            if call.operation != "UpdateItem" {
                return None;
            }
            match self.draws.fetch_add(1, Ordering::Relaxed) {
                0 => return Some(Fault::ReplyLost),
                1 => {
                    tokio::time::advance(Duration::from_millis(10)).await;
                    refund::refund(&*self.refunder, self.spray).await.unwrap();
                }
                _ => {}
            }
            None
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_member_who_drew_in_time_hears_the_share_though_the_reply_was_lost_and_the_rest_returned()
{
    for size in [3, 60] {
        let rig = Rig::new(3, Kill::default());
        let (room, spray) = rig.spray(size).await;
        let refunder = rig.sandbox.another_process(8);
        let late = BeforeTheRepeat { refunder, spray: spray.id, draws: AtomicUsize::new(0) };
        rig.sandbox.world.set_fault_hook(Some(Arc::new(late)));
        // Ten milliseconds of the window are left.
        tokio::time::advance(Duration::from_millis(599_990)).await;
        let won = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap().get();
        rig.sandbox.world.set_fault_hook(None);
        assert_eq!(rig.balance("s"), size * 10 - won, "it was refunded in between");
        rig.wind_up().await;
        rig.assert_all_paid();
        assert_eq!((rig.balance("a"), rig.balance("s")), (won, size * 10 - won));
    }
}

#[tokio::test(start_paused = true)]
async fn two_refund_batches_two_sweeps_and_two_outboxes_at_once_do_nothing_twice() {
    for (n, schedule) in schedules().into_iter().step_by(SCHEDULES_STEP).enumerate() {
        let rig = Rig::new(2, Kill { keeps_batches: true, ..Kill::default() });
        // A spray of one bucket, and one of four.
        let size = [4, 60][n % 2];
        let (room, spray) = rig.spray(size).await;
        for name in ["a", "b", "c"] {
            claim_by(&rig.sandbox.store, room, &spray, name).await.unwrap();
        }
        let stores: Vec<_> = (0..6).map(|n| rig.sandbox.another_process(70 + n)).collect();

        rig.sandbox.world.settle().await;
        let batches = std::mem::take(&mut *rig.batches.lock().unwrap());
        assert_eq!(batches.iter().map(|batch| batch.records.len()).sum::<usize>(), 3);
        for batch in batches {
            let first = outbox::handle(&*stores[0], batch.clone());
            let (one, two) = interleave(&schedule, first, outbox::handle(&*stores[1], batch)).await;
            assert!(one.batch_item_failures.is_empty() && two.batch_item_failures.is_empty());
        }
        let queued = || rig.sandbox.world.queue(GRANTS).unwrap().messages.len();
        assert_eq!(queued(), 3, "the queue takes each grant once");

        tokio::time::advance(Duration::from_secs(301)).await;
        let (one, two) = interleave(&schedule, sweep_all(&stores[2]), sweep_all(&stores[3])).await;
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.failed + two.failed, 0);
        assert!((3..=6).contains(&(one.resent + two.resent)), "{one:?} {two:?}");
        // Both send the same messages.
        assert_eq!(queued(), 6, "{one:?} {two:?}");
        rig.pay().await;
        assert_eq!(rig.transfers(TransferKind::Claim), 3);

        tokio::time::advance(Duration::from_secs(700)).await;
        let (one, two) =
            interleave(&schedule, refund_all(&stores[4]), refund_all(&stores[5])).await;
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.failed + two.failed, 0);
        // Both may take a refund for theirs: at the same millisecond it is the same transaction,
        // under the same request token, and DynamoDB answers the second as it did the first.
        assert!(one.refunded + two.refunded >= 1);
        assert_eq!(rig.transfers(TransferKind::Refund), 1);
        rig.wind_up().await;
        rig.assert_all_paid();
        let mut sum = 0;
        for name in ["a", "b", "c", "s"] {
            assert!(rig.balance(name) > 0, "{name}");
            sum += rig.balance(name);
        }
        assert_eq!(sum, size * 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_grant_sent_twice_is_paid_once_even_after_the_queue_has_forgotten_it() {
    let rig = Rig::new(3, Kill::default());
    let (room, spray) = rig.spray(3).await;
    let won = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
    rig.pay().await;
    let grant = money::books(&rig.sandbox.world).grants().next().unwrap();
    for wait_s in [0, 299, 301, 86_400] {
        tokio::time::advance(Duration::from_secs(wait_s)).await;
        let again = [GrantMessage::first(grant.clone())];
        assert_eq!(dispatch(&*rig.sandbox.store, &again).await, None);
        rig.pay().await;
        assert_eq!(rig.balance("a"), won.get());
    }
    rig.wind_up().await;
    assert_eq!(rig.transfers(TransferKind::Claim), 1);
}
