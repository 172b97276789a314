//! The description of the API is what is stored, deployed and served. `UPDATE=1` writes
//! docs/openapi.json anew.

use std::collections::{BTreeMap, BTreeSet};

use largesse_edge::openapi;
use largesse_tests::http::Api;
use serde_json::Value;

/// The document in the repository.
const STORED: &str = include_str!("../../docs/openapi.json");
/// The operations that take no input.
const ABOUT: [&str; 4] = ["/", "/api/v2/health", "/api/openapi.json", "/docs"];

fn parts() -> Vec<utoipa::openapi::OpenApi> {
    vec![
        spray_create::api(),
        spray_claim::api(),
        drop_enter::api(),
        wallet::api(),
        admin::api(),
        campaign_control::api(),
        product_invest::api(),
        query::api(),
    ]
}

fn described() -> Value {
    serde_json::to_value(openapi::merge(parts())).unwrap()
}

/// Method and path of every operation.
fn operations() -> BTreeSet<(String, String)> {
    let described = described();
    let paths = described["paths"].as_object().unwrap().iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    });
    operations.collect()
}

#[test]
fn the_stored_description_is_up_to_date() {
    if std::env::var_os("UPDATE").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let text = serde_json::to_string_pretty(&openapi::merge(parts())).unwrap() + "\n";
        std::fs::write(path, text).unwrap();
    }
    // Compared as values: the order of the members is for readers.
    let stored: Value = serde_json::from_str(STORED).unwrap();
    assert!(stored == described(), "run this test with UPDATE=1, then again");
}

#[test]
fn no_two_functions_describe_different_schemas_under_one_name() {
    let mut known: BTreeMap<String, Value> = BTreeMap::new();
    for part in parts() {
        let part = serde_json::to_value(part).unwrap();
        for (name, schema) in part["components"]["schemas"].as_object().into_iter().flatten() {
            let first = known.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(first, schema, "{name}");
        }
    }
    assert!(known.len() > 20);
}

#[test]
fn every_operation_has_a_unique_name_a_summary_and_its_refusals() {
    let described = described();
    let mut names = BTreeSet::new();
    for (path, item) in described["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(names.insert(operation["operationId"].to_string()), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            let refusals = responses.keys().filter(|status| status.as_str() >= "400").count();
            assert!(refusals >= 3 || ABOUT.contains(&path.as_str()), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_deployed_route_is_described_and_every_described_one_is_deployed() {
    let api = Api::new(1);
    let functions = &api.sandbox.world.stack().functions;
    let mut deployed: BTreeSet<(String, String)> =
        functions.iter().flat_map(|function| function.routes.clone()).collect();
    deployed.retain(|(_, path)| path != "$default");
    assert!(deployed.len() > 20, "the template's routes: {deployed:?}");
    assert_eq!(operations(), deployed);
}

/// A request without headers and body is answered by its route: 404 and 405 come from the router.
#[tokio::test]
async fn every_described_route_is_served() {
    let api = Api::new(2);
    for (method, path) in operations() {
        let reply = api.ask(&method, &path).await;
        let expected = match path.as_str() {
            "/" => 307,
            path if ABOUT.contains(&path) => 200,
            path if path.starts_with("/api/v1/") => 422,
            // With AUTH=open no caller is known who may keep keys.
            path if path.starts_with("/api/v2/keys") => 403,
            _ => 400,
        };
        assert_eq!(reply.status, expected, "{method} {path}: {}", reply.text);
    }
    let served = api.ask("GET", "/api/openapi.json").await.expect(200);
    assert_eq!(served.text, STORED);
}
