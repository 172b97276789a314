//! A stop in the middle of a fan-out, and several within a second: nothing is paid soon after, and the
//! campaign goes on or is taken back from there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use largesse_app::campaign::act::{self, ActError};
use largesse_app::ports::Clock;
use largesse_aws::Store;
use largesse_domain::campaign::{Refused, State};
use largesse_domain::id::CampaignId;
use largesse_domain::time::Timestamp;
use largesse_emulator::{Call, Fault, FaultHook};
use largesse_tests::user;

use crate::campaign_attach::{attach, settle};
use crate::campaign_scene::{Act, Scene, memo};

const LANES: u32 = 4;
/// Three steps of a fan-out: 100, 100 and 50 chunks.
const ROWS: u64 = 25_000;
/// The sends of a step: 100 chunks, ten in each.
const STEP_SENDS: usize = 10;
/// How long after a stop a call may still be sent (docs/guarantees.md, G9).
const SENT_MS: u64 = 2_000;

/// Stops the campaign a moment after the first step of its fan-out, before the second is sent.
struct StopInFanOut {
    store: Arc<Store>,
    id: CampaignId,
    sends: AtomicUsize,
}

impl FaultHook for StopInFanOut {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        async move {
            let is_lane = call.resources.iter().any(|queue| queue == "largesse-campaigns.fifo");
            if call.operation == "SendMessageBatch"
                && is_lane
                && self.sends.fetch_add(1, Ordering::SeqCst) == STEP_SENDS
            {
                tokio::time::sleep(Duration::from_millis(300)).await;
                act::stop(&*self.store, self.id, &user("ann"), memo("why")).await.unwrap();
            }
            None
        }
        .boxed()
    }
}

fn last_call(scene: &Scene) -> Timestamp {
    scene.bank.calls.lock().unwrap().last().unwrap().2
}

/// A campaign that was stopped in the middle of its fan-out, with some rows paid.
async fn stopped_in_fan_out(seed: u64) -> Scene {
    let mut scene = Scene::new(seed, ROWS).await;
    Arc::get_mut(&mut scene.bank).unwrap().takes_ms = 10;
    let (store, id) = (scene.sandbox.another_process(50), scene.id);
    let hook = Arc::new(StopInFanOut { store, id, sends: AtomicUsize::new(0) });
    scene.sandbox.world.set_fault_hook(Some(hook.clone()));
    attach(&scene.sandbox, [&scene.bank, &scene.bank], LANES);
    // In the background, so that lanes are paid while the fan-out still runs.
    let running = scene.sandbox.world.start();
    settle(&scene.sandbox).await;
    running.shutdown().await;
    scene.sandbox.world.set_fault_hook(None);
    assert_eq!(scene.state().await, State::Stopped);
    // The step that was decided on before the stop is sent, and no other.
    assert_eq!(hook.sends.load(Ordering::SeqCst), 2 * STEP_SENDS);
    let stopped_at = scene.campaign().await.ended_at.unwrap();
    let last = last_call(&scene);
    assert!(last <= stopped_at.plus_ms(SENT_MS), "{last:?} {stopped_at:?}");
    // What was paid is counted, and no more is paid whatever time passes.
    let paid = scene.bank.members_paid().len();
    assert!(paid > 0 && u64::try_from(paid).unwrap() < ROWS, "{paid}");
    assert_eq!(scene.tally().await.success.rows, u64::try_from(paid).unwrap());
    tokio::time::advance(Duration::from_secs(600)).await;
    settle(&scene.sandbox).await;
    assert_eq!(scene.bank.members_paid().len(), paid);
    scene
}

#[tokio::test(start_paused = true)]
async fn a_campaign_stopped_in_the_middle_of_its_fan_out_goes_on_from_there() {
    let scene = stopped_in_fan_out(1).await;
    // Rows are open, so a retry waits for a start that ends them.
    let refused = act::retry(&*scene.sandbox.store, scene.id, &user("ann")).await;
    assert!(matches!(refused, Err(ActError::Refused(Refused::RowsOpen { .. }))), "{refused:?}");
    let open: Vec<String> = {
        let paid = scene.bank.members_paid();
        let members = (0..ROWS).map(|n| format!("m{n:03}"));
        members.filter(|member| paid.binary_search(member).is_err()).take(3).collect()
    };
    for member in &open {
        scene.bank.tell(member, &[Act::Refuse; 4]);
    }
    scene.start().await;
    settle(&scene.sandbox).await;
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.failed.rows), (ROWS - 3, 3));
    scene.retry().await;
    settle(&scene.sandbox).await;
    scene.assert_all_paid().await;
    // Every row was sent once, and those three at their five attempts.
    let calls = scene.bank.calls.lock().unwrap();
    let pays = calls.iter().filter(|call| call.0 == "pay").count();
    assert_eq!(u64::try_from(pays).unwrap(), ROWS + 3 * 4);
}

#[tokio::test(start_paused = true)]
async fn a_campaign_stopped_in_the_middle_of_its_fan_out_is_taken_back_from_there() {
    let scene = stopped_in_fan_out(2).await;
    let paid = scene.bank.members_paid().len();
    scene.roll_back().await;
    settle(&scene.sandbox).await;
    assert_eq!(scene.state().await, State::RolledBack);
    assert_eq!(scene.bank.reversed.lock().unwrap().len(), paid);
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.reversed.rows), (0, u64::try_from(paid).unwrap()));
}

#[tokio::test(start_paused = true)]
async fn stop_start_stop_within_a_second_pays_nothing_soon_after_and_then_each_row_once() {
    let mut scene = Scene::new(3, 2_000).await;
    Arc::get_mut(&mut scene.bank).unwrap().takes_ms = 10;
    attach(&scene.sandbox, [&scene.bank, &scene.bank], LANES);
    let hasty = async {
        let pause = |ms| tokio::time::sleep(Duration::from_millis(ms));
        pause(1_500).await;
        scene.stop().await;
        pause(300).await;
        scene.start().await;
        pause(300).await;
        scene.stop().await;
        scene.sandbox.store.now()
    };
    let ((), stopped_at) = futures::join!(settle(&scene.sandbox), hasty);
    settle(&scene.sandbox).await;
    let last = last_call(&scene);
    assert!(last <= stopped_at.plus_ms(SENT_MS), "{last:?} {stopped_at:?}");
    let paid = scene.bank.members_paid().len();
    assert!((1..2_000).contains(&paid), "{paid}");
    scene.start().await;
    settle(&scene.sandbox).await;
    scene.assert_all_paid().await;
}
