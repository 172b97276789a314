//! Faults between the SDK and the services.

use std::sync::Arc;
use std::time::Duration;

use crate::common::*;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, Put, TransactWriteItem};
use aws_smithy_types::retry::RetryConfig;
use largesse_emulator::{Fault, Faults, Matching, Service, World};

fn install(world: &World, faults: Faults) -> Arc<Faults> {
    let faults = Arc::new(faults);
    world.interpose(Some(Arc::clone(&faults) as _));
    faults
}

async fn try_put(client: &aws_sdk_dynamodb::Client, pk: &str) -> Result<(), String> {
    let put = client.put_item().table_name("pools").item("pk", s(pk)).send().await;
    put.map(|_| ()).map_err(|error| match error {
        SdkError::DispatchFailure(failure) if failure.is_io() => "connection".to_owned(),
        other => other.into_service_error().to_string(),
    })
}

#[tokio::test(start_paused = true)]
async fn an_effect_whose_reply_is_lost_has_taken_place() {
    let world = world();
    let client = dynamo(&world);
    install(&world, Faults::seeded(1).nth(1, Matching::operation("PutItem"), Fault::ReplyLost));
    assert_eq!(try_put(&client, "p").await, Err("connection".to_owned()));
    assert_eq!(world.database().scan("pools").unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reset_before_commit_does_nothing() {
    let world = world();
    let client = dynamo(&world);
    let matching = Matching::any().of(Service::DynamoDb).on("pools");
    install(&world, Faults::seeded(1).nth(2, matching, Fault::ResetBeforeCommit));
    assert_eq!(try_put(&client, "p").await, Ok(()));
    assert_eq!(try_put(&client, "q").await, Err("connection".to_owned()));
    assert_eq!(try_put(&client, "q").await, Ok(()));
    assert_eq!(world.recorder().operation(Service::DynamoDb, "PutItem").failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_is_retried_by_the_sdk() {
    let world = world();
    let config = world.sdk_config().to_builder().retry_config(RetryConfig::standard()).build();
    let client = aws_sdk_dynamodb::Client::new(&config);
    let plan = Faults::seeded(1).nth(1, Matching::operation("PutItem"), Fault::Throttle).nth(
        2,
        Matching::operation("PutItem"),
        Fault::InternalError,
    );
    let faults = install(&world, plan);
    assert_eq!(try_put(&client, "p").await, Ok(()));
    assert_eq!(faults.injected(), 2);
    assert_eq!(world.recorder().operation(Service::DynamoDb, "PutItem").calls, 3);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_cancels_a_transaction_with_its_reason() {
    let world = world();
    let client = dynamo(&world);
    let matching = Matching::operation("TransactWriteItems").on("pools");
    install(&world, Faults::seeded(1).nth(1, matching, Fault::TransactionConflict));
    let put = Put::builder().table_name("pools").item("pk", s("p")).build().unwrap();
    let action = TransactWriteItem::builder().put(put).build();
    let transaction = client.transact_write_items().transact_items(action);
    let error = transaction.send().await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("another error: {error:?}");
    };
    assert_eq!(cancelled.cancellation_reasons()[0].code(), Some("TransactionConflict"));
    assert!(world.database().scan("pools").unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_unprocessed_batch_comes_back_whole() {
    let world = world();
    let client = dynamo(&world);
    install(
        &world,
        Faults::seeded(1).always(Matching::operation("BatchGetItem"), Fault::Unprocessed),
    );
    let keys = KeysAndAttributes::builder().keys([("pk".to_owned(), s("p"))].into());
    let getting = client.batch_get_item().request_items("pools", keys.build().unwrap());
    let got = getting.send().await.unwrap();
    assert_eq!(got.unprocessed_keys().unwrap()["pools"].keys().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_delay_takes_the_worlds_time() {
    let world = world();
    let client = dynamo(&world);
    let delay = Fault::DelayReply(Duration::from_secs(7));
    install(&world, Faults::seeded(1).always(Matching::any(), delay));
    assert_eq!(try_put(&client, "p").await, Ok(()));
    assert_eq!(world.clock().now_ms(), START_MS + 7_000);
}

async fn outcomes(seed: u64) -> Vec<bool> {
    let world = world();
    let client = dynamo(&world);
    install(&world, Faults::seeded(seed).chance(300, Matching::any(), Fault::Throttle));
    let mut outcomes = Vec::new();
    for number in 0..50 {
        outcomes.push(try_put(&client, &number.to_string()).await.is_ok());
    }
    outcomes
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_faults() {
    let first = outcomes(42).await;
    assert_eq!(first, outcomes(42).await);
    assert_ne!(first, outcomes(43).await);
    let failed = first.iter().filter(|ok| !**ok).count();
    assert!((5..30).contains(&failed), "about 15 of 50, not {failed}");
}

#[tokio::test(start_paused = true)]
async fn a_request_over_a_socket_is_answered_like_one_of_the_sdk() {
    let world = world();
    let put = br#"{"TableName":"pools","Item":{"pk":{"S":"p"}}}"#;
    let answer = world.answer("DynamoDB_20120810.PutItem", put.to_vec()).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.body().as_slice()), (200, b"{}".as_slice()));
    assert_eq!(answer.headers()["content-type"], "application/x-amz-json-1.0");
    let refused = world.answer("AmazonSQS.SendMessage", b"{}".to_vec()).await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    assert!(refused.headers().contains_key("x-amzn-query-error"));
    assert!(world.answer("Lambda.Invoke", put.to_vec()).await.is_none());
    install(&world, Faults::seeded(1).nth(1, Matching::any(), Fault::ReplyLost));
    assert!(world.answer("DynamoDB_20120810.PutItem", put.to_vec()).await.is_none());
    assert_eq!(world.recorder().operation(Service::DynamoDb, "PutItem").calls, 2);
}
