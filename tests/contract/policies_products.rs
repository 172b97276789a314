//! As `policies`, of what functions do with products.

use std::time::Duration;

use largesse_app::ports::Products;
use largesse_app::product::invest::{Invest, invest};
use largesse_domain::id::InvestmentId;
use largesse_domain::product::Limits;
use largesse_tests::http::Api;
use largesse_tests::{Sandbox, amount, user};
use serde_json::json;

use crate::permissions::{assert_least, calls_of, with_auth};
use crate::product::scene::{OPEN_MS, invested as put_in, limits, made_of};
use crate::scene::fill;

/// Makes a product over the API; returns its id.
pub(crate) async fn made(api: &Api, target: u64) -> String {
    let (opens, closes) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let asked = api.post("ida", "/api/v2/products").key(api.new_key());
    let terms = json!({ "title": "a", "target": target, "opens_at": opens, "closes_at": closes });
    asked.json(terms).await.expect(201).string("product_id")
}

async fn ask(api: &Api, product: &str, minor: u64, key: &str) -> u16 {
    let path = format!("/api/v2/products/{product}/investments");
    api.post("ann", path).key(key).json(json!({ "amount": minor })).await.status
}

/// A product in which ann has invested.
pub(crate) async fn invested(api: &Api) -> String {
    let id = made(api, 100).await;
    api.deposit("ann", 100).await;
    assert_eq!(ask(api, &id, 10, "k").await, 201);
    id
}

/// Reads all about products.
pub(crate) async fn read(api: &Api, product: &str) {
    for path in ["/api/v2/products".to_owned(), format!("/api/v2/products/{product}")] {
        api.get("ann", path).await.expect(200);
    }
    let mine = api.get("ann", "/api/v2/investments").await.expect(200);
    assert_eq!(mine.body["investments"].as_array().unwrap().len(), 1);
}

/// Products that are due: one pays out, one is refunded, and one refunds to a wallet that is full.
/// Gives what that wallet held.
pub(crate) async fn due(sandbox: &Sandbox) -> u64 {
    let missed = Limits { min_raise: Some(100), ..limits(100) };
    let shards = 2;
    for who in ["ida", "full", "i"] {
        sandbox.deposit(who, 200).await;
    }
    for terms in [limits(100), missed, missed] {
        let product = made_of(sandbox, terms, shards).await;
        put_in(sandbox, &product, "ida", 10).await;
        put_in(sandbox, &product, "full", 10).await;
    }
    tokio::time::advance(Duration::from_millis(OPEN_MS)).await;
    // Open, and sold out without a mark.
    let sold_out = made_of(sandbox, limits(10), shards).await;
    put_in(sandbox, &sold_out, "ida", 10).await;
    fill(sandbox, "full").await
}

/// A product that is marked as sold out.
pub(crate) async fn sold_out(sandbox: &Sandbox) {
    sandbox.deposit("ida", 10).await;
    let product = made_of(sandbox, limits(10), 1).await;
    let id = InvestmentId(sandbox.id());
    let request = Invest { id, product: product.id, investor: user("ida"), amount: amount(10) };
    invest(&*sandbox.store, request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn product_invest_may_do_what_it_does() {
    let api = Api::new(31);
    let id = invested(&api).await;
    let process = api.sandbox.another_process(5);
    let product = id.parse().unwrap();
    let request = Invest {
        id: InvestmentId(api.sandbox.id()),
        product,
        investor: user("ann"),
        amount: amount(80),
    };
    let calls = calls_of(&api.sandbox.world, async {
        // The product is not known to the process, and its own repeat is refused at first.
        for _ in 0..2 {
            invest(&*process, request.clone()).await.unwrap();
        }
        assert_eq!(ask(&api, &id, 11, "a").await, 409);
        assert_eq!(ask(&api, &id, 10, "b").await, 201);
        assert_eq!(ask(&api, &id, 1, "c").await, 410);
    });
    let calls = calls.await;
    assert!(api.sandbox.store.product(product).await.unwrap().unwrap().sold_out.is_some());
    assert_least("product-invest", &with_auth(calls).await);
}
