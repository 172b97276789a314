//! Cursors page through everything exactly once.

use std::collections::BTreeSet;
use std::time::Duration;

use largesse_tests::http::Api;
use rstest::rstest;
use serde_json::Value;

/// All pages of a list; fails when one but the last is not full.
async fn all(api: &Api, path: &str, rows: &str, limit: usize) -> Vec<Value> {
    let sign = if path.contains('?') { '&' } else { '?' };
    let mut found = Vec::new();
    let mut cursor = String::new();
    loop {
        let path = format!("{path}{sign}limit={limit}{cursor}");
        let page = api.get("ann", path).await.expect(200).body;
        let here = page[rows].as_array().unwrap();
        found.extend(here.iter().cloned());
        let Some(next) = page["next_cursor"].as_str() else { return found };
        assert_eq!(here.len(), limit, "a page with a next one is full");
        assert!(found.len() < 1_000, "pages without end");
        cursor = format!("&cursor={next}");
    }
}

fn texts(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}

#[rstest]
#[case(1)]
#[case(4)]
#[case(5)]
#[case(12)]
#[case(100)]
#[tokio::test(start_paused = true)]
async fn every_row_is_on_one_page_newest_first(#[case] limit: usize) {
    let api = Api::new(1);
    let room = api.room(&["ann", "bob"]).await;
    let (mut sprays, mut transactions) = (Vec::new(), Vec::new());
    for amount in 1..=6 {
        transactions.push(api.deposit("ann", amount).await.string("transaction_id"));
        tokio::time::advance(Duration::from_millis(1)).await;
        let spray = api.try_spray(&room, "ann", amount, 1).await.expect(201).string("spray_id");
        tokio::time::advance(Duration::from_millis(1)).await;
        // A spray's transaction carries its id.
        transactions.push(spray.clone());
        sprays.push(spray);
    }
    sprays.reverse();
    transactions.reverse();
    let found = all(&api, "/api/v2/sprays", "sprays", limit).await;
    assert_eq!(texts(&found, "spray_id"), sprays);
    let path = "/api/v2/wallets/ann/transactions";
    let found = all(&api, path, "transactions", limit).await;
    assert_eq!(texts(&found, "transaction_id"), transactions);
    let sequence: Vec<u64> = found.iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (1..=12).rev().collect::<Vec<u64>>());
    let only = all(&api, &format!("{path}?type=spray"), "transactions", limit).await;
    assert_eq!(texts(&only, "transaction_id"), sprays);
}

#[tokio::test]
async fn members_are_paged_in_the_order_of_their_names() {
    let api = Api::new(2);
    let mut names: Vec<String> = (0..45).map(|number| format!("m{number:02}")).collect();
    names.push("ann".to_owned());
    let mut members: Vec<&str> = vec!["ann"];
    members.extend(names.iter().map(String::as_str).filter(|name| *name != "ann"));
    let room = api.room(&members).await;
    names.sort();
    for limit in [1, 20, 23, 46, 100] {
        let found = all(&api, &format!("/api/v2/rooms/{room}"), "members", limit).await;
        assert_eq!(found, names, "{limit} at a time");
    }
}

/// What comes in while somebody pages does not shift what they see.
#[tokio::test(start_paused = true)]
async fn new_rows_do_not_disturb_a_reader() {
    let api = Api::new(3);
    for amount in 1..=4 {
        api.deposit("ann", amount).await;
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let path = "/api/v2/wallets/ann/transactions?limit=2";
    let first = api.get("ann", path).await.expect(200).body;
    api.deposit("ann", 99).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = api.get("ann", format!("{path}&cursor={cursor}")).await.expect(200).body;
    let amounts = |page: &Value| {
        let rows = page["transactions"].as_array().unwrap().iter();
        rows.map(|row| row["amount"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((amounts(&first), amounts(&second)), (vec![4, 3], vec![2, 1]));
    assert!(second["next_cursor"].is_null());
}

#[tokio::test(start_paused = true)]
async fn a_history_is_of_the_time_that_is_asked() {
    // The world begins at 2026-01-01T00:00:00Z.
    let api = Api::new(4);
    for amount in 1..=3 {
        api.deposit("ann", amount).await;
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    for (query, expected) in [
        ("", vec![3, 2, 1]),
        ("?from=2026-01-01T00:01:00Z", vec![3, 2]),
        ("?from=2026-01-01T00:01:00.001Z", vec![3]),
        ("?to=2026-01-01T00:01:00Z", vec![1]),
        ("?to=2026-01-01T00:01:00.001Z", vec![2, 1]),
        ("?from=2026-01-01T09:01:00%2B09:00&to=2026-01-01T00:02:00Z", vec![2]),
        ("?from=2026-01-01", vec![3, 2, 1]),
        ("?to=2026-01-01", vec![3, 2, 1]),
        ("?from=2026-01-02", vec![]),
        ("?to=2025-12-31", vec![]),
        ("?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", vec![]),
        ("?type=claim", vec![]),
    ] {
        let path = format!("/api/v2/wallets/ann/transactions{query}");
        let rows = api.get("ann", path).await.expect(200).body["transactions"].clone();
        let rows = rows.as_array().unwrap().iter();
        let amounts: Vec<u64> = rows.map(|row| row["amount"].as_u64().unwrap()).collect();
        assert_eq!(amounts, expected, "{query}");
    }
}

/// The wallet has 9,008 deposits and no claim: each request reads 1,000 of them.
#[tokio::test(start_paused = true)]
async fn a_filter_that_nothing_matches_ends_after_pages_of_a_thousand() {
    let api = Api::new(5);
    api.sandbox.fill_wallet("ann").await;
    let (mut pages, mut cursor) = (0, String::new());
    loop {
        let path = format!("/api/v2/wallets/ann/transactions?type=claim{cursor}");
        let page = api.get("ann", path).await.expect(200).body;
        assert_eq!(page["transactions"].as_array().map(Vec::len), Some(0));
        pages += 1;
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(pages, 10);
}

/// Deposits of one millisecond have ids in any order; what comes later is newer than all of them.
#[rstest]
#[case(1)]
#[case(3)]
#[case(7)]
#[tokio::test(start_paused = true)]
async fn forty_deposits_at_once_are_each_on_one_page_while_more_come_in(#[case] limit: usize) {
    let api = Api::new(6);
    let deposits = (1..=40).map(|amount| api.deposit("ann", amount));
    let expected: BTreeSet<String> = futures::future::join_all(deposits)
        .await
        .iter()
        .map(|reply| reply.string("transaction_id"))
        .collect();
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v2/wallets/ann/transactions?limit={limit}{cursor}");
        let page = api.get("ann", path).await.expect(200).body;
        found.extend(texts(page["transactions"].as_array().unwrap(), "transaction_id"));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
        tokio::time::advance(Duration::from_millis(1)).await;
        api.deposit("ann", 99).await;
    }
    assert_eq!(found.len(), 40);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), expected);
}
