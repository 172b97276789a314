//! Event source mappings.

mod rules;
mod streams;

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
