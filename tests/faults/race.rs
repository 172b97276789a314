//! Two at once: one winner.

use largesse_app::pool::sweep;
use largesse_app::ports::Clock;
use largesse_app::spray::claim::ClaimError;
use largesse_app::spray::refund;
use largesse_tests::kill::interleave;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::rig::{Kill, Rig, claim_by, refund_all};

/// More polls than a claim or a refund takes.
const POLLS: usize = 24;

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
    let (mut claims, mut refunds) = (0, 0);
    for schedule in schedules() {
        let rig = Rig::new(1, Kill::default());
        let (room, spray) = rig.spray(1).await;
        let closes = spray.pool.window.closes;
        let until = closes.ms_since(rig.sandbox.store.now());
        tokio::time::advance(std::time::Duration::from_millis(until)).await;
        // The window is over on the refund's clock, and not yet on the claimer's.
        let claimer = rig.sandbox.skewed_process(7, -1);
        let refunder = rig.sandbox.another_process(8);
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
    assert!(claims > 50 && refunds > 50, "both must win sometimes: {claims} and {refunds}");
}

#[tokio::test(start_paused = true)]
async fn two_refund_batches_two_sweeps_and_two_outboxes_at_once_do_nothing_twice() {
    let rig = Rig::new(2, Kill::default());
    let mut sprays = Vec::new();
    for _ in 0..5 {
        sprays.push(rig.spray(3).await);
    }
    for (room, spray) in &sprays {
        claim_by(&rig.sandbox.store, *room, spray, "a").await.unwrap();
    }
    let claimed = {
        rig.pay().await;
        rig.balance("a").await
    };
    tokio::time::advance(std::time::Duration::from_secs(700)).await;
    let stores: Vec<_> = (0..4).map(|n| rig.sandbox.another_process(70 + n)).collect();
    let stop_at = stores[0].now().plus_ms(60_000);
    let sweeps =
        futures::future::join(sweep::run(&*stores[0], stop_at), sweep::run(&*stores[1], stop_at));
    let refunds = futures::future::join(refund_all(&stores[2]), refund_all(&stores[3]));
    let ((one, two), (three, four)) = futures::future::join(sweeps, refunds).await;
    assert_eq!(one.unwrap().failed + two.unwrap().failed, 0);
    let (three, four) = (three.unwrap(), four.unwrap());
    // Both may take a refund for theirs: at the same millisecond it is the same transaction, under the
    // same request token, and DynamoDB answers the second as it did the first.
    assert!(three.refunded + four.refunded >= 5);
    let books = largesse_tests::money::books(&rig.sandbox.world);
    let is_refund = |kind| kind == largesse_domain::ledger::TransferKind::Refund;
    assert_eq!(books.transfers.iter().filter(|t| is_refund(t.order.kind)).count(), 5);
    rig.wind_up().await;
    assert_eq!(rig.balance("s").await, 150 - claimed);
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
        largesse_app::grant::dispatch::dispatch(&*rig.sandbox.store, std::slice::from_ref(&again))
            .await
            .unwrap();
        rig.pay().await;
        assert_eq!(rig.balance("a").await, won.amount.get());
    }
    rig.wind_up().await;
}
