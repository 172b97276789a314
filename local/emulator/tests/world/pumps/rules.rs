//! Rules of the bus, and schedules.

use super::*;

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
