//! From the making of a campaign to its start, and its audit.

use std::time::Duration;

use largesse_tests::http::Api;
use serde_json::json;

use super::{ROWS, act, made, put, ready, sealed, shown, simple};

#[tokio::test]
async fn a_campaign_takes_parts_is_sealed_and_starts() {
    let api = Api::new(1);
    let id = simple(&api).await;
    let part = put(&api, &id, "1", ROWS).await.expect(200);
    assert_eq!((part.number("part"), part.number("accepted")), (1, 2));
    let second = "member_id,amount,reason\nkim,5,again\npark,1.5,x\n";
    let part = put(&api, &id, "2", second).await.expect(200);
    assert_eq!((part.number("accepted"), part.number("refused")), (1, 1));
    let sealing = act(&api, "ann", &id, "seal").await.expect(202);
    assert_eq!(sealing.body["state"], "SEALING");
    assert_eq!(sealing.body["counts"], json!(null));
    api.settle().await;
    let view = shown(&api, &id).await;
    assert_eq!(view.body["state"], "WAITING", "{}", view.text);
    let sealed = &view.body["sealed"];
    assert_eq!((sealed["rows"].as_u64(), sealed["amount"].as_u64()), (Some(2), Some(20)));
    assert_eq!((sealed["duplicates"].as_u64(), sealed["refused"].as_u64()), (Some(1), Some(1)));
    assert_eq!(view.body["counts"]["pending"], 2);
    assert_eq!(view.body["amounts"]["pending"], 20);
    let hash = json!({ "content_hash": sealed["content_hash"] });
    let started = act(&api, "ann", &id, "start").json(&hash).await.expect(202);
    assert_eq!(started.body["state"], "RUNNING", "{}", started.text);
    // Said again, it changes nothing; stopped and started again, it goes on.
    let stopped = act(&api, "bob", &id, "stop").json(json!({ "memo": "wait" })).await.expect(202);
    assert_eq!(stopped.body["state"], "STOPPED");
    act(&api, "bob", &id, "stop").json(json!({ "memo": "wait" })).await.expect(202);
    let again = act(&api, "ann", &id, "start").json(&hash).await.expect(202);
    assert_eq!(again.body["state"], "RUNNING");
}

#[tokio::test]
async fn the_audit_lists_every_action_page_by_page() {
    let api = Api::new(2);
    let (id, hash) = ready(&api).await;
    act(&api, "ann", &id, "start").json(json!({ "content_hash": hash })).await.expect(202);
    act(&api, "bob", &id, "stop").json(json!({ "memo": "wrong month" })).await.expect(202);
    let path = format!("/api/v2/campaigns/{id}/audit");
    let whole = api.get("ann", format!("{path}?limit=100")).await.expect(200);
    let entries = whole.body["entries"].as_array().unwrap().clone();
    let actions: Vec<_> = entries.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["create", "part", "seal", "sealed", "start", "run", "stop"]);
    assert_eq!((&entries[3]["by"], &entries[6]["by"]), (&json!(null), &json!("bob")));
    assert_eq!(entries[6]["details"]["memo"], "wrong month");
    for pair in entries.windows(2) {
        assert_eq!(pair[1]["previous"], pair[0]["hash"]);
    }
    let first = api.get("ann", format!("{path}?limit=3")).await.expect(200);
    let next = format!("{path}?limit=100&cursor={}", first.string("next_cursor"));
    let rest = api.get("ann", next).await.expect(200);
    let found = [
        first.body["entries"].as_array().unwrap().clone(),
        rest.body["entries"].as_array().unwrap().clone(),
    ];
    assert_eq!(found.concat(), entries);
    assert_eq!(rest.body["next_cursor"], json!(null));
}

#[tokio::test]
async fn campaigns_are_listed_newest_first_and_a_cursor_belongs_to_its_list() {
    let api = Api::new(3);
    let mut made = Vec::new();
    for _ in 0..3 {
        made.push(simple(&api).await);
        api.settle().await;
    }
    made.reverse();
    let first = api.get("ann", "/api/v2/campaigns?limit=2").await.expect(200);
    let cursor = first.string("next_cursor");
    let rest = api.get("ann", format!("/api/v2/campaigns?limit=2&cursor={cursor}")).await;
    let rest = rest.expect(200);
    let pages = [&first, &rest];
    let rows = pages.iter().flat_map(|page| page.body["campaigns"].as_array().unwrap());
    let found: Vec<_> = rows.map(|row| row["campaign_id"].as_str().unwrap()).collect();
    assert_eq!(found, made);
    assert_eq!(rest.body["next_cursor"], json!(null));
    for path in [
        format!("/api/v2/campaigns/{}/audit?cursor={cursor}", made[0]),
        format!("/api/v2/campaigns/{}/duplicates.csv?cursor={cursor}", made[0]),
    ] {
        assert_eq!(api.get("ann", path).await.verdict(), (400, "ERR001"));
    }
    let other = api.get("bob", format!("/api/v2/campaigns?cursor={cursor}")).await;
    assert_eq!(other.verdict(), (400, "ERR001"));
}

#[tokio::test]
async fn an_equal_file_is_warned_about_at_the_seal() {
    let api = Api::new(4);
    let (first, _) = ready(&api).await;
    let (second, _) =
        sealed(&api, json!({ "name": "November", "default_reason": "attendance" }), ROWS).await;
    let warnings = shown(&api, &second).await.body["sealed"]["warnings"].clone();
    assert_eq!(
        (&warnings[0]["code"], &warnings[0]["campaign_id"]),
        (&json!("same_rows"), &json!(first))
    );
    assert_eq!(shown(&api, &first).await.body["sealed"]["warnings"], json!([]));
}

#[tokio::test]
async fn a_seal_that_is_refused_shows_its_problem_and_takes_parts_again() {
    let api = Api::new(5);
    let id =
        made(&api, json!({ "name": "n", "default_reason": "r", "duplicates": "refuse" })).await;
    put(&api, &id, "1", "member_id,amount\nkim,1\nkim,2\n").await.expect(200);
    act(&api, "ann", &id, "seal").await.expect(202);
    api.settle().await;
    let view = shown(&api, &id).await;
    assert_eq!(view.body["state"], "DRAFT");
    assert!(!view.string("problem").is_empty());
    put(&api, &id, "2", "member_id,amount\nlee,1\n").await.expect(200);
}

#[tokio::test(start_paused = true)]
async fn a_create_is_replayed_for_30_days() {
    let api = Api::new(6);
    let body = json!({ "name": "October" });
    let ask = || api.post("ann", "/api/v2/campaigns").key("k").json(&body);
    let first = ask().await.expect(201);
    tokio::time::advance(Duration::from_secs(30 * 86_400 - 1)).await;
    let again = ask().await.expect(201);
    assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
    tokio::time::advance(Duration::from_secs(1)).await;
    let other = ask().await.expect(201);
    assert_ne!(other.string("campaign_id"), first.string("campaign_id"));
    let other = api.post("ann", "/api/v2/campaigns").key("k").json(json!({ "name": "other" }));
    assert_eq!(other.await.verdict(), (422, "ERR006"));
}
