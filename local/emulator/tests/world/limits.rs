//! The limits of AWS that `docs/emulator.md` says the emulator enforces, or does not enforce.

use crate::common::*;
use largesse_emulator::{Service, World};
use serde_json::{Value, json};

/// The error message of a call; empty when it succeeded.
async fn refusal(world: &World, operation: &str, body: Value) -> String {
    let target = format!("DynamoDB_20120810.{operation}");
    let reply = world.answer(&target, body.to_string().into_bytes()).await.unwrap();
    if reply.status().is_success() {
        return String::new();
    }
    let error: Value = serde_json::from_slice(reply.body()).unwrap();
    let message = error["message"].as_str().or_else(|| error["Message"].as_str());
    format!("{} {}", error["__type"].as_str().unwrap(), message.unwrap_or_default())
}

fn update(expression: &str, values: Value) -> Value {
    json!({
        "TableName": "pools", "Key": { "pk": { "S": "p" } },
        "UpdateExpression": expression, "ExpressionAttributeValues": values,
    })
}

fn put_of(attribute: Value) -> Value {
    json!({ "TableName": "pools", "Item": { "pk": { "S": "p" }, "a": attribute } })
}

#[tokio::test(start_paused = true)]
async fn dynamodb_refuses_what_aws_refuses() {
    let world = world();
    put(&dynamo(&world), "pools", "p", vec![]).await;
    let one = json!({ ":v": { "N": "1" } });
    let put_action =
        |pk: String| json!({ "Put": { "TableName": "pools", "Item": { "pk": { "S": pk } } } });
    let actions = |number: usize| {
        let all: Vec<Value> = (0..number).map(|n| put_action(n.to_string())).collect();
        json!({ "TransactItems": all })
    };
    let twice = json!({ "TransactItems": [put_action("x".into()), put_action("x".into())] });
    let long = format!("SET {} = :v", "a".repeat(4_096));
    let unused = json!({ ":v": { "N": "1" }, ":unused": { "N": "1" } });
    for (rule, operation, body) in [
        (
            "arithmetic on a missing attribute",
            "UpdateItem",
            update("SET a = gone + :v", one.clone()),
        ),
        ("a path into a missing map", "UpdateItem", update("SET gone.x = :v", one.clone())),
        ("an unused value", "UpdateItem", update("SET a = :v", unused)),
        ("an undefined value", "UpdateItem", update("SET a = :other", one.clone())),
        ("an expression of more than 4 KB", "UpdateItem", update(&long, one.clone())),
        ("a number of 39 digits", "PutItem", put_of(json!({ "N": "1".repeat(39) }))),
        ("an item of more than 400 KB", "PutItem", put_of(json!({ "S": "x".repeat(410_000) }))),
        ("101 actions", "TransactWriteItems", actions(101)),
        ("two actions on one item", "TransactWriteItems", twice),
    ] {
        let refused = refusal(&world, operation, body).await;
        assert!(refused.contains("ValidationException"), "{rule}: {refused:?}");
    }
    assert_eq!(refusal(&world, "TransactWriteItems", actions(100)).await, "");
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_300_operators_is_not_enforced() {
    let world = world();
    put(&dynamo(&world), "pools", "p", vec![]).await;
    let condition = vec!["a=:v"; 302].join(" OR ");
    let mut body = update("SET b = :v", json!({ ":v": { "N": "1" } }));
    body["ConditionExpression"] = json!(format!("attribute_not_exists(a) OR {condition}"));
    assert_eq!(refusal(&world, "UpdateItem", body).await, "");
}

#[tokio::test(start_paused = true)]
async fn a_failed_condition_counts_no_units() {
    let world = world();
    put(&dynamo(&world), "pools", "p", vec![]).await;
    world.recorder().measure_units(true);
    let mut body = update("SET a = :v", json!({ ":v": { "N": "1" } }));
    body["ConditionExpression"] = json!("attribute_not_exists(pk)");
    let refused = refusal(&world, "UpdateItem", body).await;
    assert!(refused.contains("ConditionalCheckFailed"), "{refused}");
    let sums = world.recorder().operation(Service::DynamoDb, "UpdateItem");
    assert_eq!((sums.calls, sums.failed, sums.write.to_string().as_str()), (1, 1, "0"));
}
