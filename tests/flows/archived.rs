//! Callers who read transactions that are archived.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::archive::transfers::{LedgerProgress, Time, round};
use largesse_app::ports::{Clock, Ids};
use largesse_tests::Sandbox;
use largesse_tests::http::{Api, Reply};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use serde_json::Value;

/// The routes over a process with this archive or without one.
fn api(seed: u64, objects: Option<Arc<dyn ObjectStore>>) -> Api {
    let mut sandbox = Sandbox::new(seed);
    let store = Arc::into_inner(sandbox.another_process(seed)).unwrap();
    sandbox.store = Arc::new(store.with_archive(objects));
    Api::over(sandbox)
}

/// Twelve deposits, of which all but the last three are archived. Their ids, the oldest first.
async fn archived(api: &Api, with: &largesse_aws::Store) -> Vec<String> {
    let mut ids = Vec::new();
    for amount in 1..=12 {
        ids.push(api.deposit("7", amount).await.string("transaction_id"));
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    let now = with.now();
    let time = Time { horizon: now.minus_ms(30), stop_at: now.plus_ms(86_400_000) };
    let mut progress = LedgerProgress::default();
    while !progress.is_over() {
        round(with, with.ulid(), time, &mut progress).await.unwrap().unwrap();
    }
    assert_eq!((progress.transfers, progress.rows), (9, 9));
    ids
}

/// Everything that is read of the wallet: single transactions, pages of both versions, filters.
async fn everything(api: &Api, ids: &[String]) -> Vec<Value> {
    let mut paths: Vec<String> =
        ids.iter().map(|id| format!("/api/v2/wallets/7/transactions/{id}")).collect();
    paths.push("/api/v2/wallets/7/transactions?limit=100".to_owned());
    paths.push("/api/v2/wallets/7/transactions?type=deposit&limit=7".to_owned());
    for page in 1..=4 {
        paths.push(format!("/api/v1/transactions?page={page}&per_page=5"));
    }
    let mut said = Vec::new();
    for path in paths {
        let mut body = api.get("7", path).await.expect(200).body;
        // A cursor is of its process.
        if let Some(body) = body.as_object_mut() {
            body.remove("next_cursor");
        }
        said.push(body);
    }
    said
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_is_archived_is_answered_as_before() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let api = api(1, Some(objects));
    let ids = archived(&api, &api.sandbox.store).await;
    let read = everything(&api, &ids).await;
    for (number, id) in ids.iter().enumerate() {
        assert_eq!(read[number]["transaction_id"], **id);
        assert_eq!(read[number]["amount"], number + 1);
    }
    let rows = read[12]["transactions"].as_array().unwrap();
    let newest_first: Vec<&str> =
        rows.iter().map(|row| row["transaction_id"].as_str().unwrap()).collect();
    let expected: Vec<&str> = ids.iter().rev().map(String::as_str).collect();
    assert_eq!(newest_first, expected);
    assert_eq!(read[13]["transactions"].as_array().unwrap().len(), 7);
    for (page, rows) in [(14, 5), (15, 5), (16, 2), (17, 0)] {
        assert_eq!(read[page]["total_count"], 12);
        assert_eq!(read[page]["transactions"].as_array().unwrap().len(), rows);
    }
    // Another member's, and one that never was: between two that are archived.
    let other = api.deposit("8", 5).await.string("transaction_id");
    let between = format!("{}0000000000000000", &ids[3][..10]);
    for id in [other, between] {
        let path = format!("/api/v2/wallets/7/transactions/{id}");
        assert_eq!(api.get("7", path).await.status, 404);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_with_cursors_go_over_the_border_of_the_archive() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let api = api(2, Some(objects));
    let ids = archived(&api, &api.sandbox.store).await;
    for limit in [1, 2, 3, 4, 5, 11, 12] {
        let (mut found, mut cursor): (Vec<String>, _) = (Vec::new(), String::new());
        loop {
            let path = format!("/api/v2/wallets/7/transactions?limit={limit}{cursor}");
            let page = api.get("7", path).await.expect(200).body;
            let rows = page["transactions"].as_array().unwrap();
            found.extend(rows.iter().map(|row| row["transaction_id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        found.reverse();
        assert_eq!(found, ids, "{limit} a page");
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_archive_is_away_the_answer_is_503_and_never_404() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    // The routes have no archive; another process has.
    let api = api(3, None);
    let archiving = Arc::into_inner(api.sandbox.another_process(9)).unwrap();
    let ids = archived(&api, &archiving.with_archive(Some(objects))).await;
    let get = async |path: String| -> Reply { api.get("7", path).await };
    let old = get(format!("/api/v2/wallets/7/transactions/{}", ids[0])).await;
    assert_eq!(old.status, 503);
    assert_eq!(get("/api/v2/wallets/7/transactions?limit=100".to_owned()).await.status, 503);
    // What is in the table is answered.
    get(format!("/api/v2/wallets/7/transactions/{}", ids[11])).await.expect(200);
    get("/api/v2/wallets/7/transactions?limit=3".to_owned()).await.expect(200);
    get("/api/v2/wallets/7".to_owned()).await.expect(200);
}
