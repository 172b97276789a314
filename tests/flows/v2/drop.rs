//! A drop over HTTP: made, entered, paid, read, sold out, passed on, closed.

use std::time::Duration;

use largesse_domain::money::BALANCE_MAX;
use largesse_tests::http::{Api, Reply};
use rstest::rstest;
use serde_json::{Value, json};

use super::drops::{enter, entry, minute, read};

/// A drop of `amount` a slot, open from the first minute to the eleventh, paid for by ann.
fn terms(slots: u64, amount: u64, waiting: u64) -> Value {
    json!({
        "name": "Opening day", "slots": slots, "amount": amount, "waiting": waiting,
        "opens_at": minute(1), "closes_at": minute(11),
    })
}

async fn try_make(api: &Api, terms: &Value) -> Reply {
    api.post("ann", "/api/v2/drops").key(api.new_key()).json(terms.clone()).await
}

/// Makes a drop that opens now, and returns its id.
async fn opened(api: &Api, slots: u64, amount: u64, waiting: u64) -> String {
    api.deposit("ann", slots * amount).await;
    let made = try_make(api, &terms(slots, amount, waiting)).await.expect(201);
    assert_eq!(made.body.get("warnings"), None, "the table says nothing of its throughput");
    tokio::time::advance(Duration::from_secs(60)).await;
    made.string("drop_id")
}

async fn sweep(api: &Api) {
    tokio::time::advance(Duration::from_secs(61)).await;
    api.sandbox.world.run_schedule("pool-sweep/EveryMinute").await.unwrap();
    api.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_drop_is_entered_paid_counted_and_closed() {
    let api = Api::new(1);
    let drop = opened(&api, 3, 100, 1).await;
    assert_eq!(api.balance("ann").await, 0);
    let bob = enter(&api, &drop, "bob").await.expect(201);
    assert_eq!((bob.string("state").as_str(), bob.number("amount")), ("won", 100));
    let again = enter(&api, &drop, "bob").await;
    assert_eq!(again.verdict(), (409, "ERR301"));
    assert_eq!(again.number("slot"), bob.number("slot"));
    let eve = enter(&api, &drop, "eve").await.expect(201);
    assert_eq!((bob.number("slot"), eve.number("slot")), (1, 2));
    let won = |slot: u64, payment: &str| json!({"state": "won", "slot": slot, "payment": payment});
    assert_eq!(entry(&api, &drop, "bob").await, won(1, "pending"));
    api.settle().await;
    assert_eq!((api.balance("bob").await, api.balance("eve").await), (100, 100));
    assert_eq!(entry(&api, &drop, "bob").await, won(1, "paid"));
    let seen = read(&api, &drop).await;
    let figures = ["taken", "paid", "failed", "waiting"].map(|name| seen[name].as_u64().unwrap());
    assert_eq!((figures, &seen["state"]), ([2, 0, 0, 0], &json!("open")));
    assert_eq!(seen.get("counted_at"), None);
    sweep(&api).await;
    let seen = read(&api, &drop).await;
    assert_eq!((&seen["paid"], seen["counted_at"].is_string()), (&json!(2), true));
    tokio::time::advance(Duration::from_secs(600)).await;
    assert_eq!(enter(&api, &drop, "fay").await.verdict(), (410, "ERR304"));
    api.refund_due().await;
    api.refund_due().await;
    assert_eq!(api.balance("ann").await, 100);
    let seen = read(&api, &drop).await;
    assert_eq!((&seen["state"], &seen["refund"]["amount"]), (&json!("closed"), &json!(100)));
    let path = "/api/v2/wallets/ann/transactions?type=drop";
    let rows = api.get("ann", path).await.expect(200).body;
    assert_eq!(rows["transactions"][0]["drop_id"], json!(drop));
}

#[tokio::test(start_paused = true)]
async fn a_drop_that_is_sold_out_has_a_waiting_list_and_then_ends() {
    let api = Api::new(2);
    let drop = opened(&api, 2, 100, 2).await;
    for name in ["bob", "eve"] {
        enter(&api, &drop, name).await.expect(201);
    }
    for (position, name) in ["fay", "gus"].into_iter().enumerate() {
        let heard = enter(&api, &drop, name).await.expect(202).body;
        assert_eq!(heard, json!({ "state": "waiting", "position": position + 1 }));
        // Asked again, it is the same place.
        assert_eq!(enter(&api, &drop, name).await.expect(202).body, heard);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    for _ in 0..2 {
        assert_eq!(enter(&api, &drop, "hal").await.verdict(), (410, "ERR302"));
    }
    assert_eq!(enter(&api, &drop, "bob").await.verdict(), (409, "ERR301"));
    let seen = read(&api, &drop).await;
    assert_eq!((&seen["state"], &seen["waiting"]), (&json!("sold_out"), &json!(2)));
    assert_eq!(entry(&api, &drop, "gus").await, json!({ "state": "waiting", "position": 2 }));
    let path = format!("/api/v2/drops/{drop}/entries/hal");
    assert_eq!(api.get("hal", &path).await.verdict(), (404, "ERR005"));
    assert_eq!(api.get("bob", &path).await.verdict(), (403, "ERR004"));
    assert_eq!(api.get("ann", &path).await.verdict(), (404, "ERR005"));
    api.settle().await;
}

/// Row D4.
#[tokio::test(start_paused = true)]
async fn a_slot_whose_payment_fails_for_good_is_paid_to_the_next_without_another_entry() {
    let api = Api::new(3);
    let drop = opened(&api, 2, 100, 2).await;
    api.deposit("bob", 1).await;
    api.sandbox.overwrite_balance("bob", BALANCE_MAX).await;
    for name in ["bob", "eve"] {
        enter(&api, &drop, name).await.expect(201);
    }
    let lost = entry(&api, &drop, "bob").await["slot"].clone();
    for name in ["fay", "gus"] {
        enter(&api, &drop, name).await.expect(202);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    api.sandbox.world.settle_with_time().await.unwrap();
    api.sandbox.overwrite_balance("bob", 1).await;
    assert_eq!(api.balance("fay").await, 100);
    let fays = json!({ "state": "won", "slot": lost, "payment": "paid" });
    assert_eq!(entry(&api, &drop, "fay").await, fays);
    assert_eq!(entry(&api, &drop, "bob").await, json!({ "state": "lost", "payment": "failed" }));
    let again = enter(&api, &drop, "fay").await;
    assert_eq!((again.verdict(), again.body["slot"].clone()), ((409, "ERR301"), lost));
    assert_eq!(enter(&api, &drop, "gus").await.expect(202).number("position"), 1);
    sweep(&api).await;
    let seen = read(&api, &drop).await;
    let figures = ["taken", "paid", "failed", "waiting"].map(|name| seen[name].as_u64().unwrap());
    assert_eq!(figures, [2, 2, 1, 1]);
    assert!(api.sandbox.world.queue("largesse-grants-dlq.fifo").unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_enters_before_a_drop_opens_and_the_refusal_says_when_it_does() {
    let api = Api::new(4);
    api.deposit("ann", 100).await;
    let made = try_make(&api, &terms(1, 100, 0)).await.expect(201);
    let drop = made.string("drop_id");
    let early = enter(&api, &drop, "bob").await;
    assert_eq!((early.verdict(), early.header("retry-after")), ((409, "ERR303"), "60"));
    assert_eq!(early.body["opens_at"], json!(minute(1)));
    tokio::time::advance(Duration::from_secs(60)).await;
    enter(&api, &drop, "bob").await.expect(201);
    assert_eq!(enter(&api, &drop, "eve").await.verdict(), (410, "ERR302"), "there is no list");
    api.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_drop_is_made_once_under_its_key_and_not_without_the_money() {
    let api = Api::new(5);
    let poor = try_make(&api, &terms(2, 100, 0)).await;
    assert_eq!((poor.verdict(), poor.number("balance")), ((409, "ERR501"), 0));
    assert_eq!(api.get("bob", "/api/v2/drops").await.expect(200).body, json!({ "drops": [] }));
    api.deposit("ann", 500).await;
    let wish = || api.post("ann", "/api/v2/drops").key("once").json(terms(2, 100, 0));
    let first = wish().await.expect(201);
    let again = wish().await.expect(201);
    assert_eq!((&first.body, again.header("idempotency-replayed")), (&again.body, "true"));
    assert_eq!(api.balance("ann").await, 300);
    let listed = api.get("bob", "/api/v2/drops").await.expect(200).body;
    assert_eq!(listed["drops"].as_array().unwrap().len(), 1);
    assert_eq!(listed["drops"][0]["drop_id"], first.body["drop_id"]);
    assert_eq!(listed["drops"][0]["state"], "upcoming");
    let none = "/api/v2/drops/01ARZ3NDEKTSV4RRFFQ69G5FAV";
    assert_eq!(api.get("bob", none).await.verdict(), (404, "ERR005"));
    assert_eq!(api.post("bob", format!("{none}/entries")).await.verdict(), (404, "ERR005"));
}

#[rstest]
#[case("slots", json!(0))]
#[case("slots", json!(100_001))]
#[case("amount", json!(0))]
#[case("amount", json!(500_000_000_001_u64))]
#[case("name", json!(""))]
#[case("opens_at", json!("tomorrow"))]
#[case("closes_at", json!("2026-01-01T00:01:00.000Z"))]
#[case("waiting", json!(3))]
#[case("shuffle_s", json!(0))]
#[case("shuffle_s", json!(600))]
#[case("shuffle_s", json!(3_601))]
#[case("shuffle_s", json!(null))]
#[case("shuffle", json!(60))]
#[tokio::test]
async fn a_drop_outside_its_limits_is_refused_by_the_name_of_the_field(
    #[case] field: &str,
    #[case] value: Value,
) {
    let api = Api::new(6);
    let mut terms = terms(2, 100, 0);
    terms[field] = value;
    let refused = try_make(&api, &terms).await;
    assert_eq!(refused.verdict(), (400, "ERR001"));
    assert!(refused.text.contains(field), "{}", refused.text);
}
