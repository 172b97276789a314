//! Clocks that are seconds or a millisecond off, either way, around a spray's opening and closing.

use std::time::Duration;

use largesse_app::ports::Clock;
use largesse_app::spray::claim::ClaimError;
use largesse_app::spray::create::{self, Create};
use largesse_app::spray::refund::{self, Refunded};
use largesse_domain::id::SprayId;
use largesse_domain::split::Split;
use largesse_domain::spray::{Spray, Terms};
use largesse_tests::user;

use crate::client::claim_by;
use crate::rig::{Kill, Rig};

/// Lets the time pass up to so many milliseconds after closing.
async fn pass_to(rig: &Rig, spray: &Spray, past_closing_ms: i64) {
    let at_ms = spray.window.closes.ms() + past_closing_ms;
    let until = u64::try_from(at_ms - rig.sandbox.store.now().ms()).unwrap();
    tokio::time::advance(Duration::from_millis(until)).await;
}

#[tokio::test(start_paused = true)]
async fn a_spray_made_by_a_clock_that_is_off_is_claimed_at_once_and_lasts_as_long() {
    for skew_ms in [-2_000, 2_000] {
        let rig = Rig::new(1, Kill::default());
        let room = rig.sandbox.room(&["s", "a", "b"]).await;
        rig.sandbox.deposit("s", 30).await;
        let maker = rig.sandbox.skewed_process(7, skew_ms);
        let terms = Terms::new(30, 3, Split::Equal, 600).unwrap();
        let (id, sender) = (SprayId(rig.sandbox.id()), user("s"));
        let spray = create::create(&*maker, Create { id, room, sender, terms }).await.unwrap();
        let window = spray.window;
        assert_eq!(window.opens.ms() - rig.sandbox.store.now().ms(), skew_ms);
        assert_eq!(window.closes.ms_since(window.opens), 600_000);
        // Also when it is not yet open by the claimer's clock: a member who knows its token is no
        // earlier than its creation.
        claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap();
        rig.wind_up().await;
        rig.assert_all_paid();
        assert_eq!((rig.balance("a"), rig.balance("s")), (10, 20));
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_by_a_clock_that_is_off_is_decided_by_that_clock_and_loses_no_money() {
    for (past_closing_ms, skew_ms, wins) in [
        (-1_000, 2_000, false),
        (1_000, -2_000, true),
        (-2_001, 2_000, true),
        (2_000, -2_000, false),
        (-1, 0, true),
        (0, 0, false),
        (0, -1, true),
        (-1, 1, false),
    ] {
        let rig = Rig::new(2, Kill::default());
        let (room, spray) = rig.spray(3).await;
        pass_to(&rig, &spray, past_closing_ms).await;
        let claimer = rig.sandbox.skewed_process(7, skew_ms);
        let claimed = claim_by(&claimer, room, &spray, "a").await;
        let is_over = matches!(claimed, Err(ClaimError::WindowOver));
        assert_eq!((claimed.is_ok(), is_over), (wins, !wins), "{past_closing_ms} {skew_ms}");
        rig.wind_up().await;
        rig.assert_all_paid();
        let won = claimed.map_or(0, |amount| amount.get());
        assert_eq!((rig.balance("a"), rig.balance("s")), (won, 30 - won));
    }
}

#[tokio::test(start_paused = true)]
async fn a_refund_by_a_clock_that_is_off_is_early_or_late_and_once() {
    for (past_closing_ms, skew_ms, is_due) in [
        (-1_000, 2_000, true),
        (1_000, -2_000, false),
        (-2_001, 2_000, false),
        (2_000, -2_000, true),
        (-1, 0, false),
        (0, 0, true),
        (0, -1, false),
        (-1, 1, true),
    ] {
        let rig = Rig::new(3, Kill::default());
        let (room, spray) = rig.spray(3).await;
        let a = claim_by(&rig.sandbox.store, room, &spray, "a").await.unwrap().get();
        pass_to(&rig, &spray, past_closing_ms).await;
        let refunder = rig.sandbox.skewed_process(7, skew_ms);
        let refunded = refund::refund(&*refunder, spray.id).await.unwrap();
        if is_due {
            assert_eq!(refunded, Refunded::Now { amount: 30 - a });
            // A member whose clock still shows the window open finds it closed all the same.
            let late = claim_by(&rig.sandbox.store, room, &spray, "b").await;
            assert!(matches!(late, Err(ClaimError::WindowOver)), "{late:?}");
        } else {
            assert_eq!(refunded, Refunded::NotDue);
            assert_eq!(rig.balance("s"), 0);
        }
        rig.wind_up().await;
        rig.assert_all_paid();
        assert_eq!((rig.balance("a"), rig.balance("s")), (a, 30 - a));
    }
}
