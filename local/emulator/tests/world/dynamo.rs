//! `DynamoDB` through the SDK: typed errors, tokens, and expressions that the product needs.

use std::sync::{Arc, Mutex};

use crate::common::*;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use largesse_emulator::Service;

#[tokio::test(start_paused = true)]
async fn a_failed_condition_gives_back_the_item() {
    let world = world();
    let client = dynamo(&world);
    put(&client, "pools", "p", vec![("left", n(1))]).await;
    let update = client.update_item().table_name("pools").key("pk", s("p"));
    let update = update.update_expression("SET #l = #l - :k").condition_expression("#l >= :k");
    let update = update.expression_attribute_names("#l", "left");
    let update = update.expression_attribute_values(":k", n(2));
    let update = update
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = update.send().await.unwrap_err().into_service_error();
    assert!(error.is_conditional_check_failed_exception());
    let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(
        failed,
    ) = error
    else {
        panic!("another error");
    };
    assert_eq!(failed.item().unwrap()["left"], n(1));
}

fn put_action(pk: &str, left: i32) -> TransactWriteItem {
    let put = Put::builder().table_name("pools").item("pk", s(pk)).item("left", n(left));
    TransactWriteItem::builder().put(put.build().unwrap()).build()
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_transaction_has_a_reason_for_each_action() {
    let world = world();
    let client = dynamo(&world);
    put(&client, "pools", "p", vec![("left", n(7))]).await;
    let check = ConditionCheck::builder().table_name("pools").key("pk", s("p"));
    let check = check.condition_expression("attribute_not_exists(pk)");
    let check =
        check.return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let check = TransactWriteItem::builder().condition_check(check.build().unwrap()).build();
    let transaction = client.transact_write_items().transact_items(put_action("q", 1));
    let error = transaction.transact_items(check).send().await.unwrap_err().into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("another error: {error:?}");
    };
    let reasons = cancelled.cancellation_reasons();
    assert_eq!(reasons[0].code(), Some("None"));
    assert_eq!(reasons[1].code(), Some("ConditionalCheckFailed"));
    assert_eq!(reasons[1].item().unwrap()["left"], n(7));
    assert_eq!(world.database().scan("pools").unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_protects_for_ten_minutes_of_the_worlds_time() {
    let world = world();
    let client = dynamo(&world);
    let run = |token: &str, left| {
        let transaction = client.transact_write_items().client_request_token(token);
        transaction.transact_items(put_action("p", left)).send()
    };
    run("token", 1).await.unwrap();
    put(&client, "pools", "p", vec![("left", n(5))]).await;
    pass(599).await;
    run("token", 1).await.unwrap();
    let left = |world: &largesse_emulator::World| {
        format!("{:?}", world.database().scan("pools").unwrap()[0]["left"])
    };
    assert_eq!(left(&world), "N(\"5\")", "at 9:59 the repeat did nothing");
    let error = run("token", 2).await.unwrap_err().into_service_error();
    assert!(error.is_idempotent_parameter_mismatch_exception());
    pass(2).await;
    run("token", 1).await.unwrap();
    assert_eq!(left(&world), "N(\"1\")", "at 10:01 it ran again");
}

#[tokio::test(start_paused = true)]
async fn a_missing_table_is_a_typed_error() {
    let world = world();
    let getting = dynamo(&world).get_item().table_name("nowhere").key("pk", s("p"));
    let error = getting.send().await.unwrap_err().into_service_error();
    assert!(error.is_resource_not_found_exception());
}

#[tokio::test(start_paused = true)]
async fn a_bad_expression_is_a_validation_error() {
    let world = world();
    let update = dynamo(&world).update_item().table_name("pools").key("pk", s("p"));
    let error = update.update_expression("SET =").send().await.unwrap_err().into_service_error();
    assert_eq!(error.code(), Some("ValidationException"));
}

#[tokio::test(start_paused = true)]
async fn the_recorder_counts_round_trips_and_units() {
    let world = world();
    let client = dynamo(&world);
    world.recorder().measure_units(true);
    put(&client, "pools", "p", vec![("left", n(1))]).await;
    let getting = client.get_item().table_name("pools").key("pk", s("p"));
    let got = getting.consistent_read(true).send().await.unwrap();
    assert!(got.consumed_capacity().is_none(), "the request did not want it");
    let getting = client.get_item().table_name("pools").key("pk", s("p"));
    let got = getting.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await.unwrap();
    assert_eq!(got.consumed_capacity().unwrap().capacity_units(), Some(0.5));
    let reads = world.recorder().operation(Service::DynamoDb, "GetItem");
    assert_eq!((reads.calls, reads.read.to_string().as_str()), (2, "1.5"));
    let table = world.recorder().table("pools");
    assert_eq!((table.calls, table.write.to_string().as_str()), (3, "1"));
    world.recorder().reset();
    assert_eq!(world.recorder().total().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_deletes_items_that_expired_by_the_worlds_clock() {
    let world = world();
    let client = dynamo(&world);
    put(&client, "pools", "p", vec![("ttl", n(START_MS / 1_000 + 60))]).await;
    assert_eq!(world.sweep_ttl().unwrap(), 0);
    pass(61).await;
    assert_eq!(world.database().scan("pools").unwrap().len(), 1, "items expire only in a sweep");
    assert_eq!(world.sweep_ttl().unwrap(), 1);
}

/// The shape of a draw: one conditional write that counts with numbers of 38 digits.
async fn draw(
    client: &aws_sdk_dynamodb::Client,
    share: &str,
    settled: &str,
) -> Result<AttributeValue, Box<aws_sdk_dynamodb::operation::update_item::UpdateItemError>> {
    let update = client.update_item().table_name("pools").key("pk", s("head"));
    let update =
        update.update_expression("SET #p.#a = #t + :x, #t = #t + :k, #l = #l - :k REMOVE #p.#b");
    let update = update.condition_expression(
        "#l >= :k AND attribute_not_exists(#p.#a) AND attribute_not_exists(#f[0]) \
         AND size(#p) <= :m AND (attribute_not_exists(#p.#b) OR #p.#b = :v)",
    );
    let update = update
        .expression_attribute_names("#p", "pending")
        .expression_attribute_names("#a", share)
        .expression_attribute_names("#b", settled)
        .expression_attribute_names("#t", "taken")
        .expression_attribute_names("#l", "left")
        .expression_attribute_names("#f", "free");
    let update = update
        .expression_attribute_values(":x", n("10000000000000000000000000000000000000"))
        .expression_attribute_values(":k", n(1))
        .expression_attribute_values(":m", n(20))
        .expression_attribute_values(":v", n("99999999999970000000000001000000000005"));
    let updated = update.return_values(ReturnValue::AllNew).send().await;
    let item = updated.map_err(|error| Box::new(error.into_service_error()))?.attributes.unwrap();
    Ok(item["pending"].as_m().unwrap()[share].clone())
}

#[tokio::test(start_paused = true)]
async fn a_draw_is_one_conditional_write_and_38_digits_stay_exact() {
    let world = world();
    let client = dynamo(&world);
    let pending =
        AttributeValue::M([("old".to_owned(), n("99999999999970000000000001000000000005"))].into());
    let head = vec![
        ("pending", pending),
        ("taken", n("89999999999970000000000001000000000005")),
        ("left", n(2)),
        ("free", AttributeValue::L(Vec::new())),
    ];
    put(&client, "pools", "head", head).await;
    let drawn = draw(&client, "first", "old").await.unwrap();
    assert_eq!(drawn, n("99999999999970000000000001000000000005"));
    let items = world.database().scan("pools").unwrap();
    let shown = format!("{:?}", items[0]);
    assert!(!shown.contains("\"old\""), "trimmed in the same write: {shown}");
    assert!(shown.contains("89999999999970000000000001000000000006"), "{shown}");
    let again = draw(&client, "first", "old").await.unwrap_err();
    assert!(again.is_conditional_check_failed_exception(), "one draw each");
    let free = client.update_item().table_name("pools").key("pk", s("head"));
    let free = free.update_expression("SET #l = :none").expression_attribute_names("#l", "left");
    free.expression_attribute_values(":none", n(0)).send().await.unwrap();
    let sold_out = draw(&client, "second", "old").await.unwrap_err();
    assert!(sold_out.is_conditional_check_failed_exception());
}

#[tokio::test(start_paused = true)]
async fn a_released_number_is_appended_and_drawn_again() {
    let world = world();
    let client = dynamo(&world);
    let head = vec![
        ("pending", AttributeValue::M([].into())),
        ("taken", n(3)),
        ("left", n(0)),
        ("free", AttributeValue::L(Vec::new())),
    ];
    put(&client, "pools", "head", head).await;
    let release = client.update_item().table_name("pools").key("pk", s("head"));
    let release = release.update_expression("SET #f = list_append(#f, :n)");
    let release = release.expression_attribute_names("#f", "free");
    let number = AttributeValue::L(vec![n(2), n(3)]);
    release.expression_attribute_values(":n", number).send().await.unwrap();

    let reuse = client.update_item().table_name("pools").key("pk", s("head"));
    let reuse = reuse.update_expression("SET #p.#a = #f[0] + :x REMOVE #f[0]");
    let reuse = reuse.condition_expression("attribute_exists(#f[0])");
    let reuse = reuse.expression_attribute_names("#p", "pending");
    let reuse = reuse.expression_attribute_names("#a", "someone");
    let reuse = reuse.expression_attribute_names("#f", "free");
    let reuse = reuse.expression_attribute_values(":x", n("100000000000000000000"));
    let reused = reuse.return_values(ReturnValue::AllNew).send().await.unwrap();
    let item = reused.attributes.unwrap();
    assert_eq!(item["pending"].as_m().unwrap()["someone"], n("100000000000000000002"));
    assert_eq!(item["free"], AttributeValue::L(vec![n(3)]));
}

/// Keeps the headers of the last request.
#[derive(Clone, Debug, Default)]
struct LastHeaders(Arc<Mutex<Vec<String>>>);

impl Intercept for LastHeaders {
    fn name(&self) -> &'static str {
        "LastHeaders"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let names = context.request().headers().iter().map(|(name, _)| name.to_owned());
        *self.0.lock().unwrap() = names.collect();
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_with_the_worlds_auth_scheme_signs_nothing_and_is_served() {
    let world = world();
    let headers = LastHeaders::default();
    let signed = || {
        aws_sdk_dynamodb::config::Builder::from(&world.sdk_config()).interceptor(headers.clone())
    };
    let is_signed = || headers.0.lock().unwrap().iter().any(|name| name == "authorization");
    let client = aws_sdk_dynamodb::Client::from_conf(signed().build());
    put(&client, "pools", "p", vec![]).await;
    assert!(is_signed(), "the SDK's own scheme signs");
    let unsigned = signed().push_auth_scheme(world.auth_scheme()).build();
    let client = aws_sdk_dynamodb::Client::from_conf(unsigned);
    put(&client, "pools", "q", vec![]).await;
    assert!(!is_signed());
    assert_eq!(world.database().scan("pools").unwrap().len(), 2);
}
