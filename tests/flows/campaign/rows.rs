//! Rows: where each stands, by member, by status, and as a file of those that failed.

use largesse_app::ports::{CampaignResults, Campaigns, ChunkSet, Clock, Commit, Ids, Written};
use largesse_domain::campaign::{
    Campaign, ChunkNumber, ChunkRecord, ChunkResult, Failure, Generation, Lease, Row, Said,
};
use largesse_domain::id::CampaignId;
use largesse_tests::http::Api;
use serde_json::{Value, json};

use super::{act, made, put, ready, sealed, shown};

/// The money service refuses the row of this member for good, and pays the others of its chunk.
pub(super) async fn refuse(api: &Api, id: &str, member: &str, why: &str) {
    let campaign = stored(api, id).await;
    let chunk = campaign.seal.unwrap().layout.chunk(&member.parse().unwrap());
    settle(api, &campaign, chunk, |row| {
        let is_it = row.member.as_str() == member;
        if is_it { Said::Refused(Failure::new(why)) } else { Said::Paid }
    })
    .await;
}

/// In the chunk of a member, its row has no answer and all others are paid.
pub(super) async fn lose(api: &Api, id: &str, member: &str) {
    let campaign = stored(api, id).await;
    let chunk = campaign.seal.unwrap().layout.chunk(&member.parse().unwrap());
    let say = |row: &Row| if row.member.as_str() == member { Said::Unknown } else { Said::Paid };
    settle(api, &campaign, chunk, say).await;
}

/// The money service pays all rows. No wallet gets anything.
pub(super) async fn pay_all(api: &Api, id: &str) {
    let campaign = stored(api, id).await;
    for chunk in 0..campaign.seal.unwrap().layout.chunks() {
        settle(api, &campaign, ChunkNumber(chunk), |_| Said::Paid).await;
    }
}

async fn stored(api: &Api, id: &str) -> Campaign {
    let id = id.parse::<CampaignId>().unwrap();
    api.sandbox.store.campaign(id).await.unwrap().unwrap().value
}

/// The rows of a chunk have these answers.
async fn settle(api: &Api, campaign: &Campaign, chunk: ChunkNumber, say: impl Fn(&Row) -> Said) {
    let store = &*api.sandbox.store;
    let set = ChunkSet::of(campaign).unwrap();
    let rows = store.stored_chunk(&set, chunk).await.unwrap().unwrap().rows;
    let now = store.now();
    let lease = Lease { owner: store.ulid(), until: now.plus_ms(60_000) };
    let leased = store.lease_chunk(&set, chunk, None, lease, now).await.unwrap();
    assert_eq!(leased, Written::Done);
    let mut record = ChunkRecord::new(&rows, 0);
    let before = record.tally().unwrap();
    record.begin(lease).unwrap();
    for (position, row) in rows.iter().enumerate() {
        record.take(position, 1, say(row)).unwrap();
    }
    (record.revision, record.lease) = (1, None);
    let generation = Generation::FIRST;
    let result = ChunkResult { chunk, generation, revision: 0, tally: before };
    let delta = result.delta(record.tally().unwrap()).unwrap();
    let owner = lease.owner;
    let commit = Commit { set: &set, chunk, owner, record: &record, delta: &delta, closes: false };
    assert_eq!(store.commit_chunk(&commit).await.unwrap(), Written::Done);
}

fn members(page: &Value) -> Vec<String> {
    let rows = page["rows"].as_array().unwrap().iter();
    rows.map(|row| row["member_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_row_is_read_by_its_member_and_rows_by_their_status() {
    let api = Api::new(51);
    let (id, hash) = ready(&api).await;
    let path = format!("/api/v2/campaigns/{id}/rows");
    let row = api.get("ann", format!("{path}/kim")).await.expect(200);
    let pending = json!({
        "member_id": "kim", "amount": 10, "reason": "attendance", "status": "PENDING",
        "attempts": 0,
    });
    assert_eq!(row.body, pending);
    for member in ["nobody", "KIM", "a%20b"] {
        let missing = api.get("ann", format!("{path}/{member}")).await;
        assert_eq!(missing.verdict(), (404, "ERR005"), "{member}");
    }
    act(&api, "ann", &id, "start").json(json!({ "content_hash": hash })).await.expect(202);
    refuse(&api, &id, "lee", "account closed").await;
    let row = api.get("ann", format!("{path}/lee")).await.expect(200);
    assert_eq!(
        (&row.body["status"], &row.body["failure"]),
        (&json!("FAILED"), &json!("account closed"))
    );
    assert_eq!(row.number("attempts"), 1);
    for (status, expected) in
        [("FAILED", vec!["lee"]), ("SUCCESS", vec!["kim"]), ("PENDING", vec![])]
    {
        let page = api.get("ann", format!("{path}?status={status}")).await.expect(200);
        assert_eq!(members(&page.body), expected, "{status}");
    }
    assert_eq!(shown(&api, &id).await.body["counts"]["failed"], 1);
    let progress = api.get("ann", format!("/api/v2/campaigns/{id}/progress")).await.expect(200);
    assert_eq!(
        (&progress.body["state"], &progress.body["counts"]["success"]),
        (&json!("RUNNING"), &json!(1))
    );
    for status in ["failed", "UNKNOWN", ""] {
        let refused = api.get("ann", format!("{path}?status={status}")).await;
        assert_eq!(refused.verdict(), (400, "ERR001"), "{status}");
    }
}

#[tokio::test]
async fn rows_come_in_pages_each_once() {
    let api = Api::new(52);
    let rows: String = (0..450).map(|n| format!("m{n:03},1\n")).collect();
    let rows = format!("member_id,amount\n{rows}");
    let terms = json!({ "name": "n", "default_reason": "r" });
    let (id, _) = sealed(&api, terms, &rows).await;
    let path = format!("/api/v2/campaigns/{id}/rows?limit=100");
    let (mut at, mut found) = (Some(path.clone()), Vec::new());
    while let Some(page) = at {
        let page = api.get("ann", page).await.expect(200);
        found.extend(members(&page.body));
        at = page.body["next_cursor"].as_str().map(|cursor| format!("{path}&cursor={cursor}"));
    }
    found.sort();
    let expected: Vec<_> = (0..450).map(|n| format!("m{n:03}")).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn failures_of_a_campaign_can_be_uploaded_to_another() {
    let api = Api::new(53);
    let rows = "member_id,amount,reason\n00042,10,\"=1+1, \"\"x\"\"\"\nkim,20,r\n";
    let (id, _) = sealed(&api, json!({ "name": "n" }), rows).await;
    refuse(&api, &id, "00042", "=cmd|' /C calc'!A0").await;
    let path = format!("/api/v2/campaigns/{id}/failures.csv");
    let file = api.get("ann", path).await.expect(200);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    let lines: Vec<_> = file.text.split("\r\n").collect();
    assert_eq!(lines[0], "\u{feff}member_id,amount,reason,failure");
    assert!(lines[1].starts_with("00042,10,\"'=1+1"), "{}", lines[1]);
    assert!(lines[1].contains(",\"'=cmd|"), "{}", lines[1]);
    assert_eq!((lines.len(), file.header("link")), (3, ""));
    let other = made(&api, json!({ "name": "m" })).await;
    let part = put(&api, &other, "1", &file.text).await.expect(200);
    assert_eq!((part.number("accepted"), part.number("amount")), (1, 10), "{}", part.text);
}

#[tokio::test]
async fn a_campaign_that_is_not_sealed_has_no_rows() {
    let api = Api::new(55);
    let id = made(&api, json!({ "name": "n" })).await;
    let path = format!("/api/v2/campaigns/{id}");
    let page = api.get("ann", format!("{path}/rows")).await.expect(200);
    assert_eq!(page.body, json!({ "rows": [] }));
    let file = api.get("ann", format!("{path}/failures.csv")).await.expect(200);
    assert_eq!(file.text, "\u{feff}member_id,amount,reason,failure\r\n");
    let progress = api.get("ann", format!("{path}/progress")).await.expect(200);
    assert_eq!(progress.body, json!({ "state": "DRAFT", "snapshots": [] }));
    assert_eq!(api.get("ann", format!("{path}/rows/kim")).await.verdict(), (404, "ERR005"));
    for rest in ["rows", "rows/kim", "failures.csv", "progress"] {
        let missing =
            api.get("ann", format!("/api/v2/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/{rest}"));
        assert_eq!(missing.await.verdict(), (404, "ERR005"), "{rest}");
    }
}
