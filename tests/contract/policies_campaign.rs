//! As `policies`, of the functions of campaigns behind HTTP and behind their queues.

use std::collections::BTreeSet;
use std::time::Duration;

use campaign_pay::Source;
use largesse_app::campaign::act;
use largesse_app::invocation::{self, Invocation};
use largesse_app::ports::{
    CampaignJob, CampaignQueue, CampaignResults, Campaigns, ChunkMessage, ChunkSet, ChunkWork,
    Clock,
};
use largesse_aws::campaign::jobs::write_job;
use largesse_domain::campaign::{Lease, RowKey, State};
use largesse_domain::id::CampaignId;
use largesse_emulator::Permission;
use largesse_tests::http::Api;
use largesse_tests::user;
use serde_json::json;

use crate::campaign_work::scene::Work;
use crate::permissions::{assert_least, calls_of, pay_governed, with_auth};
use crate::scene::fill;

/// Uploads a part twice: a repeat reads what the first caller was told.
async fn upload(api: &Api, path: &str, rows: &str) {
    for _ in 0..2 {
        let part = api.ask("PUT", format!("{path}/parts/1")).user("ann");
        part.header("content-type", "text/csv").raw(rows).await.expect(200);
    }
}

/// A campaign that runs, with a duplicate.
pub(crate) async fn started(api: &Api) -> String {
    let made = api.post("ann", "/api/v2/campaigns").key(api.new_key());
    let made = made.json(json!({ "name": "n", "default_reason": "r" })).await.expect(201);
    let id = made.string("campaign_id");
    let path = format!("/api/v2/campaigns/{id}");
    upload(api, &path, "member_id,amount\nkim,10\nkim,1\n").await;
    api.post("ann", format!("{path}/seal")).await.expect(202);
    api.settle().await;
    let view = api.get("ann", &*path).await.expect(200);
    let hash = json!({ "content_hash": view.body["sealed"]["content_hash"] });
    api.post("ann", format!("{path}/start")).json(hash).await.expect(202);
    id
}

#[tokio::test]
async fn campaign_control_may_do_what_it_does() {
    let api = Api::new(21);
    let id = started(&api).await;
    api.sandbox.fail_rows(&id).await;
    let (store, campaign) = (&*api.sandbox.store, id.parse::<CampaignId>().unwrap());
    let fence = store.campaign(campaign).await.unwrap().unwrap().value.life.fence;
    act::end(store, campaign, fence).await.unwrap();
    // A campaign that paid: a dry run of its rollback reads the wallet.
    let paid = started(&api).await;
    api.settle().await;
    let calls = calls_of(&api.sandbox.world, async {
        let made = api.post("ann", "/api/v2/campaigns").key(api.new_key());
        let made = made.json(json!({ "name": "n" })).await.expect(201);
        let path = format!("/api/v2/campaigns/{}", made.string("campaign_id"));
        upload(&api, &path, "member_id,amount,reason\nkim,10,r\n").await;
        api.post("ann", format!("{path}/seal")).await.expect(202);
        api.post("ann", format!("/api/v2/campaigns/{id}/retry")).key("k").await.expect(202);
        let rollback = api.post("ann", format!("/api/v2/campaigns/{paid}/rollback"));
        rollback.json(json!({ "memo": "m", "dry_run": true })).await.expect(200);
    });
    assert_least("campaign-control", &with_auth(calls.await).await);
}

/// What query is asked about campaigns.
pub(crate) async fn read(api: &Api, id: &str) {
    for path in ["", "/audit", "/duplicates.csv", "/rows", "/progress"] {
        api.get("ann", format!("/api/v2/campaigns/{id}{path}")).await.expect(200);
    }
    api.get("ann", "/api/v2/campaigns").await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn campaign_fanout_may_do_what_it_does() {
    let work = Work::new(23, 3).await;
    work.attach_outbox();
    work.settle().await;
    work.attach_fanout();
    let store = work.sandbox.another_process(24);
    let fence = work.campaign().await.life.fence;
    let job = write_job(&CampaignJob::Pay { campaign: work.id, fence, from: 0 }).unwrap();
    let message = json!({ "messageId": "1", "receiptHandle": "r", "body": job });
    let event = serde_json::from_value(json!({ "Records": [message] })).unwrap();
    let calls = calls_of(&work.sandbox.world, async {
        work.settle().await;
        // So little time is left that it sends the job of the rest.
        let run = campaign_fanout::handle(&*store, event, 4);
        let response = invocation::scope(Invocation::until(store.now()), run).await;
        assert!(response.batch_item_failures.is_empty());
    });
    assert_least("campaign-fanout", &calls.await);
}

/// All that a worker does with a chunk: of a killed worker before it, while the money service is
/// away, with a row that is refused, to the end of the campaign, and back.
async fn calls_of_worker(seed: u64, function: &str, source: Source) -> BTreeSet<Permission> {
    let work = Work::new(seed, 3).await;
    let (world, store) = (&work.sandbox.world, work.sandbox.another_process(25));
    let pay = work.message(0).await;
    let send = async |message: ChunkMessage| match source {
        Source::Lane => drop(store.send_chunks(&[message], 4).await.unwrap()),
        Source::Retries => store.send_retry(&message, 0).await.unwrap(),
    };
    work.sandbox.deposit("m1", 1).await;
    let held = fill(&work.sandbox, "m1").await;
    // A worker was killed after its lease: what it may have sent is looked up.
    let set = ChunkSet::of(&work.campaign().await).unwrap();
    let lease = Lease { owner: work.sandbox.id(), until: store.now().plus_ms(90_000) };
    store.lease_chunk(&set, pay.chunk, None, lease, store.now()).await.unwrap();
    tokio::time::advance(Duration::from_secs(91)).await;
    work.set_away(true);
    send(pay).await;
    work.attach_worker(function, source);
    let mut calls = calls_of(world, work.settle()).await;
    work.set_away(false);
    tokio::time::advance(Duration::from_secs(901)).await;
    calls.extend(calls_of(world, work.settle()).await);
    assert_eq!(work.tally().await.pending.rows, 1);
    work.sandbox.overwrite_balance("m1", held).await;
    tokio::time::advance(Duration::from_secs(901)).await;
    if source == Source::Lane {
        // The refused row went beside the lane; its chunk comes once more.
        send(pay).await;
    }
    calls.extend(calls_of(world, work.settle()).await);
    assert_eq!(work.tally().await.success.rows, 3);
    assert_eq!(work.campaign().await.life.state, State::Completed);

    let creator = user("ann");
    let (campaign, generation) = (work.id, work.campaign().await.life.generation);
    let row = work.row(0).await;
    let key = RowKey { campaign, member: row.member.clone(), generation };
    calls.extend(calls_of(world, pay_governed(&store, key.grant_of(&row, &creator))).await);

    work.roll_back().await;
    let fence = work.campaign().await.life.fence;
    send(ChunkMessage { fence, work: ChunkWork::Reverse, ..pay }).await;
    calls.extend(calls_of(world, work.settle()).await);
    assert_eq!(work.tally().await.reversed.rows, 3);
    calls
}

#[tokio::test(start_paused = true)]
async fn campaign_pay_may_do_what_it_does() {
    let calls = calls_of_worker(26, "campaign-pay", Source::Lane).await;
    assert_least("campaign-pay", &calls);
}

#[tokio::test(start_paused = true)]
async fn campaign_retry_may_do_what_it_does() {
    let calls = calls_of_worker(27, "campaign-retry", Source::Retries).await;
    assert_least("campaign-retry", &calls);
}
