//! Daily figures over HTTP: days of a time zone, as the daily proof has counted them.

use std::time::Duration;

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
    // Deposits and campaigns have none.
    assert_eq!((&day["wallet"]["latency"], &day["drop"]["latency"]), (&json!(null), &json!(null)));
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
