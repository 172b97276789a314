//! A small stack and clients on it.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_types::retry::RetryConfig;
use largesse_emulator::{
    QueueSpec, QueueTrigger, Redrive, Stack, StreamTrigger, TableSpec, World, WorldClock,
};

/// 2026-01-02T03:04:05Z.
pub(crate) const START_MS: i64 = 1_767_323_045_000;
pub(crate) const QUEUE: &str = "jobs.fifo";
pub(crate) const DEAD: &str = "jobs-dead.fifo";

pub(crate) fn stack() -> Stack {
    let table = |name: &str, stream_view: Option<&str>| TableSpec {
        name: name.to_owned(),
        keys: vec![("pk".to_owned(), "HASH".to_owned())],
        attributes: vec![("pk".to_owned(), "S".to_owned())],
        ttl_attribute: Some("ttl".to_owned()),
        stream_view: stream_view.map(ToOwned::to_owned),
        ..TableSpec::default()
    };
    let redrive = Redrive { queue: DEAD.to_owned(), receives_max: 3 };
    Stack {
        tables: vec![table("pools", None), table("grants", Some("NEW_AND_OLD_IMAGES"))],
        queues: vec![
            QueueSpec { redrive: Some(redrive), ..QueueSpec::named(QUEUE) },
            QueueSpec::named(DEAD),
            QueueSpec::named("failures"),
        ],
        buses: vec!["events".to_owned()],
        ..Stack::default()
    }
}

pub(crate) fn world() -> World {
    World::memory_at(&stack(), WorldClock::at(START_MS)).unwrap()
}

/// A client without retries, so that a test gets every reply.
pub(crate) fn dynamo(world: &World) -> aws_sdk_dynamodb::Client {
    let config = world.sdk_config().to_builder().retry_config(RetryConfig::disabled()).build();
    aws_sdk_dynamodb::Client::new(&config)
}

pub(crate) fn sqs(world: &World) -> aws_sdk_sqs::Client {
    let config = world.sdk_config().to_builder().retry_config(RetryConfig::disabled()).build();
    aws_sdk_sqs::Client::new(&config)
}

pub(crate) fn eventbridge(world: &World) -> aws_sdk_eventbridge::Client {
    let config = world.sdk_config().to_builder().retry_config(RetryConfig::disabled()).build();
    aws_sdk_eventbridge::Client::new(&config)
}

pub(crate) fn queue_trigger() -> QueueTrigger {
    QueueTrigger {
        queue: QUEUE.to_owned(),
        batch_size: 10,
        concurrency_max: 10,
        timeout: Duration::from_secs(20),
    }
}

pub(crate) fn stream_trigger() -> StreamTrigger {
    StreamTrigger {
        table: "grants".to_owned(),
        consumer: "outbox".to_owned(),
        batch_size: 5,
        filters: Vec::new(),
        retries_max: None,
        record_age_max: None,
        on_failure: None,
        timeout: Duration::from_secs(20),
    }
}

pub(crate) fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn n(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(crate) async fn put(
    client: &aws_sdk_dynamodb::Client,
    table: &str,
    pk: &str,
    rest: Vec<(&str, AttributeValue)>,
) {
    let mut item: HashMap<String, AttributeValue> =
        rest.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    item.insert("pk".to_owned(), s(pk));
    client.put_item().table_name(table).set_item(Some(item)).send().await.unwrap();
}

pub(crate) async fn send(client: &aws_sdk_sqs::Client, group: &str, id: &str) -> String {
    let url = largesse_emulator::queue_url(QUEUE);
    let sending = client.send_message().queue_url(url).message_body(format!("body of {id}"));
    let sent = sending.message_group_id(group).message_deduplication_id(id).send().await.unwrap();
    sent.message_id.unwrap()
}

pub(crate) async fn receive(
    client: &aws_sdk_sqs::Client,
    max: i32,
) -> Vec<aws_sdk_sqs::types::Message> {
    let url = largesse_emulator::queue_url(QUEUE);
    let receiving = client.receive_message().queue_url(url).max_number_of_messages(max);
    let all = aws_sdk_sqs::types::MessageSystemAttributeName::All;
    let received = receiving.message_system_attribute_names(all).send().await.unwrap();
    received.messages.unwrap_or_default()
}

pub(crate) fn bodies(messages: &[aws_sdk_sqs::types::Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body.as_deref().unwrap()).collect()
}

/// Lets virtual time pass. Panics when the clock is not paused: no test waits in real time.
pub(crate) async fn pass(seconds: u64) {
    tokio::time::advance(Duration::ZERO).await;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
