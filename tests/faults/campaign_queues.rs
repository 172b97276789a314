//! Campaigns through their queues: from the start to the end, with the functions attached.

use std::time::Duration;

use campaign_pay::Source;
use largesse_app::campaign::fan_out::{FannedOut, fan_out};
use largesse_app::ports::{CampaignResults, ChunkWork, Clock};
use largesse_domain::campaign::State;

use crate::campaign_attach::{attach, settle};
use crate::campaign_scene::{Act, SETTINGS, Scene};

const LANES: u32 = 4;

#[tokio::test(start_paused = true)]
async fn a_refused_row_comes_back_beside_its_lane_and_the_campaign_completes() {
    let scene = Scene::new(1, 350).await;
    scene.bank.tell("m010", &[Act::Refuse; 2]);
    scene.bank.tell("m011", &[Act::PayUnknown]);
    scene.bank.tell("m012", &[Act::Refuse; 4]);
    attach(&scene.sandbox, [&scene.bank, &scene.bank], LANES);
    settle(&scene.sandbox).await;
    assert_eq!(scene.state().await, State::Completed);
    let tally = scene.tally().await;
    assert_eq!((tally.success.rows, tally.failed.rows), (349, 1));
    scene.retry().await;
    settle(&scene.sandbox).await;
    scene.assert_all_paid().await;
    scene.roll_back().await;
    settle(&scene.sandbox).await;
    assert_eq!(scene.state().await, State::RolledBack);
    assert_eq!(scene.tally().await.reversed.rows, 350);
    for queue in ["campaigns.fifo", "campaign-retries", "fanouts"] {
        let view = scene.sandbox.world.queue(&format!("largesse-{queue}")).unwrap();
        assert!(view.is_empty(), "{queue}: {view:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn two_messages_of_one_chunk_in_one_batch_pay_each_row_once() {
    let scene = Scene::new(2, 20).await;
    let message = scene.messages(ChunkWork::Pay).await[0];
    let body = largesse_aws::campaign_results::message::write_chunk_body(&message).unwrap();
    let record = |id: &str| {
        serde_json::json!({
            "messageId": id, "receiptHandle": id, "body": body,
            "attributes": { "MessageGroupId": "lane", "ApproximateReceiveCount": "1" },
        })
    };
    let event = serde_json::json!({ "Records": [record("1"), record("2")] });
    let event = serde_json::from_value(event).unwrap();
    let store = &*scene.sandbox.store;
    let response = campaign_pay::handle(&*scene.bank, store, event, SETTINGS, Source::Lane).await;
    assert!(response.batch_item_failures.is_empty());
    assert_eq!(scene.bank.calls.lock().unwrap().len(), 20);
    scene.assert_all_paid().await;
}

#[tokio::test(start_paused = true)]
async fn a_fan_out_sends_every_chunk_and_none_after_a_stop() {
    let scene = Scene::new(3, 25_000).await;
    let store = &*scene.sandbox.store;
    let first = scene.messages(ChunkWork::Pay).await[0];
    // Cut off before anything is sent: the rest is all of it.
    let rest = fan_out(store, &first, LANES, store.now()).await.unwrap();
    assert_eq!(rest, FannedOut::Rest(first.chunk));
    let stop_at = store.now().plus_ms(50_000);
    assert_eq!(fan_out(store, &first, LANES, stop_at).await.unwrap(), FannedOut::All);
    let sent = || scene.sandbox.world.queue("largesse-campaigns.fifo").unwrap().messages.len();
    assert_eq!(sent(), 250);
    // A repeat sends nothing more.
    assert_eq!(fan_out(store, &first, LANES, stop_at).await.unwrap(), FannedOut::All);
    assert_eq!(sent(), 250);
    scene.stop().await;
    tokio::time::advance(Duration::from_secs(301)).await;
    let later = store.now().plus_ms(50_000);
    assert_eq!(fan_out(store, &first, LANES, later).await.unwrap(), FannedOut::Dropped);
    assert_eq!(sent(), 250);
    assert_eq!(store.closed_chunks(scene.id).await.unwrap(), 0);
}
