//! Two at once: one winner.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use largesse_app::pool::sweep;
use largesse_app::ports::Clock;
use largesse_app::spray::claim::{Claim, ClaimError, claim};
use largesse_app::spray::refund;
use largesse_domain::ledger::TransferKind;
use largesse_domain::pool::Attempt;
use largesse_emulator::{Call, Fault, FaultHook};
use largesse_tests::kill::interleave;
use largesse_tests::user;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::rig::{Kill, Rig, claim_by, drawn_but_not_recorded, refund_all};

/// More polls than a claim or a refund takes.
const POLLS: usize = 24;
/// Every so many schedules where each costs much: with this step they still switch at every poll.
const SCHEDULES_STEP: usize = 7;

/// All schedules with at most two switches, and random ones.
fn schedules() -> Vec<Vec<bool>> {
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
    all.extend((0..200).map(|_| (0..POLLS * 2).map(|_| rng.random_bool(0.5)).collect()));
    all
}

#[tokio::test(start_paused = true)]
async fn a_claim_and_the_refund_at_the_same_instant_have_one_winner() {
    one_winner(schedules(), 0, -1, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_and_the_refund_have_one_winner_whichever_clock_is_seconds_off() {
    // A claimer's clock that is late, after the window; a refund's that is early, before its end;
    // and both, at its end.
    for (past_closing_ms, claimer_ms, refunder_ms) in
        [(1_000, -2_000, 0), (-1_000, 0, 2_000), (0, -2_000, 2_000)]
    {
        let some = schedules().into_iter().step_by(SCHEDULES_STEP).collect();
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
    for schedule in schedules {
        let rig = Rig::new(1, Kill::default());
        let (room, spray) = rig.spray(1).await;
        let at_ms = spray.pool.window.closes.ms() + past_closing_ms;
        let until = u64::try_from(at_ms - rig.sandbox.store.now().ms()).unwrap();
        tokio::time::advance(std::time::Duration::from_millis(until)).await;
        let claimer = rig.sandbox.skewed_process(7, claimer_ms);
        let refunder = rig.sandbox.skewed_process(8, refunder_ms);
        let (claimed, refunded) = interleave(
            &schedule,
            claim_by(&claimer, room, &spray, "a"),
            refund::refund(&*refunder, spray.id),
        )
        .await;
        refunded.unwrap();
        rig.wind_up().await;
        match claimed {
            Ok(won) => {
                claims += 1;
                assert_eq!((won.amount.get(), rig.balance("a").await), (10, 10));
                assert_eq!(rig.balance("s").await, 0);
            }
            Err(ClaimError::WindowOver) => {
                refunds += 1;
                assert_eq!((rig.balance("a").await, rig.balance("s").await), (0, 10));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    let both_win = claims > enough && refunds > enough;
    assert!(both_win, "both must win sometimes: {claims} and {refunds}");
}

/// Loses the answer to the first draw, and refunds the spray before it is tried again.
struct RefundsBeforeTheRetry {
    refunder: std::sync::Arc<largesse_aws::Store>,
    spray: largesse_domain::id::SprayId,
    draws: AtomicUsize,
}

impl FaultHook for RefundsBeforeTheRetry {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        Box::pin(async move {
            if call.operation != "UpdateItem" {
                return None;
            }
            match self.draws.fetch_add(1, Ordering::Relaxed) {
                0 => return Some(Fault::ReplyLost),
                1 => {
                    tokio::time::advance(std::time::Duration::from_millis(10)).await;
                    refund::refund(&*self.refunder, self.spray).await.unwrap();
                }
                _ => {}
            }
            None
        })
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_drew_in_time_is_not_told_that_it_is_over_though_the_answer_was_lost() {
    for (size, key) in [(3, None), (60, None), (3, Some(7)), (60, Some(7))] {
        let rig = Rig::new(3, Kill::default());
        let (room, spray) = rig.spray(size).await;
        let refunder = rig.sandbox.another_process(8);
        let (spray_id, draws) = (spray.id, AtomicUsize::new(0));
        let late = RefundsBeforeTheRetry { refunder, spray: spray_id, draws };
        rig.sandbox.world.set_fault_hook(Some(std::sync::Arc::new(late)));
        // Ten milliseconds of the window are left.
        tokio::time::advance(std::time::Duration::from_millis(599_990)).await;
        let key = key.map(Attempt::from_bits);
        let wish = Claim { room, token: spray.token, member: user("a"), key };
        let claimed = claim(&*rig.sandbox.store, wish).await.unwrap();
        rig.sandbox.world.set_fault_hook(None);
        // A call without a key has no earlier run to repeat.
        assert!(key.is_some() || !claimed.replayed);
        rig.wind_up().await;
        rig.assert_all_paid();
        let won = claimed.amount.get();
        assert_eq!((rig.balance("a").await, rig.balance("s").await), (won, size * 10 - won));
    }
}

#[tokio::test(start_paused = true)]
async fn two_refund_batches_two_sweeps_and_two_outboxes_at_once_do_nothing_twice() {
    for (n, schedule) in schedules().into_iter().step_by(SCHEDULES_STEP).enumerate() {
        let rig = Rig::new(2, Kill { keeps_batches: true, ..Kill::default() });
        // A spray that keeps its notes, and one that is trimmed.
        let size = [4, 60][n % 2];
        let (room, spray) = rig.spray(size).await;
        claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
        for name in ["b", "c"] {
            drawn_but_not_recorded(&rig, &spray, name).await;
        }
        tokio::time::advance(std::time::Duration::from_secs(61)).await;
        let stores: Vec<_> = (0..6).map(|n| rig.sandbox.another_process(70 + n)).collect();
        let stop_at = stores[0].now().plus_ms(60_000);

        let (one, two) = interleave(
            &schedule,
            sweep::run(&*stores[0], stop_at),
            sweep::run(&*stores[1], stop_at),
        )
        .await;
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!(one.failed + two.failed, 0);
        assert!(one.settled + two.settled >= 2, "{one:?} {two:?}");
        assert_eq!(largesse_tests::money::books(&rig.sandbox.world).grants.len(), 3);

        rig.sandbox.world.settle().await;
        let batches = std::mem::take(&mut *rig.batches.lock().unwrap());
        assert_eq!(batches.iter().map(|batch| batch.records.len()).sum::<usize>(), 3);
        for batch in batches {
            let first = outbox::handle(&*stores[2], batch.clone());
            let (one, two) = interleave(&schedule, first, outbox::handle(&*stores[3], batch)).await;
            assert!(one.batch_item_failures.is_empty() && two.batch_item_failures.is_empty());
        }
        let queue = rig.sandbox.world.queue("largesse-grants.fifo").unwrap();
        assert_eq!(queue.messages.len(), 3, "the queue takes each grant once");
        rig.pay().await;
        assert_eq!(rig.transfers(TransferKind::Claim), 3);

        tokio::time::advance(std::time::Duration::from_secs(700)).await;
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
            assert!(rig.balance(name).await > 0, "{name}");
            sum += rig.balance(name).await;
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
    let books = largesse_tests::money::books(&rig.sandbox.world);
    let grant = &books.grants[0];
    let again = largesse_app::ports::GrantRef {
        pool: grant.pool,
        member: grant.member.clone(),
        id: grant.id,
    };
    for wait_s in [0, 299, 301, 86_400] {
        tokio::time::advance(std::time::Duration::from_secs(wait_s)).await;
        let not_taken = largesse_app::grant::dispatch::dispatch(
            &*rig.sandbox.store,
            std::slice::from_ref(&again),
        );
        assert_eq!(not_taken.await, None);
        rig.pay().await;
        assert_eq!(rig.balance("a").await, won.amount.get());
    }
    rig.wind_up().await;
}
