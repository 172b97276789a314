//! Draws against each other and against the sweep.

use std::time::Duration;

use largesse_app::ports::{Clock, Pools};
use largesse_domain::pool::{BucketId, Draw, Nonce, Walk};
use largesse_domain::spray::Spray;
use largesse_tests::kill::interleave;
use largesse_tests::money;

use crate::client::{claim_by, share};
use crate::race::{SCHEDULES_STEP, schedules};
use crate::rig::{Kill, OUTBOX, Rig, sweep_all};

#[tokio::test(start_paused = true)]
async fn two_taps_of_one_member_at_once_draw_one_share() {
    for (n, schedule) in schedules().into_iter().step_by(SCHEDULES_STEP).enumerate() {
        let rig = Rig::new(4, Kill::default());
        // The second size has the first bucket of the walk full, so that both taps walk on.
        let size = [3, 20][n % 2];
        let (room, spray) = rig.spray(size).await;
        if size > 16 {
            let walk = Walk::new(&spray.pool(), &"a".parse().unwrap(), 2);
            fill_bucket(&rig, &spray, walk.clone().next().unwrap()).await;
        }
        let (one, two) = (rig.sandbox.another_process(70), rig.sandbox.another_process(71));
        let first = claim_by(&one, room, &spray, "a");
        let (first, second) = interleave(&schedule, first, claim_by(&two, room, &spray, "a")).await;
        assert_eq!(share(&first), share(&second));
        assert_eq!(usize::from(first.is_ok()) + usize::from(second.is_ok()), 1);
        let books = money::books(&rig.sandbox.world);
        assert_eq!(books.grants().filter(|grant| grant.member.as_str() == "a").count(), 1);
        rig.wind_up().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_draw_while_its_bucket_is_swept_is_swept_by_a_later_run() {
    for schedule in schedules().into_iter().step_by(SCHEDULES_STEP) {
        let rig = Rig::new(6, Kill::default());
        let (room, spray) = rig.spray(3).await;
        claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
        // The first entry is paid, so that the sweep takes the bucket out of the index.
        rig.pay().await;
        rig.sandbox.world.set_stream_enabled(OUTBOX, false).unwrap();
        tokio::time::advance(Duration::from_secs(301)).await;
        let (one, two) = (rig.sandbox.another_process(70), rig.sandbox.another_process(71));
        let (swept, drawn) =
            interleave(&schedule, sweep_all(&one), claim_by(&two, room, &spray, "b")).await;
        assert_eq!(swept.unwrap().failed, 0);
        let drawn = drawn.unwrap().get();
        for _ in 0..2 {
            tokio::time::advance(Duration::from_secs(301)).await;
            assert_eq!(sweep_all(&rig.sandbox.store).await.unwrap().failed, 0);
            rig.pay().await;
        }
        assert_eq!(rig.balance("b"), drawn);
        rig.wind_up().await;
    }
}

/// Draws all parts of one bucket.
pub(crate) async fn fill_bucket(rig: &Rig, spray: &Spray, number: u32) {
    let id = BucketId { pool: spray.pool(), number };
    let store = rig.sandbox.another_process(60);
    let at = rig.sandbox.store.now();
    for n in 0..u64::MAX {
        let member = format!("m{n}").parse().unwrap();
        let draw = Draw { member, at, nonce: Nonce::from_bits(n) };
        if store.draw(id, &draw).await.unwrap().is_err() {
            return;
        }
    }
}
