//! What a rollback would do, and could not.

use std::sync::Arc;

use axum::body::Body;
use http::Request;
use largesse_app::campaign::preview::{Shortfall, ShortfallUnknown, preview};
use largesse_app::campaign::standing::{self, RowCursor};
use largesse_edge::cursor::CursorKey;
use largesse_edge::{EdgeConfig, MoneyFacts, kernel};
use largesse_tests::http::{Api, Reply};
use serde_json::json;
use tower::ServiceExt;

use super::rows::{lose, pay_all, refuse};
use super::{act, ready, sealed};

/// A campaign that paid kim 10 and is stopped. Kim's wallet has nothing of it.
async fn stopped(api: &Api) -> String {
    let (id, hash) = ready(api).await;
    act(api, "ann", &id, "start").json(json!({ "content_hash": hash })).await.expect(202);
    refuse(api, &id, "lee", "closed").await;
    act(api, "ann", &id, "stop").json(json!({ "memo": "m" })).await.expect(202);
    id
}

#[tokio::test]
async fn a_rollback_tells_beforehand_what_it_would_do_and_does_nothing() {
    let api = Api::new(54);
    let (early, _) = ready(&api).await;
    let ask = |id: &str| {
        let body = json!({ "memo": "wrong month", "dry_run": true });
        act(&api, "ann", id, "rollback").json(body)
    };
    assert_eq!(ask(&early).await.verdict(), (409, "ERR201"));
    let id = stopped(&api).await;
    for (deposit, rows, missing) in [(0, 1, 10), (4, 1, 6), (6, 0, 0)] {
        if deposit > 0 {
            api.deposit("kim", deposit).await;
        }
        let before = api.dump();
        let shortfall =
            json!({ "rows": rows, "amount": rows * 10, "missing": missing, "sampled_rows": 1 });
        let expected = json!({ "rows": 1, "amount": 10, "shortfall": shortfall });
        assert_eq!(ask(&id).await.expect(200).body, expected);
        assert!(api.dump() == before, "it did something");
    }
    let body = json!({ "memo": "wrong month", "dry_run": false });
    let begun = act(&api, "ann", &id, "rollback").json(body).await.expect(202);
    assert_eq!(begun.body["state"], "ROLLING_BACK");
}

#[tokio::test]
async fn a_shortfall_is_exact_while_all_rows_are_read_and_scaled_up_beyond() {
    let api = Api::new(56);
    let rows: String = (0..250).map(|n| format!("m{n:03},10\n")).collect();
    let terms = json!({ "name": "n", "default_reason": "r" });
    let (id, hash) = sealed(&api, terms, &format!("member_id,amount\n{rows}")).await;
    act(&api, "ann", &id, "start").json(json!({ "content_hash": hash })).await.expect(202);
    pay_all(&api, &id).await;
    act(&api, "ann", &id, "stop").json(json!({ "memo": "m" })).await.expect(202);
    let told = async |max| {
        let told = preview(&*api.sandbox.store, id.parse().unwrap(), Some(max)).await.unwrap();
        assert_eq!((told.rows, told.amount), (250, 2_500));
        told.shortfall
    };
    // Every wallet is empty, so every sample scales to all rows.
    let all = Shortfall { rows: 250, amount: 2_500, missing: 2_500, sampled_rows: 250 };
    assert_eq!(told(100).await, Ok(Shortfall { sampled_rows: 100, ..all }));
    assert_eq!(told(250).await, Ok(all));
    assert_eq!(told(0).await, Err(ShortfallUnknown::NoneSampled));
    for n in 0..125 {
        api.sandbox.deposit(&format!("m{n:03}"), if n < 50 { 10 } else { 3 }).await;
    }
    let exact = Shortfall { rows: 200, amount: 2_000, missing: 1_775, sampled_rows: 250 };
    assert_eq!(told(10_000).await, Ok(exact));
}

/// Of three rows that are read, the wallet of one is empty.
#[tokio::test]
async fn a_shortfall_of_a_sample_is_scaled_by_rows_and_by_money_and_rounded_up() {
    let api = Api::new(58);
    let rows: String = (0..250).map(|n| format!("m{n:03},{}\n", 10 + n % 7)).collect();
    let total: u64 = (0..250).map(|n| 10 + n % 7).sum();
    let terms = json!({ "name": "n", "default_reason": "r" });
    let (id, hash) = sealed(&api, terms, &format!("member_id,amount\n{rows}")).await;
    act(&api, "ann", &id, "start").json(json!({ "content_hash": hash })).await.expect(202);
    pay_all(&api, &id).await;
    act(&api, "ann", &id, "stop").json(json!({ "memo": "m" })).await.expect(202);
    let (store, campaign) = (&*api.sandbox.store, id.parse().unwrap());
    let read = standing::rows(store, campaign, |_| true, RowCursor::default(), 3).await;
    let read = read.unwrap().unwrap().rows;
    let [short, held @ ..] = &read[..] else { panic!("no row") };
    for standing in held {
        api.deposit(standing.row.member.as_str(), 100).await;
    }
    let sample: u64 = read.iter().map(|standing| standing.row.amount.get()).sum();
    let amount = (short.row.amount.get() * total).div_ceil(sample);
    let told = preview(store, campaign, Some(3)).await.unwrap();
    let expected = Shortfall { rows: 84, amount, missing: amount, sampled_rows: 3 };
    assert_eq!(told.shortfall, Ok(expected));
}

#[tokio::test]
async fn a_rollback_may_take_back_rows_of_which_no_answer_is_known() {
    let api = Api::new(59);
    let terms = json!({ "name": "n", "default_reason": "r" });
    let (id, hash) = sealed(&api, terms, "member_id,amount\nkim,10\nlee,7\n").await;
    act(&api, "ann", &id, "start").json(json!({ "content_hash": hash })).await.expect(202);
    lose(&api, &id, "lee").await;
    act(&api, "ann", &id, "stop").json(json!({ "memo": "m" })).await.expect(202);
    let told = preview(&*api.sandbox.store, id.parse().unwrap(), Some(9)).await.unwrap();
    let short = Shortfall { rows: 2, amount: 17, missing: 17, sampled_rows: 2 };
    assert_eq!((told.rows, told.amount, told.shortfall), (2, 17, Ok(short)));
}

#[tokio::test]
async fn no_wallet_is_read_where_a_service_behind_http_keeps_them() {
    let api = Api::new(57);
    let id = stopped(&api).await;
    let store = api.sandbox.store.clone();
    let money = MoneyFacts { per_s: None, is_http: true };
    let edge = EdgeConfig { money, ..EdgeConfig::open(CursorKey::from_bytes([0; 32])) };
    let router = campaign_control::router(store.clone(), Arc::new(edge));
    let request = Request::post(format!("/api/v2/campaigns/{id}/rollback"))
        .header("x-user-id", "ann")
        .header("content-type", "application/json")
        .body(Body::from(r#"{"memo":"wrong month","dry_run":true}"#));
    let recorder = api.sandbox.world.recorder();
    recorder.reset();
    recorder.keep_calls(true);
    let answer = kernel::wrap(router, store).oneshot(request.unwrap()).await.unwrap();
    recorder.keep_calls(false);
    let expected = json!({
        "rows": 1, "amount": 10, "shortfall": null,
        "shortfall_unknown": "an HTTP money service keeps the wallets",
    });
    assert_eq!(Reply::read(answer).await.expect(200).body, expected);
    let calls = recorder.calls().into_iter().flat_map(|recorded| recorded.call.resources);
    assert!(!calls.collect::<Vec<_>>().contains(&"largesse-ledger".to_owned()));
}
