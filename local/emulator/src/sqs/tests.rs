//! Times that go backwards, and threads that race for one queue.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use proptest::prelude::*;

use super::Sqs;
use super::message::Sending;
use super::queue::Queue;
use crate::clock::WorldClock;
use crate::signals::Signals;
use crate::stack::QueueSpec;

const QUEUE: &str = "jobs.fifo";
const START_MS: i64 = 1_767_323_045_000;

fn sending(number: usize, groups: usize) -> Sending {
    Sending {
        body: number.to_string(),
        group: Some((number % groups).to_string()),
        deduplication: number.to_string(),
        delay_ms: None,
        attributes: serde_json::Value::Null,
        trace_header: None,
    }
}

/// Threads send messages and others receive them, while the clock moves a millisecond at every
/// step of any thread. Gives the messages that were received.
fn race(senders: usize, receivers: usize, each: usize, groups: usize) -> usize {
    let clock = WorldClock::at(START_MS);
    let specs = [QueueSpec { visibility_ms: 3_600_000, ..QueueSpec::named(QUEUE) }];
    let sqs = Sqs::open(&specs, None, &clock, &Signals::default()).unwrap();
    let (steps, received) = (AtomicI64::new(0), AtomicUsize::new(0));
    let sent_all = AtomicBool::new(false);
    // `set_skew_ms` of a lower step may come last, so the clock also goes back a little: real
    // clocks do, and the queue must bear it.
    let step = || clock.set_skew_ms(steps.fetch_add(1, Ordering::Relaxed));
    let receive = || {
        step();
        let given = sqs.receive(QUEUE, 10, None).unwrap();
        let receipts: Vec<String> = given.iter().map(super::Message::receipt).collect();
        sqs.delete_all(QUEUE, receipts.iter().map(String::as_str)).unwrap();
        received.fetch_add(given.len(), Ordering::Relaxed);
        given.is_empty()
    };
    std::thread::scope(|scope| {
        let sending_threads: Vec<_> = (0..senders)
            .map(|sender| {
                let (sqs, step) = (&sqs, &step);
                scope.spawn(move || {
                    for number in 0..each {
                        step();
                        let sending = sending(sender * each + number, groups);
                        sqs.with(QUEUE, |queue, now_ms| Ok(queue.send(sending, now_ms))).unwrap();
                    }
                })
            })
            .collect();
        for _ in 0..receivers {
            scope.spawn(|| {
                loop {
                    if receive() && sent_all.load(Ordering::Acquire) {
                        break;
                    }
                }
            });
        }
        sending_threads.into_iter().for_each(|thread| thread.join().unwrap());
        sent_all.store(true, Ordering::Release);
    });
    loop {
        if receive() {
            break;
        }
    }
    received.load(Ordering::Relaxed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn threads_and_a_stepping_clock_lose_no_message(
        senders in 1..4_usize,
        receivers in 1..4_usize,
        groups in 1..40_usize,
    ) {
        let each = 400;
        prop_assert_eq!(race(senders, receivers, each, groups), senders * each);
    }
}

/// One operation on the model at a time.
#[derive(Clone, Debug)]
enum Step {
    Send { number: usize },
    Receive { max: usize },
    Delete { place: usize },
    ChangeVisibility { place: usize, ms: i64 },
}

fn steps() -> impl Strategy<Value = Vec<(Step, i64)>> {
    let step = prop_oneof![
        (0..30_usize).prop_map(|number| Step::Send { number }),
        (1..5_usize).prop_map(|max| Step::Receive { max }),
        (0..8_usize).prop_map(|place| Step::Delete { place }),
        (0..8_usize, 0..20_i64).prop_map(|(place, ms)| Step::ChangeVisibility { place, ms }),
    ];
    proptest::collection::vec((step, -20..40_i64), 1..60)
}

proptest! {
    #[test]
    fn a_queue_keeps_every_message_receivable_when_times_go_backwards(steps in steps()) {
        let spec = QueueSpec { visibility_ms: 10, ..QueueSpec::named(QUEUE) };
        let mut queue = Queue::new(spec);
        let (mut sent, mut deleted) = (BTreeSet::new(), BTreeSet::new());
        let mut receipts: Vec<(u64, String)> = Vec::new();
        for (step, offset_ms) in steps {
            let now_ms = START_MS + offset_ms;
            match step {
                Step::Send { number } => {
                    sent.insert(queue.send(sending(number, 3), now_ms).sequence);
                }
                Step::Receive { max } => {
                    let (given, _) = queue.receive(max, 10, now_ms);
                    receipts.extend(given.iter().map(|one| (one.sequence, one.receipt())));
                }
                Step::Delete { place } => {
                    let Some((sequence, receipt)) = receipts.get(place) else { continue };
                    if queue.delete(receipt, now_ms).is_ok() {
                        deleted.insert(*sequence);
                    }
                }
                Step::ChangeVisibility { place, ms } => {
                    let Some((_, receipt)) = receipts.get(place) else { continue };
                    // An expired receipt is refused, which is as good for this test.
                    let _ = queue.change_visibility(receipt, ms, now_ms);
                }
            }
        }
        let late_ms = START_MS + 1_000;
        let (given, dead) = queue.receive(usize::MAX, 10, late_ms);
        prop_assert!(dead.is_empty());
        let given: BTreeSet<u64> = given.iter().map(|one| one.sequence).collect();
        let expected: BTreeSet<u64> = sent.difference(&deleted).copied().collect();
        prop_assert_eq!(given, expected);
    }
}
