//! As `policies`, of the functions of campaigns behind HTTP.

use largesse_app::campaign::act;
use largesse_app::ports::Campaigns;
use largesse_domain::id::CampaignId;
use largesse_tests::http::Api;
use serde_json::json;

use crate::permissions::{assert_least, calls_of};

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
    assert_least("campaign-control", &calls.await);
}

/// What query is asked about campaigns.
pub(crate) async fn read(api: &Api, id: &str) {
    for path in ["", "/audit", "/duplicates.csv", "/rows", "/progress"] {
        api.get("ann", format!("/api/v2/campaigns/{id}{path}")).await.expect(200);
    }
    api.get("ann", "/api/v2/campaigns").await.expect(200);
}
