//! v1's history: ranges, pages, types.

use std::collections::BTreeSet;
use std::time::Duration;

use largesse_app::ports::{Money, Payment};
use largesse_domain::campaign::{Generation, Row, RowKey};
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_tests::http::Reply;
use largesse_tests::user;
use rstest::rstest;
use serde_json::json;

use super::V1;

const DAY: Duration = Duration::from_secs(86_400);

fn types(reply: &Reply) -> Vec<&str> {
    let rows = reply.body["transactions"].as_array().unwrap();
    rows.iter().map(|row| row["transaction_type"].as_str().unwrap()).collect()
}

/// User 1 charges, sprays in two rooms, receives, and gets the unclaimed rest back.
async fn everything() -> V1 {
    let v1 = V1::new(1);
    let room = v1.room(&[1, 2]).await;
    let mine = v1.spray(1, &room, 10, 10).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    v1.receive(2, &room, &mine).await.expect(200);
    let theirs = v1.spray(2, &room, 7, 1).await;
    v1.receive(1, &room, &theirs).await.expect(200);
    v1.api.settle().await;
    tokio::time::advance(7 * DAY).await;
    v1.api.refund_due().await;
    v1
}

#[rstest]
#[case("", &["REFUND", "RECEIVE", "SPRAY", "CHARGE"])]
#[case("?type=CHARGE", &["CHARGE"])]
#[case("?type=SPRAY", &["SPRAY"])]
#[case("?type=RECEIVE", &["RECEIVE"])]
#[case("?type=REFUND", &["REFUND"])]
#[case("?type=REFUND&type=CHARGE", &["CHARGE"])]
#[tokio::test(start_paused = true)]
async fn a_history_is_of_the_type_that_is_asked(#[case] query: &str, #[case] expected: &[&str]) {
    let v1 = everything().await;
    for path in ["wallet", "transactions"] {
        let reply = v1.get(1, &format!("{path}{query}")).await.expect(200);
        assert_eq!(types(&reply), expected, "{path}");
        assert_eq!(reply.number("total_count"), expected.len() as u64, "{path}");
    }
}

/// What a campaign pays is received as a share is, with its reason for the description.
#[tokio::test(start_paused = true)]
async fn the_payment_of_a_campaign_is_received_and_has_no_spray() {
    let v1 = everything().await;
    let (campaign, member) = ("01K9Z3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(), user("1"));
    let key = RowKey { campaign, member: member.clone(), generation: Generation::FIRST };
    let (amount, reason) = (Amount::new(5).unwrap(), Memo::new("Bonus").unwrap());
    let grant = key.grant_of(&Row { member, amount, reason }, &user("9"));
    let paid = v1.api.sandbox.store.pay(std::slice::from_ref(&grant)).await;
    assert!(matches!(paid[..], [Payment::Paid]), "{paid:?}");
    let received = v1.get(1, "transactions?type=RECEIVE&start_date=2020-01-01").await.expect(200);
    assert_eq!(types(&received), ["RECEIVE", "RECEIVE"]);
    assert_eq!(received.number("total_count"), 2);
    let one = v1.get(1, &format!("transactions/{}", grant.id)).await.expect(200).body;
    assert_eq!((&one["description"], &one["amount"]), (&json!("Bonus"), &json!(5)));
    assert_eq!((&one["related_user_id"], &one["token"]), (&json!(9), &json!(null)));
    let path = format!("/api/v2/wallets/1/transactions/{}", grant.id);
    let one = v1.api.get("1", path).await.expect(200).body;
    assert_eq!((&one["type"], &one["memo"]), (&json!("campaign"), &json!("Bonus")));
    assert_eq!((&one["counterpart"], &one["spray_id"]), (&json!("9"), &json!(null)));
}

#[tokio::test(start_paused = true)]
async fn each_row_tells_the_balance_after_it_and_its_spray() {
    let v1 = everything().await;
    let list = v1.get(1, "transactions").await.expect(200);
    let rows = list.body["transactions"].as_array().unwrap();
    let told = |name: &str| rows.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(told("amount")[1..], [7, 10, 10]);
    let refund = rows[0]["amount"].as_u64().unwrap();
    assert!((1..10).contains(&refund), "what user 2 did not take: {refund}");
    assert_eq!(told("balance_after"), [7 + refund, 7, 0, 10]);
    assert_eq!(told("status"), ["COMPLETED"; 4]);
    assert_eq!(rows[0]["token"], rows[2]["token"], "the refund is of the spray");
    assert!(rows[3]["token"].is_null() && rows[3]["chat_room_id"].is_null());
    assert_eq!(v1.get(1, "wallet").await.number("balance"), 7 + refund);

    let one = |row: usize| {
        let id = rows[row]["id"].as_str().unwrap().to_owned();
        let v1 = &v1;
        async move { v1.get(1, &format!("transactions/{id}")).await.expect(200).body }
    };
    let spray = one(2).await;
    assert_eq!(spray["target_details"][0]["user_id"], 2);
    assert_eq!(spray["target_details"][0]["received_amount"], 10 - refund);
    assert!(spray["related_user_id"].is_null());
    let receive = one(1).await;
    assert_eq!((&receive["related_user_id"], &receive["target_details"]), (&2.into(), &().into()));
    let id = rows[0]["id"].as_str().unwrap();
    let other = v1.get(2, &format!("transactions/{id}")).await;
    assert_eq!(other.verdict(), (404, "ERR005"), "another's transaction is none");
}

#[tokio::test(start_paused = true)]
async fn thirty_days_are_shown_when_nobody_says() {
    // The world begins at 2026-01-01T00:00:00Z.
    let v1 = V1::new(2);
    v1.charge(1, 1).await.expect(200);
    tokio::time::advance(10 * DAY).await;
    v1.charge(1, 2).await.expect(200);
    tokio::time::advance(30 * DAY - Duration::from_secs(1)).await;
    v1.charge(1, 3).await.expect(200);
    for (query, expected) in [
        ("", 2),
        ("?end_date=2026-02-10", 1),
        ("?start_date=2026-01-01", 3),
        ("?start_date=2026-01-01&end_date=2026-01-01", 1),
        ("?start_date=2026-01-01T00:00:00&end_date=2026-01-11T00:00:00.001Z", 2),
        ("?start_date=2026-01-01T00:00:00&end_date=2026-01-10T23:59:59.999", 1),
        ("?start_date=2026-01-01T09:00:00%2B09:00&end_date=2026-01-01", 1),
        ("?end_date=2026-01-30", 2),
        ("?end_date=2026-01-31", 1),
        ("?start_date=2026-02-09T23:59:59.999Z", 0),
        ("?start_date=2026-02-01&end_date=2026-01-01", 0),
    ] {
        for path in ["wallet", "transactions"] {
            let reply = v1.get(1, &format!("{path}{query}")).await.expect(200);
            assert_eq!(reply.number("total_count"), expected, "{path}{query}");
            assert_eq!(types(&reply).len() as u64, expected, "{path}{query}");
        }
    }
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(v1.get(1, "wallet").await.number("total_count"), 1);
    assert_eq!(v1.get(1, "wallet").await.number("balance"), 6, "a balance knows no range");
}

#[tokio::test(start_paused = true)]
async fn pages_hold_every_row_once_and_count_them() {
    let v1 = V1::new(3);
    for amount in 1..=45 {
        v1.charge(1, amount).await.expect(200);
        tokio::time::advance(Duration::from_millis(5)).await;
    }
    for (per_page, pages) in [(20_u64, 3_u64), (1, 45), (45, 1), (44, 2), (100, 1)] {
        let mut amounts = Vec::new();
        for page in 1..=pages {
            let path = format!("transactions?page={page}&per_page={per_page}");
            let reply = v1.get(1, &path).await.expect(200);
            assert_eq!(reply.number("total_count"), 45);
            assert_eq!(reply.number("total_pages"), pages, "{path}");
            assert_eq!(reply.number("current_page"), page);
            let rows = reply.body["transactions"].as_array().unwrap();
            amounts.extend(rows.iter().map(|row| row["amount"].as_u64().unwrap()));
        }
        let expected: Vec<u64> = (1..=45).rev().collect();
        assert_eq!(amounts, expected, "newest first, each once");
        let beyond = format!("transactions?page={}&per_page={per_page}", pages + 1);
        let reply = v1.get(1, &beyond).await.expect(200);
        assert_eq!((types(&reply).len(), reply.number("total_count")), (0, 45));
        assert_eq!(reply.number("current_page"), pages + 1);
    }
    let default = v1.get(1, "wallet").await.expect(200);
    assert_eq!((types(&default).len(), default.number("total_pages")), (20, 3));
    let last = v1.get(1, "wallet?page=1000000000").await.expect(200);
    assert_eq!(types(&last).len(), 0);
    let ids: BTreeSet<String> = default.body["transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["id"].to_string())
        .collect();
    assert_eq!(ids.len(), 20);
}

/// Half past midnight in Seoul is the afternoon of the day before in UTC.
#[rstest]
#[case("start_date=2026-01-02", 0)]
#[case("start_date=2026-01-01", 1)]
#[case("start_date=2026-01-01&end_date=2026-01-01", 1)]
#[case("end_date=2026-01-02&start_date=2026-01-02", 0)]
#[case("start_date=2026-01-02T00:00:00%2B09:00", 1)]
#[case("start_date=2026-01-02T00:31:00%2B09:00", 0)]
#[case("end_date=2026-01-02T00:30:00%2B09:00", 0)]
#[case("end_date=2026-01-02T00:31:00%2B09:00", 1)]
#[tokio::test(start_paused = true)]
async fn a_day_is_one_of_utc_and_a_moment_may_say_its_offset(
    #[case] query: &str,
    #[case] receives: usize,
) {
    // The world begins at 2026-01-01T00:00:00Z.
    let v1 = V1::new(4);
    let room = v1.room(&[1, 2]).await;
    tokio::time::advance(Duration::from_secs(15 * 3_600 + 30 * 60)).await;
    let token = v1.spray(1, &room, 10, 1).await;
    v1.receive(2, &room, &token).await.expect(200);
    v1.api.settle().await;
    let reply = v1.get(2, &format!("transactions?{query}")).await.expect(200);
    assert_eq!(types(&reply).len(), receives, "{}", reply.text);
    assert_eq!(reply.number("total_count"), receives as u64);
}
