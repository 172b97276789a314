//! Daily figures over HTTP: days of a time zone, as the daily proof has counted them.

use std::time::Duration;

use largesse_domain::money::BALANCE_MAX;
use largesse_tests::http::{Api, Reply};
use rstest::rstest;
use serde_json::json;

/// A deposit of each amount at each of these hours after 2026-01-01T00:00Z, and a pass at the end.
async fn deposited(hours: &[(u64, u64)]) -> Api {
    let api = Api::new(71);
    let mut now = 0;
    for (hour, amount) in hours {
        tokio::time::advance(Duration::from_secs((hour - now) * 3_600)).await;
        now = *hour;
        api.deposit("ann", *amount).await;
    }
    // The pass of a day begins at 19:00 UTC or later.
    tokio::time::advance(Duration::from_secs(60)).await;
    api.sandbox.world.run_schedule("reconcile/EveryQuarter").await.unwrap();
    api
}

async fn stats(api: &Api, query: &str) -> Reply {
    api.get("ann", format!("/api/v2/stats?{query}")).await
}

fn made(reply: &Reply) -> Vec<(String, u64)> {
    let days = reply.body["days"].as_array().unwrap().iter();
    let day = |day: &serde_json::Value| {
        (day["date"].as_str().unwrap().to_owned(), day["wallet"]["made_amount"].as_u64().unwrap())
    };
    days.map(day).collect()
}

#[tokio::test(start_paused = true)]
async fn a_day_begins_and_ends_at_midnight_of_its_zone() {
    // 14:00Z is 23:00 in Seoul; 15:00Z is midnight there; 24:00Z is midnight in UTC.
    let api = deposited(&[(14, 1), (15, 20), (23, 300), (24, 4_000)]).await;
    let query = "from=2026-01-01&to=2026-01-02";
    let day = |date: &str, amount: u64| (date.to_owned(), amount);
    let utc = stats(&api, query).await.expect(200);
    assert_eq!(made(&utc), [day("2026-01-01", 321), day("2026-01-02", 4_000)]);
    let seoul = stats(&api, &format!("{query}&zone=Asia/Seoul")).await.expect(200);
    assert_eq!(made(&seoul), [day("2026-01-01", 1), day("2026-01-02", 4_320)]);
    assert_eq!(seoul.body["zone"], "Asia/Seoul");
    assert_eq!(seoul.body["days"][0]["from"], "2025-12-31T15:00:00.000Z");
    assert_eq!(seoul.body["days"][0]["to"], seoul.body["days"][1]["from"]);
    assert_eq!(seoul.body["complete_until"], "2026-01-02T00:01:00.000Z");
    let york = stats(&api, &format!("{query}&zone=America/New_York")).await.expect(200);
    assert_eq!(made(&york), [day("2026-01-01", 4_321), day("2026-01-02", 0)]);
}

#[tokio::test(start_paused = true)]
async fn how_long_payments_took_is_told_in_powers_of_two() {
    let api = Api::new(75);
    let room = api.room(&["ann", "bob", "eve"]).await;
    let token = api.spray(&room, "ann", 30, 3).await;
    api.claim(&room, "bob", &token).await.expect(201);
    api.settle().await;
    // The next one is paid three seconds after its claim.
    api.sandbox.world.set_stream_enabled("OutboxFunction", false).unwrap();
    api.claim(&room, "eve", &token).await.expect(201);
    tokio::time::advance(Duration::from_secs(3)).await;
    api.sandbox.world.set_stream_enabled("OutboxFunction", true).unwrap();
    api.settle().await;
    tokio::time::advance(Duration::from_secs(20 * 3_600)).await;
    api.sandbox.world.run_schedule("reconcile/EveryQuarter").await.unwrap();
    let day =
        stats(&api, "from=2026-01-01&to=2026-01-01").await.expect(200).body["days"][0].clone();
    let latency = &day["spray"]["latency"];
    assert_eq!((&day["spray"]["paid"], &latency["count"]), (&json!(2), &json!(2)));
    assert!(latency["p50_ms"].as_u64().unwrap() < 1_000, "{latency}");
    assert_eq!(latency["p99_ms"], 4_095);
    // Deposits have none.
    assert_eq!((&day["wallet"]["latency"], &day["drop"]["latency"]), (&json!(null), &json!(null)));
}

/// A campaign of ann that pays kim and lee, from its file to the end of its run.
async fn paid_campaign(api: &Api) -> String {
    let terms = json!({ "name": "n", "default_reason": "r" });
    let made = api.post("ann", "/api/v2/campaigns").key(api.new_key()).json(terms).await;
    let path = format!("/api/v2/campaigns/{}", made.expect(201).string("campaign_id"));
    let part = api.ask("PUT", format!("{path}/parts/1")).user("ann");
    let part = part.header("content-type", "text/csv").raw("member_id,amount\nkim,10\nlee,20\n");
    part.await.expect(200);
    api.post("ann", format!("{path}/seal")).await.expect(202);
    run_on(api).await;
    let view = api.get("ann", path.clone()).await.expect(200);
    let hash = json!({ "content_hash": view.body["sealed"]["content_hash"] });
    api.post("ann", format!("{path}/start")).json(hash).await.expect(202);
    run_on(api).await;
    assert_eq!(api.get("ann", path.clone()).await.string("state"), "COMPLETED");
    path
}

/// Runs all functions for five minutes: a row that was refused is tried again.
async fn run_on(api: &Api) {
    for _ in 0..5 {
        api.settle().await;
        tokio::time::advance(Duration::from_secs(60)).await;
    }
    api.settle().await;
}

/// The figures of campaigns on the first two days, after a pass that is due.
async fn campaigns(api: &Api, zone: &str) -> [serde_json::Value; 2] {
    api.sandbox.world.run_schedule("reconcile/EveryQuarter").await.unwrap();
    let query = format!("from=2026-01-01&to=2026-01-02&zone={zone}");
    let days = stats(api, &query).await.expect(200).body["days"].clone();
    [days[0]["campaign"].clone(), days[1]["campaign"].clone()]
}

#[tokio::test(start_paused = true)]
async fn a_campaign_stands_on_the_day_it_was_made_with_what_it_paid_and_failed_to_pay() {
    let api = Api::new(76);
    // The wallet of kim is full.
    api.deposit("kim", 5).await;
    api.sandbox.overwrite_balance("kim", BALANCE_MAX).await;
    tokio::time::advance(Duration::from_secs(16 * 3_600)).await;
    let path = paid_campaign(&api).await;
    api.sandbox.overwrite_balance("kim", 5).await;
    // The pass of today began before.
    tokio::time::advance(Duration::from_secs(28 * 3_600)).await;
    let told = |day: &serde_json::Value| {
        ["made", "made_amount", "paid", "paid_amount", "failed", "success_bp"]
            .map(|name| day[name].as_u64())
    };
    let of = |figures: [u64; 6]| figures.map(Some);
    let nothing = [Some(0), Some(0), Some(0), Some(0), Some(0), None];
    let utc = campaigns(&api, "UTC").await;
    assert_eq!([told(&utc[0]), told(&utc[1])], [of([1, 30, 1, 20, 1, 5_000]), nothing]);
    // One run is known, and it took some time.
    assert_eq!(utc[0]["latency"]["count"], 1);
    assert!(utc[0]["latency"]["p99_ms"].as_u64().unwrap() > 0);
    let seoul = campaigns(&api, "Asia/Seoul").await;
    assert_eq!(told(&seoul[1]), told(&utc[0]), "16:00Z is past midnight in Seoul");
    // There is room again, so a retry pays kim: nothing has failed any more.
    api.post("ann", format!("{path}/retry")).key(api.new_key()).await.expect(202);
    run_on(&api).await;
    tokio::time::advance(Duration::from_secs(86_400)).await;
    let utc = campaigns(&api, "UTC").await;
    assert_eq!(told(&utc[0]), of([1, 30, 2, 30, 0, 10_000]));
}

#[tokio::test(start_paused = true)]
async fn before_the_first_proof_figures_are_empty_and_say_so() {
    let api = Api::new(72);
    api.deposit("ann", 5).await;
    let reply = stats(&api, "from=2026-01-01&to=2026-01-01").await.expect(200);
    assert_eq!(reply.body["complete_until"], json!(null));
    assert_eq!(made(&reply), [("2026-01-01".to_owned(), 0)]);
}

#[rstest]
#[case("", "from", "required")]
#[case("from=2026-01-01", "to", "required")]
#[case("from=2026-1-1&to=2026-01-02", "from", "malformed")]
#[case("from=2026-01-01T00:00:00Z&to=2026-01-02", "from", "malformed")]
#[case("from=2026-01-02&to=2026-01-01", "to", "out_of_range")]
#[case("from=2026-01-01&to=2027-01-02", "to", "out_of_range")]
#[case("from=2026-01-01&to=2026-01-02&zone=Seoul", "zone", "malformed")]
#[case("from=2026-01-01&to=2026-01-02&zone=", "zone", "malformed")]
#[case("from=2026-01-01&to=2026-01-02&day=1", "day", "unknown")]
#[tokio::test(start_paused = true)]
async fn a_wrong_parameter_is_named(#[case] query: &str, #[case] name: &str, #[case] code: &str) {
    let api = Api::new(73);
    let reply = stats(&api, query).await.expect(400);
    let error = &reply.body["errors"][0];
    assert!(reply.text.contains(&format!("\"{name}\"")), "{}", reply.text);
    assert!(reply.text.contains(code), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_year_of_366_days_is_one_request() {
    let api = Api::new(74);
    let reply = stats(&api, "from=2028-01-01&to=2028-12-31&zone=Asia/Kathmandu").await.expect(200);
    assert_eq!(reply.body["days"].as_array().unwrap().len(), 366);
}
