//! Campaigns over HTTP: what each route does, when it refuses, and in which order.

mod files;
mod life;
mod paid;
mod parts;
mod preview;
mod refusals;
mod retry;
mod rows;

use largesse_tests::http::{Api, Ask, Reply};
use serde_json::json;

/// A file of members that are paid 10 each, of which the campaign knows the reason.
const ROWS: &str = "member_id,amount\nkim,10\nlee,10\n";

/// A campaign made by ann.
async fn made(api: &Api, terms: serde_json::Value) -> String {
    let ask = api.post("ann", "/api/v2/campaigns").key(api.new_key()).json(terms);
    ask.await.expect(201).string("campaign_id")
}

async fn simple(api: &Api) -> String {
    made(api, json!({ "name": "October", "default_reason": "attendance" })).await
}

fn put(api: &Api, id: &str, number: &str, body: &str) -> Ask {
    let ask = api.ask("PUT", format!("/api/v2/campaigns/{id}/parts/{number}")).user("ann");
    ask.header("content-type", "text/csv").raw(body)
}

fn act(api: &Api, user: &str, id: &str, action: &str) -> Ask {
    api.post(user, format!("/api/v2/campaigns/{id}/{action}"))
}

async fn shown(api: &Api, id: &str) -> Reply {
    api.get("ann", format!("/api/v2/campaigns/{id}")).await.expect(200)
}

/// A campaign with these rows that is sealed, and its hash.
async fn sealed(api: &Api, terms: serde_json::Value, rows: &str) -> (String, String) {
    let id = made(api, terms).await;
    put(api, &id, "1", rows).await.expect(200);
    act(api, "ann", &id, "seal").await.expect(202);
    api.settle().await;
    let view = shown(api, &id).await;
    assert_eq!(view.body["state"], "WAITING", "{}", view.text);
    (id, view.body["sealed"]["content_hash"].as_str().unwrap().to_owned())
}

async fn ready(api: &Api) -> (String, String) {
    sealed(api, json!({ "name": "October", "default_reason": "attendance" }), ROWS).await
}
