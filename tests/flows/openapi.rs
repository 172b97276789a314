//! What is described is what is deployed, and what is served.

use std::collections::BTreeSet;

use largesse_tests::http::Api;
use serde_json::Value;

/// The description that is kept in the repository.
const DESCRIBED: &str = include_str!("../../docs/openapi.json");
/// These two describe; they are not described.
const ABOUT: [(&str, &str); 2] = [("GET", "/docs"), ("GET", "/api/openapi.json")];

fn described() -> BTreeSet<(String, String)> {
    let description: Value = serde_json::from_str(DESCRIBED).unwrap();
    let paths = description["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    });
    operations.collect()
}

#[tokio::test]
async fn every_deployed_route_is_described_and_every_described_one_is_deployed() {
    let api = Api::new(1);
    let functions = &api.sandbox.world.stack().functions;
    let mut deployed: BTreeSet<(String, String)> =
        functions.iter().flat_map(|function| function.routes.clone()).collect();
    deployed.retain(|(_, path)| path != "$default");
    for (method, path) in ABOUT {
        assert!(deployed.remove(&(method.to_owned(), path.to_owned())), "{path} is deployed");
    }
    assert!(deployed.len() > 20, "the template's routes: {deployed:?}");
    assert_eq!(described(), deployed);
}

/// Nothing but the route itself answers a caller who says nothing at all: 404 and 405 are the
/// router's.
#[tokio::test]
async fn every_described_route_is_served() {
    let api = Api::new(2);
    for (method, path) in described() {
        let reply = api.ask(&method, &path).await;
        let expected = match path.as_str() {
            "/api/v2/health" => 200,
            path if path.starts_with("/api/v1/") => 422,
            _ => 400,
        };
        assert_eq!(reply.status, expected, "{method} {path}: {}", reply.text);
    }
    let served = api.ask("GET", "/api/openapi.json").await.expect(200);
    assert_eq!(served.text, DESCRIBED);
    let page = api.ask("GET", "/docs").await.expect(200);
    assert!(page.header("content-type").starts_with("text/html"));
}
