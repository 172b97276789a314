//! The messages of the queues.

use largesse_aws::campaign::ended::read_ended;
use largesse_aws::campaign::jobs::{read_job, write_job};
use largesse_aws::campaign_results::message::{read_chunk_body, write_chunk_body};
use largesse_aws::grant::dead::read_dead_record;
use largesse_aws::grant::message::{read_body, write_body};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::edits::{Edit, NodeEdit, edited, edits, node_edits, rounds, with_nodes};

const GRANT: &str = include_str!("../../events/grant-pay/happy.json");
const CHUNK: &str = include_str!("../../events/campaign-pay/happy.json");
const SEAL: &str = include_str!("../../events/campaign-seal/happy.json");
const PAY: &str = include_str!("../../events/campaign-fanout/happy.json");
const NOTICE: &str = include_str!("../../events/notify/happy.json");

/// The body of the first message of an event.
fn body(event: &str) -> Value {
    let event: Value = serde_json::from_str(event).unwrap();
    serde_json::from_str(event["Records"][0]["body"].as_str().unwrap()).unwrap()
}

/// A dead letter of the outbox.
fn dead() -> Value {
    let event = include_str!("../../events/outbox/happy.json");
    let event: Value = serde_json::from_str(event).unwrap();
    json!({ "unreadable": "why", "members": ["ann"], "record": event["Records"][0] })
}

/// The sample, changed: first values, then bytes.
fn text_of(sample: &Value, nodes: &[NodeEdit], edits: &[Edit]) -> String {
    let text = edited(with_nodes(sample, nodes).to_string().as_bytes(), edits);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn the_samples_are_read() {
    read_body(&body(GRANT).to_string()).unwrap();
    read_chunk_body(&body(CHUNK).to_string()).unwrap();
    for job in [SEAL, PAY] {
        read_job(&body(job).to_string()).unwrap();
    }
    read_ended(&body(NOTICE).to_string()).unwrap();
    assert_eq!(read_dead_record(&dead().to_string()).unwrap().members, ["ann"]);
}

proptest! {
    #![proptest_config(rounds())]

    #[test]
    fn a_grant_that_can_be_read_is_written_as_it_was_read(
        nodes in node_edits(), edits in edits(),
    ) {
        if let Ok(message) = read_body(&text_of(&body(GRANT), &nodes, &edits)) {
            prop_assert_eq!(read_body(&write_body(&message).unwrap()).unwrap(), message);
        }
    }

    #[test]
    fn a_chunk_that_can_be_read_is_written_as_it_was_read(
        nodes in node_edits(), edits in edits(),
    ) {
        if let Ok(message) = read_chunk_body(&text_of(&body(CHUNK), &nodes, &edits)) {
            let written = write_chunk_body(&message).unwrap();
            prop_assert_eq!(read_chunk_body(&written).unwrap(), message);
        }
    }

    #[test]
    fn a_job_that_can_be_read_is_written_as_it_was_read(
        is_seal: bool, nodes in node_edits(), edits in edits(),
    ) {
        let sample = body(if is_seal { SEAL } else { PAY });
        if let Ok(job) = read_job(&text_of(&sample, &nodes, &edits)) {
            prop_assert_eq!(read_job(&write_job(&job).unwrap()).unwrap(), job);
        }
    }

    #[test]
    fn a_notice_and_a_dead_letter_that_are_no_json_are_refused(
        is_notice: bool, nodes in node_edits(), edits in edits(),
    ) {
        let text = text_of(&if is_notice { body(NOTICE) } else { dead() }, &nodes, &edits);
        let is_read = read_ended(&text).is_ok() || read_dead_record(&text).is_some();
        prop_assert!(!is_read || serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
    }
}
