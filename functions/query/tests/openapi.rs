//! The API's description is what is routed, what is deployed, and what is stored.
//! `UPDATE=1` writes docs/openapi.json anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use largesse_edge::testing::{Untouched, send, settings};
use largesse_edge::{kernel, openapi};
use serde_json::Value;

fn parts() -> Vec<utoipa::openapi::OpenApi> {
    vec![spray_create::api(), spray_claim::api(), wallet::api(), admin::api(), query::api()]
}

fn document() -> utoipa::openapi::OpenApi {
    openapi::merge(parts())
}

fn description() -> Value {
    serde_json::to_value(document()).unwrap()
}

fn operations() -> BTreeSet<(String, String)> {
    let description = description();
    let paths = description["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys().cloned();
        methods.map(|method| (method.to_uppercase(), path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

#[test]
fn the_stored_description_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&document()).unwrap() + "\n";
        std::fs::write(path, &text).unwrap();
    }
    // As values: the order of members is for readers.
    let stored: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert!(stored == description(), "run the tests with UPDATE=1");
}

#[test]
fn no_part_means_something_else_by_a_name_than_another() {
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
fn what_is_described_is_what_is_deployed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../template.yaml");
    let template = std::fs::read_to_string(path).unwrap();
    let mut deployed = BTreeSet::new();
    let mut method = "";
    let words = template.split(|c: char| c.is_whitespace() || c == ',');
    let words: Vec<&str> = words.map(|word| word.trim_matches('"')).collect();
    for pair in words.windows(2) {
        match pair {
            ["Method:", name] => method = name,
            ["Path:", path] => {
                deployed.insert((method.to_owned(), (*path).to_owned()));
            }
            _ => {}
        }
    }
    // These two describe; they are not described.
    deployed.remove(&("GET".to_owned(), "/docs".to_owned()));
    deployed.remove(&("GET".to_owned(), "/api/openapi.json".to_owned()));
    assert_eq!(operations(), deployed);
}

/// Without any header, a route answers that the headers are missing (or, about itself, 200); what
/// is not routed answers 404 or 405.
#[tokio::test]
async fn what_is_described_is_routed() {
    let (deps, edge) = (Arc::new(Untouched::default()), Arc::new(settings()));
    let router = spray_create::router(Arc::clone(&deps), Arc::clone(&edge))
        .merge(spray_claim::router(Arc::clone(&deps), Arc::clone(&edge)))
        .merge(wallet::router(Arc::clone(&deps), Arc::clone(&edge)))
        .merge(query::router(Arc::clone(&deps), Arc::clone(&edge)))
        .merge(admin::router(Arc::clone(&deps), edge));
    let router = kernel::wrap(router, deps);
    for (method, path) in operations() {
        let (status, headers, body) = send(router.clone(), &method, &path, &[], "").await;
        let expected = match path.as_str() {
            "/api/v2/health" => 200,
            path if path.starts_with("/api/v1/") => 422,
            _ => 400,
        };
        assert_eq!(status, expected, "{method} {path}: {body}");
        assert!(headers.contains_key("x-request-id"), "{method} {path}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_answers() {
    let description = description();
    let mut names = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(names.insert(operation["operationId"].to_string()), "{method} {path}");
            assert!(operation["summary"].is_string(), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            let refusals = responses.keys().filter(|status| status.as_str() >= "400").count();
            assert!(refusals >= 3 || path == "/api/v2/health", "{method} {path}");
        }
    }
}
