//! Stream mappings: images, filters, retention, and switching a mapping off and on.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::*;
use aws_lambda_events::event::dynamodb::{Event, EventRecord, StreamViewType};
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use aws_sdk_dynamodb::types::AttributeValue;
use largesse_emulator::{Pattern, StreamTrigger, World, WorldError};

const CONSUMER: &str = "outbox";
const HOUR_S: u64 = 3_600;

type Records = Arc<Mutex<Vec<EventRecord>>>;

fn attach(world: &World, trigger: StreamTrigger) -> Records {
    let records = Records::default();
    let seen = Arc::clone(&records);
    let handler = move |event: Event| {
        seen.lock().unwrap().extend(event.records);
        async { Ok(DynamoDbEventResponse::default()) }
    };
    world.on_stream(trigger, handler).unwrap();
    records
}

fn keys(records: &Records) -> Vec<String> {
    let text = |record: &EventRecord| match &record.change.keys.inner()["pk"] {
        serde_dynamo::AttributeValue::S(key) => key.clone(),
        other => panic!("keys are strings, not {other:?}"),
    };
    records.lock().unwrap().iter().map(text).collect()
}

fn attribute(image: &serde_dynamo::Item, name: &str) -> Option<serde_dynamo::AttributeValue> {
    image.inner().get(name).cloned()
}

#[tokio::test(start_paused = true)]
async fn a_record_has_the_item_before_and_after_the_write() {
    let world = world();
    let client = dynamo(&world);
    let records = attach(&world, stream_trigger());
    put(&client, "grants", "b", vec![("taken", n(0))]).await;
    put(&client, "grants", "b", vec![("taken", n(1))]).await;
    client.delete_item().table_name("grants").key("pk", s("b")).send().await.unwrap();
    world.settle().await;
    let records = records.lock().unwrap();
    let images = |record: &EventRecord| {
        let change = &record.change;
        assert_eq!(change.stream_view_type, Some(StreamViewType::NewAndOldImages));
        (attribute(&change.old_image, "taken"), attribute(&change.new_image, "taken"))
    };
    let number = |text: &str| Some(serde_dynamo::AttributeValue::N(text.to_owned()));
    let images: Vec<_> = records.iter().map(images).collect();
    let expected = [(None, number("0")), (number("0"), number("1")), (number("1"), None)].to_vec();
    assert_eq!(images, expected);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changes_nothing_makes_no_record() {
    let world = world();
    let client = dynamo(&world);
    let records = attach(&world, stream_trigger());
    for _ in 0..2 {
        put(&client, "grants", "b", vec![("x", n(0)), ("y", n(1)), ("z", n(2))]).await;
    }
    put(&client, "grants", "c", vec![]).await;
    world.settle().await;
    assert_eq!(keys(&records), ["b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn items_with_a_map_are_selected_by_a_scalar_attribute_beside_it() {
    let pattern = |attribute: &str| {
        let text = format!(
            r#"{{"eventName":["INSERT","MODIFY"],"dynamodb":{{"NewImage":{{{attribute}}}}}}}"#
        );
        StreamTrigger { filters: vec![Pattern::parse(&text).unwrap()], ..stream_trigger() }
    };
    let world = world();
    let client = dynamo(&world);
    let by_map = pattern(r#""draws":{"M":[{"exists":true}]}"#);
    let by_map = attach(&world, StreamTrigger { consumer: "map".to_owned(), ..by_map });
    let by_scalar = attach(&world, pattern(r#""bucket":{"N":[{"exists":true}]}"#));
    let draws = AttributeValue::M([("m".to_owned(), n(1))].into());
    put(&client, "grants", "head", vec![("status", s("OPEN"))]).await;
    put(&client, "grants", "bucket", vec![("bucket", n(0)), ("draws", draws)]).await;
    client.delete_item().table_name("grants").key("pk", s("bucket")).send().await.unwrap();
    world.settle().await;
    assert_eq!(keys(&by_scalar), ["bucket"]);
    assert!(keys(&by_map).is_empty(), "a map is not a leaf, so `exists` never finds it");
}

#[tokio::test(start_paused = true)]
async fn a_mapping_that_is_off_delivers_nothing_and_continues_when_it_is_on() {
    let world = world();
    let client = dynamo(&world);
    let records = attach(&world, stream_trigger());
    let running = world.start();
    put(&client, "grants", "g1", vec![]).await;
    pass(1).await;
    world.set_stream_enabled(CONSUMER, false).unwrap();
    put(&client, "grants", "g2", vec![]).await;
    world.settle_with_time().await.unwrap();
    pass(23 * HOUR_S).await;
    assert_eq!(keys(&records), ["g1"]);
    world.set_stream_enabled(CONSUMER, true).unwrap();
    pass(1).await;
    assert_eq!(keys(&records), ["g1", "g2"]);
    running.shutdown().await;
    let unknown = world.set_stream_enabled("nothing", false);
    assert!(matches!(unknown, Err(WorldError::Unknown(_))));
}

#[tokio::test(start_paused = true)]
async fn a_stream_loses_records_that_are_24_hours_old_while_the_mapping_is_off() {
    let world = world();
    let client = dynamo(&world);
    let trigger = StreamTrigger { on_failure: Some("failures".to_owned()), ..stream_trigger() };
    let records = attach(&world, trigger);
    world.set_stream_enabled(CONSUMER, false).unwrap();
    put(&client, "grants", "old", vec![]).await;
    pass(2 * HOUR_S).await;
    put(&client, "grants", "young", vec![]).await;
    pass(23 * HOUR_S).await;
    world.set_stream_enabled(CONSUMER, true).unwrap();
    world.settle().await;
    assert_eq!(keys(&records), ["young"]);
    assert!(world.queue("failures").unwrap().is_empty(), "a trimmed record is not reported");
    // The position has passed the lost record: the stream goes on normally.
    put(&client, "grants", "new", vec![]).await;
    world.settle().await;
    assert_eq!(keys(&records), ["young", "new"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_for_24_hours_is_lost() {
    let world = world();
    let client = dynamo(&world);
    let calls = Arc::new(Mutex::new(0));
    let count = Arc::clone(&calls);
    world
        .on_stream(stream_trigger(), move |_: Event| {
            *count.lock().unwrap() += 1;
            async { Err::<DynamoDbEventResponse, _>("planted".into()) }
        })
        .unwrap();
    put(&client, "grants", "g1", vec![]).await;
    world.settle_with_time().await.unwrap();
    let waited_ms = world.clock().now_ms() - START_MS;
    let day_ms = i64::try_from(Duration::from_secs(24 * HOUR_S).as_millis()).unwrap();
    assert!((day_ms..day_ms + 31_000).contains(&waited_ms), "{waited_ms} ms");
    assert!(*calls.lock().unwrap() > 2_000, "tried every 30 s at the end");
}
