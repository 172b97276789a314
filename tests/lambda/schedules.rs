//! Functions that a schedule starts: they run by the clock and the index, whatever the event says.

use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use largesse_domain::time::Timestamp;
use serde_json::json;

use crate::bootstrap::Bootstrap;
use crate::events::event;
use crate::scene::{SPRAYED, Scene};

const HOUR_MS: u64 = 3_600_000;
const CASES: [&str; 2] = ["happy", "hostile"];

/// A spray made then, and bob's draw, of a process that was killed before it recorded the draw.
async fn with_a_lost_draw(at: Timestamp) -> Scene {
    let scene = Scene::with_room().await;
    scene.spray(at).await;
    scene.draw("bob", at).await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_sweep_records_a_lost_draw_whatever_its_event_says() {
    for case in CASES {
        let scene = with_a_lost_draw(SystemClock.now().minus_ms(HOUR_MS)).await;
        assert_eq!(scene.grant("bob").await, None);
        let mut sweep = Bootstrap::start(&scene, "pool-sweep").await;
        for settled in [1, 0] {
            let report = sweep.invoke(&event("pool-sweep", case)).await.body;
            let expected = json!({
                "pools": settled, "settled": settled, "has_more": false,
            });
            assert_eq!(report, expected, "{case}");
        }
        assert!(scene.grant("bob").await.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refund_batch_returns_what_nobody_claimed_whatever_its_event_says() {
    for case in CASES {
        let scene = with_a_lost_draw(SystemClock.now().minus_ms(HOUR_MS)).await;
        let mut refund = Bootstrap::start(&scene, "refund-batch").await;
        for refunded in [1, 0] {
            let report = refund.invoke(&event("refund-batch", case)).await.body;
            let drawn = scene.grant("bob").await.expect("a record").amount.get();
            let left = SPRAYED - drawn;
            let returned = if refunded == 1 { left } else { 0 };
            let expected = json!({
                "refunded": refunded, "returned": returned, "has_more": false,
            });
            assert_eq!((report, scene.balance("alice").await), (expected, left), "{case}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_schedule_touches_a_spray_that_is_open_whatever_its_event_says() {
    for function in ["pool-sweep", "refund-batch"] {
        let scene = with_a_lost_draw(SystemClock.now()).await;
        let mut process = Bootstrap::start(&scene, function).await;
        process.invoke(&event(function, "hostile")).await;
        assert_eq!((scene.balance("alice").await, scene.grant("bob").await), (0, None));
    }
}
