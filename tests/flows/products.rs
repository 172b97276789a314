//! Products, from the caller's side: make, invest, list, sold out, paid out, refunded.

use std::time::Duration;

use largesse_app::product::invest::Invest;
use largesse_domain::id::InvestmentId;
use largesse_tests::http::{Api, Reply};
use largesse_tests::{amount, user};
use serde_json::{Value, json};

/// Makes a product by `ida` that opens in a second and closes in an hour; returns its id.
async fn product(api: &Api, terms: Value) -> String {
    let (opens, closes) = ("2026-01-01T00:00:01Z", "2026-01-01T01:00:00Z");
    let mut body = json!({ "title": "채권 1호", "opens_at": opens, "closes_at": closes });
    for (name, value) in terms.as_object().unwrap() {
        body[name] = value.clone();
    }
    let asked = api.post("ida", "/api/v2/products").key(api.new_key());
    asked.json(body).await.expect(201).string("product_id")
}

async fn open_product(api: &Api, terms: Value) -> String {
    let id = product(api, terms).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    id
}

async fn invest(api: &Api, user: &str, product: &str, amount: u64) -> Reply {
    invest_as(api, user, product, amount, &api.new_key()).await
}

async fn invest_as(api: &Api, user: &str, product: &str, amount: u64, key: &str) -> Reply {
    let path = format!("/api/v2/products/{product}/investments");
    api.post(user, path).key(key).json(json!({ "amount": amount })).await
}

async fn show(api: &Api, product: &str) -> Value {
    api.get("ann", format!("/api/v2/products/{product}")).await.expect(200).body
}

async fn list(api: &Api, query: &str) -> Reply {
    api.get("ann", format!("/api/v2/products{query}")).await.expect(200)
}

async fn mine(api: &Api, user: &str) -> Vec<Value> {
    let page = api.get(user, "/api/v2/investments").await.expect(200);
    page.body["investments"].as_array().unwrap().clone()
}

/// Rows P3, P5: what remains is taken to the last won, and no more.
#[tokio::test(start_paused = true)]
async fn a_product_is_invested_in_until_it_is_sold_out_and_then_paid_out() {
    let api = Api::new(1);
    for user in ["ann", "bob"] {
        api.deposit(user, 1_000).await;
    }
    let id = open_product(&api, json!({ "target": 1_000, "min_raise": 500 })).await;
    let first = invest(&api, "ann", &id, 10).await.expect(201);
    assert_eq!((first.number("amount"), first.number("remaining")), (10, 990));
    let above = invest(&api, "bob", &id, 991).await;
    assert_eq!((above.verdict(), above.number("remaining")), ((409, "ERR401"), 990));
    assert_eq!(invest(&api, "bob", &id, 990).await.expect(201).number("remaining"), 0);
    assert_eq!(invest(&api, "ann", &id, 1).await.verdict(), (410, "ERR402"));
    assert_eq!((api.balance("ann").await, api.balance("bob").await), (990, 10));
    let sold_out = show(&api, &id).await;
    assert_eq!((&sold_out["state"], &sold_out["investors"]), (&json!("sold_out"), &json!(2)));
    assert_eq!(list(&api, "").await.body, json!({ "products": [] }));
    api.settle().await;
    let events = api.sandbox.world.bus().events();
    assert_eq!(events.len(), 1, "sold out is published once");
    api.refund_due().await;
    assert_eq!(api.balance("ida").await, 1_000);
    let paid = show(&api, &id).await;
    assert_eq!((&paid["state"], &paid["raised"]), (&json!("paid_out"), &json!(1_000)));
    assert_eq!(invest(&api, "ann", &id, 1).await.verdict(), (410, "ERR402"));
    api.refund_due().await;
    assert_eq!((api.balance("ida").await, api.sandbox.world.bus().put_count()), (1_000, 1));
}

#[tokio::test(start_paused = true)]
async fn a_product_that_misses_its_minimum_is_refunded_investment_by_investment() {
    let api = Api::new(2);
    for user in ["ann", "bob"] {
        api.deposit(user, 1_000).await;
    }
    let id = open_product(&api, json!({ "target": 1_000, "min_raise": 500 })).await;
    for (user, amount) in [("ann", 100), ("bob", 200), ("ann", 199)] {
        invest(&api, user, &id, amount).await.expect(201);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    tokio::time::advance(Duration::from_secs(3_599)).await;
    assert_eq!(invest(&api, "ann", &id, 1).await.verdict(), (410, "ERR404"));
    assert_eq!(show(&api, &id).await["state"], "closed");
    api.refund_due().await;
    api.refund_due().await;
    assert_eq!((api.balance("ann").await, api.balance("bob").await), (1_000, 1_000));
    assert_eq!(api.balance("ida").await, 0);
    let refunded = show(&api, &id).await;
    assert_eq!((&refunded["state"], &refunded["raised"]), (&json!("refunded"), &json!(499)));
    let listed = mine(&api, "ann").await;
    let statuses: Vec<_> = listed.iter().map(|one| (&one["status"], &one["amount"])).collect();
    let refunded = json!("refunded");
    assert_eq!(statuses, [(&refunded, &json!(199)), (&refunded, &json!(100))]);
    assert_eq!(api.sandbox.world.bus().put_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn refusals_say_what_would_be_right() {
    let api = Api::new(3);
    api.deposit("ann", 100).await;
    let limits = json!({ "target": 1_000, "min_investment": 10, "max_per_investor": 90 });
    let id = product(&api, limits).await;
    let early = invest(&api, "ann", &id, 10).await;
    assert_eq!(early.verdict(), (409, "ERR403"));
    assert_eq!(early.string("opens_at"), "2026-01-01T00:00:01.000Z");
    tokio::time::advance(Duration::from_secs(1)).await;
    let little = invest(&api, "ann", &id, 9).await;
    assert_eq!((little.verdict(), little.number("min_investment")), ((409, "ERR405"), 10));
    invest(&api, "ann", &id, 50).await.expect(201);
    let much = invest(&api, "ann", &id, 41).await;
    assert_eq!((much.verdict(), much.number("invested")), ((409, "ERR405"), 50));
    assert_eq!(much.number("max_per_investor"), 90);
    let poor = invest(&api, "bob", &id, 10).await;
    assert_eq!((poor.verdict(), poor.number("balance")), ((409, "ERR501"), 0));
    // What the product refuses comes first.
    assert_eq!(invest(&api, "bob", &id, 951).await.verdict(), (409, "ERR401"));
    let nowhere = "01K9Z3NDEKTSV4RRFFQ69G5FAV";
    assert_eq!(invest(&api, "ann", nowhere, 10).await.verdict(), (404, "ERR005"));
    assert_eq!(invest(&api, "ann", "x", 10).await.verdict(), (404, "ERR005"));
    let path = format!("/api/v2/products/{id}/investments");
    let no_key = api.post("ann", path).json(json!({ "amount": 10 })).await;
    assert_eq!(no_key.verdict(), (400, "ERR001"));
    for amount in [json!(0), json!(1_000_000_000_001_u64), json!("10"), json!(-1)] {
        let path = format!("/api/v2/products/{id}/investments");
        let refused = api.post("ann", path).key(api.new_key()).json(json!({ "amount": amount }));
        assert_eq!(refused.await.verdict(), (400, "ERR001"), "{amount}");
    }
    assert_eq!(show(&api, &id).await["remaining"], 950);
}

/// Row P8.
#[tokio::test(start_paused = true)]
async fn an_investment_that_is_repeated_is_one_and_each_other_is_listed_by_itself() {
    let api = Api::new(4);
    api.deposit("ann", 1_000).await;
    let id = open_product(&api, json!({ "target": 1_000 })).await;
    let first = invest_as(&api, "ann", &id, 100, "k").await.expect(201);
    for _ in 0..2 {
        let again = invest_as(&api, "ann", &id, 100, "k").await.expect(201);
        assert_eq!((again.body, again.text), (first.body.clone(), first.text.clone()));
    }
    assert_eq!(invest_as(&api, "ann", &id, 101, "k").await.verdict(), (422, "ERR006"));
    tokio::time::advance(Duration::from_millis(1)).await;
    let second = invest(&api, "ann", &id, 100).await.expect(201);
    let listed = mine(&api, "ann").await;
    let expected = |reply: &Reply, at: &str| {
        json!({
            "investment_id": reply.string("investment_id"), "product_id": id, "amount": 100,
            "title": "채권 1호", "target": 1_000, "invested_at": at, "status": "invested",
        })
    };
    let at = ["2026-01-01T00:00:01.001Z", "2026-01-01T00:00:01.000Z"];
    assert_eq!(listed, [expected(&second, at[0]), expected(&first, at[1])]);
    assert!(mine(&api, "bob").await.is_empty());
    assert_eq!(api.balance("ann").await, 800);
    assert_eq!(show(&api, &id).await["investors"], 1);
}

#[tokio::test(start_paused = true)]
async fn pages_of_investments_follow_each_other() {
    let api = Api::new(5);
    api.deposit("ann", 1_000).await;
    let id = open_product(&api, json!({ "target": 1_000 })).await;
    for amount in 1..=5 {
        invest(&api, "ann", &id, amount).await.expect(201);
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let (mut amounts, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = api.get("ann", format!("/api/v2/investments?limit=2{cursor}")).await.expect(200);
        let rows = page.body["investments"].as_array().unwrap();
        amounts.extend(rows.iter().map(|row| row["amount"].as_u64().unwrap()));
        pages += 1;
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        let other = api.get("bob", format!("/api/v2/investments?cursor={next}")).await;
        assert_eq!(other.verdict(), (400, "ERR001"), "a cursor is its caller's");
        cursor = format!("&cursor={next}");
    }
    assert_eq!((amounts, pages), (vec![5, 4, 3, 2, 1], 3));
}

#[tokio::test(start_paused = true)]
async fn what_recruits_is_listed_by_its_closing_in_pages_and_nothing_else_is() {
    let api = Api::new(6);
    api.deposit("ann", 1_000).await;
    let closing = |minute: u32| {
        json!({
            "target": 100, "closes_at": format!("2026-01-01T00:{minute:02}:00Z"),
        })
    };
    let mut ids = Vec::new();
    for minute in [50, 10, 30, 20, 40] {
        ids.push(product(&api, closing(minute)).await);
    }
    let late = json!({ "target": 100, "opens_at": "2026-01-01T00:30:00Z" });
    let upcoming = product(&api, late).await;
    tokio::time::advance(Duration::from_secs(2)).await;
    // One is sold out, and one is over.
    invest(&api, "ann", &ids[3], 100).await.expect(201);
    tokio::time::advance(Duration::from_secs(600)).await;
    let (mut listed, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = list(&api, &format!("?limit=1{cursor}")).await;
        let rows = page.body["products"].as_array().unwrap();
        listed.extend(rows.iter().map(|row| row["product_id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(next) = page.body["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(listed, [ids[2].clone(), ids[4].clone(), ids[0].clone()]);
    assert!(pages <= 4, "{pages} pages");
    assert_eq!(show(&api, &upcoming).await["state"], "upcoming");
    let row = list(&api, "?limit=1").await.body["products"][0].clone();
    let expected = json!({
        "product_id": ids[2], "title": "채권 1호", "target": 100, "raised": 0, "remaining": 100,
        "investors": 0, "opens_at": "2026-01-01T00:00:01.000Z",
        "closes_at": "2026-01-01T00:30:00.000Z", "state": "recruiting",
    });
    assert_eq!(row, expected);
}

#[tokio::test(start_paused = true)]
async fn figures_are_at_most_a_second_old_whichever_process_changed_them() {
    let api = Api::new(7);
    api.deposit("ann", 1_000).await;
    let id = open_product(&api, json!({ "target": 1_000 })).await;
    assert_eq!(show(&api, &id).await["remaining"], 1_000);
    // An own investment shows at once.
    invest(&api, "ann", &id, 1).await.expect(201);
    assert_eq!(show(&api, &id).await["remaining"], 999);
    // One of another process shows within a second.
    let other = api.sandbox.another_process(71);
    let request = Invest {
        id: InvestmentId(api.sandbox.id()),
        product: id.parse().unwrap(),
        investor: user("ann"),
        amount: amount(2),
    };
    largesse_app::product::invest::invest(&*other, request).await.unwrap();
    tokio::time::advance(Duration::from_millis(1_000)).await;
    let shown = show(&api, &id).await;
    assert_eq!((&shown["remaining"], &shown["raised"]), (&json!(997), &json!(3)));
}

/// `.ci/run` holds the example against its schema.
#[tokio::test(start_paused = true)]
async fn a_product_that_is_sold_out_is_published_as_its_example_says() {
    let api = Api::new(8);
    api.deposit("ann", 1_000).await;
    let id = open_product(&api, json!({ "target": 1_000 })).await;
    invest(&api, "ann", &id, 1_000).await.expect(201);
    api.settle().await;
    let published = api.sandbox.world.bus().events().remove(0).envelope();
    assert_eq!(published["detail"]["product_id"], id.as_str());
    let example =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../events/schemas/examples/product.sold_out.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(example, serde_json::to_string_pretty(&published).unwrap() + "\n").unwrap();
    }
    let example: Value = serde_json::from_slice(&std::fs::read(example).unwrap()).unwrap();
    let mut expected = example.clone();
    for name in ["id", "time"] {
        expected[name] = published[name].clone();
    }
    expected["detail"]["product_id"] = json!(id);
    expected["detail"]["at_ms"] = published["detail"]["at_ms"].clone();
    assert_eq!(published, expected);
}

#[tokio::test(start_paused = true)]
async fn the_history_of_a_wallet_shows_investments_refunds_and_payouts() {
    let api = Api::new(9);
    api.deposit("ann", 1_000).await;
    let good = open_product(&api, json!({ "target": 100 })).await;
    let bad = product(&api, json!({ "target": 100, "min_raise": 100 })).await;
    invest(&api, "ann", &good, 100).await.expect(201);
    invest(&api, "ann", &bad, 10).await.expect(201);
    tokio::time::advance(Duration::from_secs(3_600)).await;
    api.refund_due().await;
    let row = |kind: &str, product: &str, counterpart: &str, amount| {
        (kind.to_owned(), product.to_owned(), counterpart.to_owned(), Some(amount))
    };
    let anns = history(&api, "ann").await;
    assert_eq!(anns[0], row("refund", &bad, "", 10));
    assert!(anns.contains(&row("investment", &bad, "ida", 10)), "{anns:?}");
    assert!(anns.contains(&row("investment", &good, "ida", 100)), "{anns:?}");
    assert_eq!(history(&api, "ida").await, [row("payout", &good, "", 100)]);
}

/// Type, product, counterpart and amount of each row, newest first.
async fn history(api: &Api, user: &str) -> Vec<(String, String, String, Option<u64>)> {
    let path = format!("/api/v2/wallets/{user}/transactions");
    let page = api.get(user, path).await.expect(200).body;
    let row = |row: &Value| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        (text("type"), text("product_id"), text("counterpart"), row["amount"].as_u64())
    };
    page["transactions"].as_array().unwrap().iter().map(row).collect()
}
