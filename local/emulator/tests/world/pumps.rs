//! Event source mappings.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::*;
use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use largesse_emulator::{
    Fault, Faults, Matching, Pattern, RuleSpec, RuleTrigger, Service, Stack, StreamTrigger, World,
    WorldClock,
};

type Log = Arc<Mutex<Vec<String>>>;

fn log() -> Log {
    Arc::default()
}

fn lines(log: &Log) -> Vec<String> {
    log.lock().unwrap().clone()
}

/// A handler of a queue that logs bodies and fails the message `fails`, `times` times.
fn attach_queue(world: &World, log: &Log, fails: &'static str, times: u32) {
    let log = Arc::clone(log);
    let left = Arc::new(Mutex::new(times));
    let handler = move |event: aws_lambda_events::event::sqs::SqsEvent| {
        let (log, left) = (Arc::clone(&log), Arc::clone(&left));
        async move {
            let mut response = SqsBatchResponse::default();
            let mut stopped = false;
            for record in event.records {
                let body = record.body.unwrap();
                if body.ends_with(fails) && *left.lock().unwrap() > 0 {
                    *left.lock().unwrap() -= 1;
                    stopped = true;
                }
                if stopped {
                    let mut failure = BatchItemFailure::default();
                    failure.item_identifier = record.message_id.unwrap();
                    response.batch_item_failures.push(failure);
                } else {
                    log.lock().unwrap().push(body);
                }
            }
            Ok(response)
        }
    };
    world.on_queue(queue_trigger(), handler).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failed_message_is_redelivered_in_order_after_its_visibility_timeout() {
    let world = world();
    let client = sqs(&world);
    let log = log();
    attach_queue(&world, &log, "a2", 1);
    for id in ["a1", "a2", "a3"] {
        send(&client, "a", id).await;
    }
    send(&client, "b", "b1").await;
    world.settle().await;
    assert_eq!(lines(&log), ["body of a1"], "one batch, one order: it stopped at the failure");
    let view = world.queue(QUEUE).unwrap();
    assert_eq!((view.visible, view.in_flight), (0, 3));
    world.settle_with_time().await.unwrap();
    assert_eq!(lines(&log), ["body of a1", "body of a2", "body of a3", "body of b1"]);
    assert_eq!(world.clock().now_ms(), START_MS + 30_000);
}

#[tokio::test(start_paused = true)]
async fn a_poisoned_message_ends_in_the_dead_letter_queue_and_its_group_continues() {
    let world = world();
    let client = sqs(&world);
    let log = log();
    attach_queue(&world, &log, "a1", u32::MAX);
    send(&client, "a", "a1").await;
    send(&client, "a", "a2").await;
    world.settle_with_time().await.unwrap();
    assert_eq!(world.queue(DEAD).unwrap().messages.len(), 2, "both were received three times");
    send(&client, "a", "a3").await;
    world.settle_with_time().await.unwrap();
    assert_eq!(lines(&log), ["body of a3"]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_result_of_a_handler_makes_its_batch_visible_again() {
    let world = world();
    let client = sqs(&world);
    let log = log();
    attach_queue(&world, &log, "never", 0);
    let lost = Matching::operation("Acknowledge").of(Service::Lambda).on(QUEUE);
    let not_run = Matching::operation("Invoke").of(Service::Lambda).on(QUEUE);
    let faults = Faults::seeded(1).nth(1, lost, Fault::ReplyLost);
    world.set_fault_hook(Some(Arc::new(faults.nth(2, not_run, Fault::ResetBeforeCommit))));
    send(&client, "a", "a1").await;
    world.settle_with_time().await.unwrap();
    assert_eq!(lines(&log), ["body of a1", "body of a1"], "the third time it ran again");
    assert_eq!(world.recorder().operation(Service::Lambda, "Invoke").calls, 3);
    assert!(world.queue(DEAD).unwrap().is_empty());
}

/// A handler that logs when a batch begins and, a second later, when it ends.
fn attach_slow(world: &World, log: &Log) {
    let log = Arc::clone(log);
    let handler = move |event: aws_lambda_events::event::sqs::SqsEvent| {
        let log = Arc::clone(&log);
        async move {
            let bodies: Vec<String> = event.records.into_iter().filter_map(|r| r.body).collect();
            log.lock().unwrap().push(format!("begins {}", bodies.join(", ")));
            pass(1).await;
            log.lock().unwrap().push(format!("ends {}", bodies.join(", ")));
            Ok(SqsBatchResponse::default())
        }
    };
    world.on_queue(queue_trigger(), handler).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_batch_may_go_to_two_invocations_or_be_visible_while_its_handler_runs() {
    for fault in [Fault::InvokedTwice, Fault::VisibleEarly] {
        let world = world();
        let client = sqs(&world);
        let log = log();
        attach_slow(&world, &log);
        let invoke = Matching::operation("Invoke").of(Service::Lambda).on(QUEUE);
        world.set_fault_hook(Some(Arc::new(Faults::seeded(1).nth(1, invoke, fault))));
        send(&client, "a", "a1").await;
        world.settle_with_time().await.unwrap();
        let (begins, ends) = ("begins body of a1", "ends body of a1");
        assert_eq!(lines(&log), [begins, begins, ends, ends], "{fault:?}: both at once");
        let invocations = world.recorder().operation(Service::Lambda, "Invoke").calls;
        assert_eq!(invocations, if fault == Fault::VisibleEarly { 2 } else { 1 });
        assert!(world.queue(QUEUE).unwrap().is_empty(), "{fault:?}");
        assert!(world.queue(DEAD).unwrap().is_empty(), "{fault:?}");
    }
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

#[tokio::test(start_paused = true)]
async fn a_panic_or_a_timeout_fails_the_batch_and_nothing_else() {
    let world = world();
    let client = sqs(&world);
    let calls = Arc::new(Mutex::new(0));
    let seen = Arc::clone(&calls);
    let handler = move |_| {
        let call = {
            let mut calls = seen.lock().unwrap();
            *calls += 1;
            *calls
        };
        async move {
            match call {
                1 => panic!("planted"),
                2 => pass(60).await,
                _ => {}
            }
            Ok(SqsBatchResponse::default())
        }
    };
    world.on_queue(queue_trigger(), handler).unwrap();
    send(&client, "a", "a1").await;
    world.settle_with_time().await.unwrap();
    assert_eq!(*calls.lock().unwrap(), 3);
    assert!(world.queue(QUEUE).unwrap().is_empty());
    assert!(world.queue(DEAD).unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn groups_run_side_by_side_and_a_slow_one_delays_no_other() {
    let world = world();
    let client = sqs(&world);
    let log = log();
    let seen = Arc::clone(&log);
    let handler = move |event: aws_lambda_events::event::sqs::SqsEvent| {
        let log = Arc::clone(&seen);
        async move {
            let body = event.records[0].body.clone().unwrap();
            if body.ends_with("slow") {
                pass(10).await;
            }
            log.lock().unwrap().push(body);
            Ok(SqsBatchResponse::default())
        }
    };
    let one_each = largesse_emulator::QueueTrigger { batch_size: 1, ..queue_trigger() };
    world.on_queue(one_each, handler).unwrap();
    let running = world.start();
    send(&client, "a", "slow").await;
    send(&client, "b", "b1").await;
    send(&client, "b", "b2").await;
    pass(1).await;
    assert_eq!(lines(&log), ["body of b1", "body of b2"]);
    running.shutdown().await;
    assert_eq!(lines(&log).len(), 3, "shutting down waits for the slow one");
}

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
async fn a_rule_gets_its_events_and_a_failed_one_again() {
    let world = world();
    let client = eventbridge(&world);
    let log = log();
    let (seen, failed) = (Arc::clone(&log), Arc::new(Mutex::new(false)));
    let handler = move |event: aws_lambda_events::event::eventbridge::EventBridgeEvent| {
        let fails = !std::mem::replace(&mut *failed.lock().unwrap(), true);
        seen.lock().unwrap().push(format!("{} {}", event.detail_type, event.detail["n"]));
        async move { if fails { Err("planted".into()) } else { Ok(()) } }
    };
    let pattern = Pattern::parse(r#"{"source":["largesse"],"detail-type":["Done"]}"#).unwrap();
    let timeout = Duration::from_secs(3);
    let trigger = RuleTrigger { bus: "events".to_owned(), pattern: Some(pattern), timeout };
    world.on_rule(trigger, handler);
    let entry = |kind: &str, detail: &str| {
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder();
        let entry = entry.source("largesse").detail_type(kind).detail(detail);
        entry.event_bus_name("events").build()
    };
    let putting = client.put_events().entries(entry("Done", r#"{"n":1}"#));
    let putting = putting.entries(entry("Begun", r#"{"n":2}"#)).entries(entry("Done", "not json"));
    let put = putting.send().await.unwrap();
    assert_eq!(put.failed_entry_count(), 1);
    assert_eq!(put.entries()[2].error_code(), Some("MalformedDetail"));
    world.settle_with_time().await.unwrap();
    assert_eq!(lines(&log), ["Done 1", "Done 1"]);
    assert_eq!(world.bus().events().len(), 2);
    assert_eq!(world.clock().now_ms(), START_MS + 60_000);
}

#[tokio::test(start_paused = true)]
async fn a_rule_sends_the_whole_event_to_its_queue_and_no_other() {
    let pattern = Pattern::parse(r#"{"detail-type":["Done"]}"#).unwrap();
    let queues = vec!["failures".to_owned()];
    let rule = RuleSpec { bus: "events".to_owned(), pattern: Some(pattern), queues };
    let other = RuleSpec { bus: "default".to_owned(), pattern: None, ..rule.clone() };
    let stack = Stack { rules: vec![rule, other], ..stack() };
    let world = World::memory_at(&stack, WorldClock::at(START_MS)).unwrap();
    let entry = |kind: &str, n: u32| {
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder();
        let entry = entry.source("largesse").detail_type(kind).detail(format!(r#"{{"n":{n}}}"#));
        entry.event_bus_name("events").build()
    };
    let putting = eventbridge(&world).put_events().entries(entry("Done", 1));
    putting.entries(entry("Begun", 2)).send().await.unwrap();
    let messages = world.queue("failures").unwrap().messages;
    let bodies: Vec<serde_json::Value> =
        messages.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect();
    assert_eq!(bodies, [world.bus().events()[0].envelope()]);
    assert_eq!(bodies[0]["detail"]["n"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_runs_by_the_worlds_time() {
    let world = world();
    let log = log();
    let seen = Arc::clone(&log);
    world.on_schedule("sweep", Duration::from_secs(60), move |event| {
        seen.lock().unwrap().push(event.time.unwrap().to_rfc3339());
        async { Ok(()) }
    });
    let running = world.start();
    pass(121).await;
    running.shutdown().await;
    assert_eq!(lines(&log), ["2026-01-02T03:05:05+00:00", "2026-01-02T03:06:05+00:00"]);
    world.run_schedule("sweep").await.unwrap();
    assert!(world.run_schedule("nothing").await.is_err());
    assert_eq!(lines(&log).len(), 3);
}
