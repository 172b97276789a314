//! Campaigns from their file to the wallets of their members.

use std::time::Duration;

use largesse_tests::http::Api;
use rstest::rstest;
use serde_json::json;

use super::{act, made, put, shown};

/// Runs all functions until nothing waits for a time.
async fn settle(api: &Api) {
    api.settle().await;
    tokio::time::advance(Duration::from_secs(60)).await;
    api.settle().await;
}

/// A member stands twice in a part, in adjacent rows and in rows apart, and in another part.
const FIRST_PART: &str = "member_id,amount\nkim,10\nkim,20\nlee,5\nkim,40\n";
const SECOND_PART: &str = "member_id,amount\nlee,7\nkim,80\npark,1\n";

#[rstest]
#[case::first("first", [10, 5, 1])]
#[case::sum("sum", [150, 12, 1])]
#[tokio::test(start_paused = true)]
async fn c9_c18_a_member_named_again_anywhere_is_paid_once(
    #[case] policy: &str,
    #[case] paid: [u64; 3],
) {
    let api = Api::new(91);
    let terms = json!({ "name": "n", "default_reason": "r", "duplicates": policy });
    let id = made(&api, terms).await;
    put(&api, &id, "1", FIRST_PART).await.expect(200);
    put(&api, &id, "2", SECOND_PART).await.expect(200);
    act(&api, "ann", &id, "seal").await.expect(202);
    settle(&api).await;
    let sealed = shown(&api, &id).await.body["sealed"].clone();
    assert_eq!((&sealed["rows"], &sealed["duplicates"]), (&json!(3), &json!(4)));
    let hash = json!({ "content_hash": sealed["content_hash"] });
    act(&api, "ann", &id, "start").json(hash).await.expect(202);
    settle(&api).await;
    let view = shown(&api, &id).await;
    assert_eq!(view.body["state"], "COMPLETED", "{}", view.text);
    assert_eq!(view.body["counts"]["success"], 3);
    for (member, amount) in ["kim", "lee", "park"].into_iter().zip(paid) {
        assert_eq!(api.balance(member).await, amount, "{member}");
    }
    assert_eq!(view.body["amounts"]["success"], json!(paid.iter().sum::<u64>()));
}

#[tokio::test(start_paused = true)]
async fn c9_under_refuse_a_member_named_again_seals_and_pays_nothing() {
    let api = Api::new(92);
    let terms = json!({ "name": "n", "default_reason": "r", "duplicates": "refuse" });
    let id = made(&api, terms).await;
    put(&api, &id, "1", "member_id,amount\nkim,10\nlee,5\n").await.expect(200);
    put(&api, &id, "2", "member_id,amount\nkim,10\n").await.expect(200);
    act(&api, "ann", &id, "seal").await.expect(202);
    settle(&api).await;
    let view = shown(&api, &id).await;
    assert_eq!((&view.body["state"], &view.body["sealed"]), (&json!("DRAFT"), &json!(null)));
    assert!(view.string("problem").contains("line"), "{}", view.text);
    for member in ["kim", "lee"] {
        assert_eq!(api.get(member, format!("/api/v2/wallets/{member}")).await.body["balance"], 0);
    }
}
