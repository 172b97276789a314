//! Streams.

use super::*;

/// A handler of the stream that logs keys and fails the record `fails`, `times` times.
fn attach_stream(
    world: &World,
    trigger: StreamTrigger,
    log: &Log,
    fails: &'static str,
    times: u32,
) {
    let log = Arc::clone(log);
    let left = Arc::new(Mutex::new(times));
    let handler = move |event: aws_lambda_events::event::dynamodb::Event| {
        let (log, left) = (Arc::clone(&log), Arc::clone(&left));
        async move {
            let mut response = DynamoDbEventResponse::default();
            for record in event.records {
                let serde_dynamo::AttributeValue::S(key) = &record.change.keys.inner()["pk"] else {
                    panic!("keys are strings");
                };
                if key == fails && *left.lock().unwrap() > 0 {
                    *left.lock().unwrap() -= 1;
                    let mut failure = DynamoDbBatchItemFailure::default();
                    failure.item_identifier = record.change.sequence_number;
                    response.batch_item_failures.push(failure);
                    break;
                }
                log.lock().unwrap().push(format!("{} {key}", record.event_name));
            }
            Ok(response)
        }
    };
    world.on_stream(trigger, handler).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_delivered_in_order_from_the_lowest_failure_on() {
    let world = world();
    let client = dynamo(&world);
    let log = log();
    attach_stream(&world, stream_trigger(), &log, "g3", 2);
    for number in 0..8 {
        put(&client, "grants", &format!("g{number}"), vec![]).await;
    }
    put(&client, "grants", "g0", vec![("more", n(1))]).await;
    client.delete_item().table_name("grants").key("pk", s("g0")).send().await.unwrap();
    world.settle().await;
    assert_eq!(lines(&log), ["INSERT g0", "INSERT g1", "INSERT g2"]);
    world.settle_with_time().await.unwrap();
    let all = lines(&log);
    assert_eq!(all[3..8], ["INSERT g3", "INSERT g4", "INSERT g5", "INSERT g6", "INSERT g7"]);
    assert_eq!(all[8..], ["MODIFY g0", "REMOVE g0"]);
}

#[tokio::test(start_paused = true)]
async fn a_filter_selects_records() {
    let world = world();
    let client = dynamo(&world);
    let log = log();
    let pattern =
        r#"{"eventName":["INSERT"],"dynamodb":{"NewImage":{"status":{"S":["PENDING"]}}}}"#;
    let filters = vec![Pattern::parse(pattern).unwrap()];
    attach_stream(&world, StreamTrigger { filters, ..stream_trigger() }, &log, "", 0);
    put(&client, "grants", "g1", vec![("status", s("PENDING"))]).await;
    put(&client, "grants", "g1", vec![("status", s("SUCCESS"))]).await;
    put(&client, "grants", "g2", vec![("status", s("SUCCESS"))]).await;
    put(&client, "grants", "g3", vec![("status", s("PENDING"))]).await;
    world.settle().await;
    assert_eq!(lines(&log), ["INSERT g1", "INSERT g3"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_keeps_failing_is_discarded_and_reported() {
    let world = world();
    let client = dynamo(&world);
    let log = log();
    let trigger = StreamTrigger {
        retries_max: Some(4),
        on_failure: Some("failures".to_owned()),
        ..stream_trigger()
    };
    attach_stream(&world, trigger, &log, "g1", u32::MAX);
    for key in ["g0", "g1", "g2"] {
        put(&client, "grants", key, vec![]).await;
    }
    // `settle_with_time` does not wait for the failure queue to be empty.
    world.settle_with_time().await.unwrap();
    assert_eq!(lines(&log), ["INSERT g0", "INSERT g2"]);
    let reports = world.queue("failures").unwrap();
    assert!(reports.messages[0].body.contains("RetryAttemptsExhausted"));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_old_is_discarded_and_reported_without_a_limit_of_retries() {
    let world = world();
    let client = dynamo(&world);
    let log = log();
    let trigger = StreamTrigger {
        record_age_max: Some(Duration::from_secs(3_600)),
        on_failure: Some("failures".to_owned()),
        ..stream_trigger()
    };
    attach_stream(&world, trigger, &log, "g1", u32::MAX);
    for key in ["g0", "g1", "g2"] {
        put(&client, "grants", key, vec![]).await;
    }
    world.settle().await;
    pass(1_800).await;
    put(&client, "grants", "g3", vec![]).await;
    world.settle_with_time().await.unwrap();
    // The record behind it is as old and discarded too; the younger one is handled.
    assert_eq!(lines(&log), ["INSERT g0", "INSERT g3"]);
    let reports = &world.queue("failures").unwrap().messages;
    assert_eq!(reports.len(), 1);
    let report: serde_json::Value = serde_json::from_str(&reports[0].body).unwrap();
    assert_eq!(report["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(report["DDBStreamBatchInfo"]["batchSize"], 2);
    let waited_ms = world.clock().now_ms() - START_MS;
    assert!((3_600_000..3_632_000).contains(&waited_ms), "{waited_ms} ms");
}

#[tokio::test(start_paused = true)]
async fn an_expired_item_reaches_the_stream_with_the_services_identity() {
    let world = world();
    let client = dynamo(&world);
    let log = log();
    let seen = Arc::clone(&log);
    let handler = move |event: aws_lambda_events::event::dynamodb::Event| {
        let log = Arc::clone(&seen);
        async move {
            for record in event.records {
                let by = record.user_identity.map_or("someone".to_owned(), |by| by.principal_id);
                log.lock().unwrap().push(format!("{} by {by}", record.event_name));
            }
            Ok(DynamoDbEventResponse::default())
        }
    };
    world.on_stream(stream_trigger(), handler).unwrap();
    put(&client, "grants", "g", vec![("ttl", n(START_MS / 1_000 + 1))]).await;
    pass(2).await;
    assert_eq!(world.sweep_ttl().unwrap(), 1);
    world.settle().await;
    assert_eq!(lines(&log), ["INSERT by someone", "REMOVE by dynamodb.amazonaws.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_a_stream_may_be_delivered_twice() {
    let world = world();
    let client = dynamo(&world);
    let log = log();
    attach_stream(&world, stream_trigger(), &log, "", 0);
    let invoke = Matching::operation("Invoke").of(Service::Lambda).on("grants");
    world.set_fault_hook(Some(Arc::new(Faults::seeded(1).nth(1, invoke, Fault::InvokedTwice))));
    put(&client, "grants", "g1", vec![]).await;
    world.settle().await;
    assert_eq!(lines(&log), ["INSERT g1", "INSERT g1"]);
}
