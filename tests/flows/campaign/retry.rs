//! A retry under its key, when its first answer is lost.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::campaign::act as life;
use largesse_app::ports::Campaigns;
use largesse_domain::id::CampaignId;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::http::Api;
use serde_json::json;

use super::{act, ready, shown};

/// A campaign that is completed, with all its rows failed.
async fn failed(api: &Api) -> String {
    let (id, hash) = ready(api).await;
    act(api, "ann", &id, "start").json(json!({ "content_hash": hash })).await.expect(202);
    api.sandbox.fail_rows(&id).await;
    let (store, campaign) = (&*api.sandbox.store, id.parse::<CampaignId>().unwrap());
    let fence = store.campaign(campaign).await.unwrap().unwrap().value.life.fence;
    life::end(store, campaign, fence).await.unwrap();
    assert_eq!(shown(api, &id).await.body["counts"]["failed"], 2);
    id
}

#[tokio::test(start_paused = true)]
async fn a_retry_opens_the_failed_rows_and_a_repeat_gets_its_answer() {
    let api = Api::new(41);
    let id = failed(&api).await;
    let retry = || act(&api, "ann", &id, "retry").key("k");
    let first = retry().await.expect(202);
    assert_eq!(first.body["state"], "RUNNING");
    assert_eq!(first.body["counts"]["pending"], 2);
    let again = retry().await.expect(202);
    assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
    // At the same time, so by the time alone it could be hers.
    let bob = act(&api, "bob", &id, "retry").key("k").await;
    assert_eq!(bob.verdict(), (409, "ERR201"), "another member's retry");
    tokio::time::advance(Duration::from_secs(1)).await;
    let other = act(&api, "ann", &id, "retry").key("other").await;
    assert_eq!(other.verdict(), (409, "ERR201"));
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_answer_was_not_kept_is_answered_again_and_opens_nothing() {
    let api = Api::new(42);
    let id = failed(&api).await;
    let retry = |user: &str| act(&api, user, &id, "retry").key("k");
    let lost = Matching::operation("UpdateItem").on("largesse-edge");
    let faults = Faults::seeded(1).always(lost, Fault::ResetBeforeCommit);
    api.sandbox.world.set_fault_hook(Some(Arc::new(faults)));
    retry("ann").await.expect(202);
    api.sandbox.world.set_fault_hook(None);
    tokio::time::advance(Duration::from_secs(36)).await;
    let before = api.dump()["largesse-campaigns"].clone();
    let again = retry("ann").await.expect(202);
    assert_eq!(again.body["state"], "RUNNING");
    assert!(api.dump()["largesse-campaigns"] == before, "it opened rows again");
    assert_eq!(retry("bob").await.verdict(), (409, "ERR201"), "another member's retry");
}
