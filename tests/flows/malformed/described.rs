//! What every route of the OpenAPI document refuses: bodies that are no JSON, and fields and
//! parameters that it does not know.

use serde_json::{Value, json};

use super::Scene;
use super::bodies::{shown, unreadable};

/// The document in the repository.
pub(super) const STORED: &str = include_str!("../../../docs/openapi.json");
const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// Method, path and description of every operation of version 2.
fn operations() -> Vec<(String, String, Value)> {
    let document: Value = serde_json::from_str(STORED).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let paths = paths.filter(|(path, _)| path.starts_with("/api/v2/"));
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(|(method, operation)| (method.to_uppercase(), path.clone(), operation.clone()))
    });
    operations.collect()
}

fn named(path: &str) -> String {
    path.replace("{user}", "2").replace("{member}", "2").replace("{n}", "1").replace("{id}", ID)
}

/// Method and path of the operations that need a body of JSON. Those of keys need authentication,
/// and are refused without it before their body is read: tests/flows/auth/keys.rs.
fn with_body() -> Vec<(String, String)> {
    let operations = operations().into_iter().filter(|(_, path, operation)| {
        let body = &operation["requestBody"]["content"]["application/json"];
        !body.is_null() && !path.starts_with("/api/v2/keys")
    });
    let operations: Vec<_> = operations.map(|(method, path, _)| (method, named(&path))).collect();
    assert!(operations.len() >= 12, "{operations:?}");
    operations
}

#[tokio::test]
async fn every_route_with_a_body_refuses_what_is_no_object_of_json() {
    let scene = Scene::set().await;
    for (method, path) in with_body() {
        for bad in unreadable(r#"{"memo":"m"}"#) {
            let ask = scene.ask(&method, &path).header("content-type", "application/json");
            let reply = ask.raw(bad.clone()).await;
            scene.refused(&reply, 400, "ERR001", &format!("{method} {path} {}", shown(&bad)));
        }
    }
}

#[tokio::test]
async fn every_route_with_a_body_refuses_a_field_that_it_does_not_know() {
    let scene = Scene::set().await;
    for (method, path) in with_body() {
        let reply = scene.ask(&method, &path).json(json!({ "surprise": 1 })).await;
        scene.refused(&reply, 400, "ERR001", &format!("{method} {path}"));
        assert_eq!(reply.body["errors"][0]["field"], "surprise", "{method} {path}: {}", reply.text);
    }
}

#[tokio::test]
async fn every_read_refuses_a_parameter_that_it_does_not_know() {
    let scene = Scene::set().await;
    let mut tried = 0;
    for (method, path, _) in operations() {
        if method != "GET" || path == "/api/v2/health" {
            continue;
        }
        let ask = scene.ask(&method, &format!("{}?surprise=1", named(&path)));
        let reply = ask.await;
        if path.starts_with("/api/v2/keys") {
            scene.refused(&reply, 403, "ERR004", &path);
            continue;
        }
        scene.refused(&reply, 400, "ERR001", &format!("{method} {path}"));
        assert_eq!(reply.body["errors"][0]["field"], "surprise", "{method} {path}: {}", reply.text);
        tried += 1;
    }
    assert!(tried >= 20, "{tried} routes");
}
