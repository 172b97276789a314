//! Fault hooks.

use std::sync::Arc;
use std::time::Duration;

use crate::common::*;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, Put, TransactWriteItem};
use aws_smithy_types::retry::RetryConfig;
use largesse_emulator::{Fault, Faults, Matching, Service, World, keep_digits};

fn install(world: &World, faults: Faults) -> Arc<Faults> {
    let faults = Arc::new(faults);
    world.set_fault_hook(Some(Arc::clone(&faults) as _));
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
async fn a_lost_reply_does_not_undo_the_effect() {
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
async fn an_unprocessed_batch_is_given_back_whole() {
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
async fn a_request_from_a_socket_gets_the_reply_of_an_sdk_request() {
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

#[tokio::test(start_paused = true)]
async fn a_table_is_throttled_for_a_period_and_then_works_again() {
    let world = world();
    let client = dynamo(&world);
    let period = Duration::from_secs(600);
    let table = Matching::any().on("pools");
    let plan = Faults::seeded(1).during(world.clock(), period, table, Fault::Throttle);
    let faults = install(&world, plan);
    let refused = try_put(&client, "p").await.unwrap_err();
    assert!(refused.contains("throughput"), "{refused}");
    put(&client, "grants", "other", vec![]).await;
    pass(599).await;
    assert!(try_put(&client, "p").await.is_err());
    pass(1).await;
    assert_eq!(try_put(&client, "p").await, Ok(()));
    assert_eq!(faults.injected(), 2);
    assert_eq!(world.recorder().table("pools").failed, 2);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_item_cancels_a_transaction_with_its_reason() {
    let world = world();
    let client = dynamo(&world);
    let matching = Matching::operation("TransactWriteItems").on("pools");
    install(&world, Faults::seeded(1).always(matching, Fault::TransactionThrottled));
    let put = Put::builder().table_name("pools").item("pk", s("p")).build().unwrap();
    let action = TransactWriteItem::builder().put(put).build();
    let transaction = client.transact_write_items().transact_items(action);
    let error = transaction.send().await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("another error: {error:?}");
    };
    assert_eq!(cancelled.cancellation_reasons()[0].code(), Some("ThrottlingError"));
    assert!(world.database().scan("pools").unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_denied_call_does_nothing_and_has_the_code_of_its_service() {
    let world = world();
    let tables = Matching::any().on("pools");
    let queues = Matching::any().of(Service::Sqs);
    let buses = Matching::any().of(Service::EventBridge);
    let plan = Faults::seeded(1).always(tables, Fault::AccessDenied);
    let plan = plan.always(queues, Fault::AccessDenied).always(buses, Fault::AccessDenied);
    install(&world, plan);
    let put = dynamo(&world).put_item().table_name("pools").item("pk", s("p"));
    let error = put.send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    let url = largesse_emulator::queue_url(QUEUE);
    let sending = sqs(&world).send_message().queue_url(url).message_body("x");
    let error = sending.message_group_id("g").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("AccessDenied"));
    let error = eventbridge(&world).put_events().send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("AccessDeniedException"));
    assert!(world.database().scan("pools").unwrap().is_empty());
    assert!(world.queue(QUEUE).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_reply_can_be_rewritten_to_that_of_a_store_with_fewer_digits() {
    let world = world();
    let client = dynamo(&world);
    let plan = Faults::seeded(1)
        .rewrite(Matching::any().of(Service::DynamoDb), |_, reply| keep_digits(reply, 28));
    let faults = install(&world, plan);
    put(&client, "pools", "head", vec![("taken", n(3))]).await;
    assert_eq!(faults.injected(), 0, "nothing to change yet");
    let stamps = ["170000000000000000000000000", "10000000000000000000000000000000000000"];
    let mut given = Vec::new();
    for stamp in stamps {
        let update = client.update_item().table_name("pools").key("pk", s("head"));
        let update = update.update_expression("SET stamp = taken + :stamp");
        let update = update.expression_attribute_values(":stamp", n(stamp));
        let all = aws_sdk_dynamodb::types::ReturnValue::AllNew;
        let updated = update.return_values(all).send().await.unwrap();
        given.push(updated.attributes.unwrap()["stamp"].as_n().unwrap().clone());
    }
    assert_eq!(given, ["170000000000000000000000003", stamps[1]], "27 digits fit, 38 do not");
    assert_eq!(faults.injected(), 1);
    // Reads show the same, so all callers see one consistent store.
    let got = client.get_item().table_name("pools").key("pk", s("head")).send().await.unwrap();
    assert_eq!(got.item().unwrap()["stamp"], n(stamps[1]));
}
