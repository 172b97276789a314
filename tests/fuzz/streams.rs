//! The images of the streams: items as a table has them, or as a hand could leave them.

use std::collections::HashMap;

use aws_lambda_events::event::dynamodb::EventRecord;
use largesse_app::ports::Event;
use largesse_aws::campaign::stream::{Consequence, consequence};
use largesse_aws::pool::stream::new_entries;
use largesse_aws::product::stream::sold_out;
use proptest::prelude::*;
use serde_dynamo::AttributeValue;
use serde_json::{Value, json};

use crate::edits::{node_edits, rounds, with_nodes};

type Image = HashMap<String, AttributeValue>;

/// Both images of a record; `None` when the record is none that Lambda could hand over.
fn images(record: &Value) -> Option<(Image, Image)> {
    let record: EventRecord = serde_json::from_value(record.clone()).ok()?;
    let change = record.change;
    Some((change.old_image.into_inner(), change.new_image.into_inner()))
}

/// The record of a draw.
fn drawn() -> Value {
    let event = include_str!("../../events/outbox/happy.json");
    let event: Value = serde_json::from_str(event).unwrap();
    event["Records"][0].clone()
}

/// The same record with this new image and no old one.
fn added(image: Value) -> Value {
    let mut record = drawn();
    record["dynamodb"]["OldImage"] = json!({});
    record["dynamodb"]["NewImage"] = image;
    record
}

fn audited() -> Value {
    added(json!({
        "pk": { "S": "CAMPAIGN#01M53SCS78FCGCJKPHMVSGGQ0K" }, "sk": { "S": "AUDIT#0000000007" },
        "at_ms": { "N": "1792202402000" }, "by": { "S": "ann" }, "action": { "S": "run" },
        "details": { "M": { "fence": { "S": "3" } } },
    }))
}

fn marked() -> Value {
    added(json!({
        "pk": { "S": "PRODUCT#01M53SCS78FCGCJKPHMVSGGQ0K" }, "sk": { "S": "PRODUCT" },
        "title": { "S": "Solar park 7" }, "target": { "N": "1000000" }, "opens_ms": { "N": "1" },
        "closes_ms": { "N": "2" }, "min_investment": { "N": "1" }, "issuer": { "S": "bob" },
        "creator": { "S": "ann" }, "shards": { "N": "16" }, "sold_out_ms": { "N": "2" },
    }))
}

#[test]
fn the_samples_are_read() {
    let (old, new) = images(&drawn()).unwrap();
    assert!(!new_entries(old, new).unwrap().messages.is_empty());
    let (_, new) = images(&audited()).unwrap();
    assert!(matches!(consequence(new).unwrap(), Consequence::Job(_)));
    let (old, new) = images(&marked()).unwrap();
    assert!(matches!(sold_out(new, &old).unwrap(), Some(Event::ProductSoldOut(_))));
}

proptest! {
    #![proptest_config(rounds())]

    #[test]
    fn no_image_of_a_bucket_pays_more_than_its_entries(nodes in node_edits()) {
        let record = with_nodes(&drawn(), &nodes);
        let Some((old, new)) = images(&record) else { return Ok(()) };
        let entries = match new.get("draws") {
            Some(AttributeValue::M(draws)) => draws.len(),
            _ => 0,
        };
        let Ok(found) = new_entries(old, new) else { return Ok(()) };
        prop_assert!(found.messages.len() + found.impossible.len() <= entries, "{}", record);
    }

    #[test]
    fn an_audit_entry_of_any_image_starts_only_what_its_action_says(nodes in node_edits()) {
        let Some((_, new)) = images(&with_nodes(&audited(), &nodes)) else { return Ok(()) };
        let is_run = new.get("action") == Some(&AttributeValue::S("run".to_owned()));
        let found = consequence(new);
        prop_assert!(is_run || !matches!(found, Ok(Consequence::Job(_))), "{:?}", found);
    }

    #[test]
    fn a_product_of_any_image_is_told_only_when_it_is_newly_sold_out(nodes in node_edits()) {
        let Some((old, new)) = images(&with_nodes(&marked(), &nodes)) else { return Ok(()) };
        let is_new = new.contains_key("sold_out_ms") && !old.contains_key("sold_out_ms");
        let told = sold_out(new, &old);
        prop_assert!(is_new || matches!(told, Ok(None)), "{:?}", told);
    }
}
