//! For every k: a step of a campaign's life is killed at its k-th await, from the request that makes
//! it to its end, and is then delivered again. Every row is paid once or failed, the counters are
//! exact, and the campaign ends.

use std::sync::Arc;

use largesse_app::campaign::act;
use largesse_app::campaign::create::{CreateCampaign, create};
use largesse_app::campaign::upload::{UploadPart, upload};
use largesse_app::ports::{Campaigns, ChunkWork};
use largesse_aws::Store;
use largesse_domain::campaign::{PartNumber, State};
use largesse_domain::id::CampaignId;
use largesse_emulator::Faults;
use largesse_input::Format;
use largesse_tests::kill::kill_at;
use largesse_tests::{Sandbox, user};

use crate::campaign_attach::{Kill, attach_killed, settle};
use crate::campaign_scene::{AMOUNT, Act, Bank, Scene, memo, terms};

const ROWS: u64 = 5;
const LANES: u32 = 4;
/// No step and no function awaits more often.
const AWAITS_MAX: usize = 2_000;

/// A request of a campaign's creator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Create,
    Upload,
    Seal,
    Start,
    Retry,
    RollBack,
}

/// Makes a request by that process. It may be a repeat, so what is done already is no error.
async fn request(store: &Store, id: CampaignId, request: Request) {
    let ann = user("ann");
    match request {
        Request::Create => {
            let request = CreateCampaign { id, creator: ann, terms: terms() };
            create(store, request).await.unwrap();
        }
        Request::Upload => {
            let rows = (0..ROWS).map(|n| format!("m{n:03},{AMOUNT}\n"));
            let body: String =
                std::iter::once("member_id,amount\n".to_owned()).chain(rows).collect();
            let (number, format) = (PartNumber::new(1).unwrap(), Format::Csv);
            let body = body.as_bytes();
            let part = UploadPart { campaign: id, by: &ann, number, format, body };
            upload(store, part).await.unwrap();
        }
        Request::Seal => {
            act::seal(store, id, &ann).await.unwrap();
        }
        Request::Start => {
            let campaign = store.campaign(id).await.unwrap().unwrap().value;
            let hash = campaign.life.sealed.unwrap().hash;
            act::start(store, id, &ann, hash).await.unwrap();
        }
        // A retry is made once under its key (`two_retries_at_once_open_one_generation`).
        Request::Retry => {
            let campaign = store.campaign(id).await.unwrap().unwrap().value;
            if campaign.life.state == State::Completed {
                act::retry(store, id, &ann).await.unwrap();
            }
        }
        Request::RollBack => {
            act::rollback(store, id, &ann, memo("why")).await.unwrap();
        }
    }
}

/// A world with all functions, of which one run is killed, and a bank that does not make it easy.
pub(crate) fn scene(kill: &Kill) -> Scene {
    let sandbox = Sandbox::new(1);
    let bank = Arc::new(Bank::of(&sandbox));
    bank.tell("m001", &[Act::Refuse]);
    bank.tell("m002", &[Act::PayUnknown]);
    bank.tell("m003", &[Act::Lose]);
    // A refusal that a killed worker did not record is not counted.
    bank.tell("m004", &[Act::Refuse; 5]);
    attach_killed(&sandbox, [&bank, &bank], LANES, kill);
    let id = CampaignId(sandbox.id());
    Scene { sandbox, bank, id, chunks: 1, rows: ROWS }
}

/// Makes one request after the other and lets the functions run after each. The killed one is made
/// again. The calls of the functions meet the faults. Whether the request was killed.
pub(crate) async fn play(
    scene: &Scene,
    requests: &[Request],
    killed: Option<(Request, usize)>,
    faults: Option<Arc<Faults>>,
) -> bool {
    let mut was_killed = false;
    for step in requests {
        let store = scene.sandbox.another_process(40);
        if let Some((_, k)) = killed.filter(|(request, _)| request == step) {
            let doomed = scene.sandbox.another_process(41);
            was_killed = kill_at(k, request(&doomed, scene.id, *step)).await.is_none();
        }
        request(&store, scene.id, *step).await;
        // The schedule, each minute: it runs what a killed request left in the queue.
        campaign_start::handle(&*store).await.unwrap();
        scene.sandbox.world.set_fault_hook(faults.clone().map(|faults| faults as _));
        settle(&scene.sandbox).await;
        scene.sandbox.world.set_fault_hook(None);
    }
    was_killed
}

pub(crate) const TO_THE_END: [Request; 4] =
    [Request::Create, Request::Upload, Request::Seal, Request::Start];

/// All rows but the one that is refused are paid once.
pub(crate) async fn assert_paid(scene: &Scene) {
    assert_eq!(scene.state().await, State::Completed);
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.failed.rows, tally.open()), (4, 1, 0));
    assert_eq!(scene.bank.members_paid(), ["m000", "m001", "m002", "m003"]);
}

/// The row that failed is paid by the retry, and all are taken back once.
pub(crate) async fn assert_taken_back(scene: &Scene) {
    assert_eq!(scene.state().await, State::RolledBack);
    let tally = scene.tally().await;
    assert_eq!((tally.reversed.rows, tally.open()), (ROWS, 0));
    assert_eq!(scene.bank.members_paid().len(), 5);
    let reversed = scene.bank.reversed.lock().unwrap().clone();
    let paid = scene.bank.paid.lock().unwrap().clone();
    assert!(reversed.keys().eq(paid.keys()), "{reversed:?} {paid:?}");
}

#[tokio::test(start_paused = true)]
async fn a_request_killed_at_any_await_and_made_again_has_its_effect_once() {
    for step in TO_THE_END {
        for k in 1..AWAITS_MAX {
            let scene = scene(&Kill::default());
            let was_killed = play(&scene, &TO_THE_END, Some((step, k)), None).await;
            assert_paid(&scene).await;
            if !was_killed {
                assert!(k > 2, "{step:?} awaits {k} times only");
                break;
            }
        }
    }
}

/// Kills each function at each of its awaits, in whichever run that is; `least` is how often each of
/// them awaits at least.
async fn for_every_await(functions: &[(&'static str, usize)], play: impl AsyncFn(&Kill)) {
    for (function, least) in functions {
        for nth in 1..=AWAITS_MAX {
            let kill = Kill::at(function, nth);
            play(&kill).await;
            if !kill.has_struck() {
                assert!(nth > *least, "{function} awaits {nth} times only");
                break;
            }
            assert!(nth < AWAITS_MAX, "{function} never ends");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_campaign_whose_functions_are_killed_at_any_await_pays_each_row_once_and_completes() {
    let functions = [
        ("outbox", 2),
        ("campaign-seal", 10),
        ("campaign-fanout", 2),
        ("campaign-pay", 10),
        ("campaign-retry", 20),
    ];
    for_every_await(&functions, async |kill| {
        let scene = scene(kill);
        play(&scene, &TO_THE_END, None, None).await;
        assert_paid(&scene).await;
    })
    .await;
}

/// The campaign has ended, and one row has failed.
pub(crate) async fn ended(kill: &Kill) -> Scene {
    let scene = Scene::new(1, ROWS).await;
    scene.bank.tell("m004", &[Act::Refuse; 4]);
    for message in scene.messages(ChunkWork::Pay).await {
        scene.drain_one(&scene.sandbox.store, &message).await;
    }
    attach_killed(&scene.sandbox, [&scene.bank, &scene.bank], LANES, kill);
    scene
}

pub(crate) const TO_THE_ROLLBACK: [Request; 2] = [Request::Retry, Request::RollBack];

#[tokio::test(start_paused = true)]
async fn a_retry_and_a_rollback_whose_functions_are_killed_at_any_await_reverse_each_row_once() {
    let functions =
        [("outbox", 2), ("campaign-fanout", 2), ("campaign-pay", 10), ("campaign-retry", 0)];
    for_every_await(&functions, async |kill| {
        let scene = ended(kill).await;
        play(&scene, &TO_THE_ROLLBACK, None, None).await;
        assert_taken_back(&scene).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_retry_and_a_rollback_killed_at_any_await_and_made_again_have_their_effect_once() {
    for step in TO_THE_ROLLBACK {
        for k in 1..AWAITS_MAX {
            let scene = ended(&Kill::default()).await;
            let was_killed = play(&scene, &TO_THE_ROLLBACK, Some((step, k)), None).await;
            assert_taken_back(&scene).await;
            if !was_killed {
                assert!(k > 2, "{step:?} awaits {k} times only");
                break;
            }
        }
    }
}
