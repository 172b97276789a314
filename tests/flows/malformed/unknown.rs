//! Fields and parameters that no route knows: at every route of the OpenAPI document that takes any.

use serde_json::{Value, json};

use super::Scene;

const STORED: &str = include_str!("../../../docs/openapi.json");
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

#[tokio::test]
async fn every_route_with_a_body_refuses_a_field_that_it_does_not_know() {
    let scene = Scene::set().await;
    let mut tried = 0;
    for (method, path, operation) in operations() {
        if operation["requestBody"]["content"]["application/json"].is_null() {
            continue;
        }
        let ask = scene.ask(&method, &named(&path)).json(json!({ "surprise": 1 }));
        if path.starts_with("/api/v2/keys") {
            // Without authentication no caller keeps keys; with it: tests/flows/auth/keys.rs.
            scene.refused(&ask.await, 403, "ERR004", &path);
            continue;
        }
        let reply = ask.await;
        scene.refused(&reply, 400, "ERR001", &format!("{method} {path}"));
        assert_eq!(reply.body["errors"][0]["field"], "surprise", "{method} {path}: {}", reply.text);
        tried += 1;
    }
    assert!(tried >= 12, "{tried} routes");
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
