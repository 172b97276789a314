//! Stream records: from the engine's rows to the events that a function gets.

use std::time::{Duration, UNIX_EPOCH};

use aws_lambda_events::event::dynamodb::{EventRecord, StreamRecord, StreamViewType, UserIdentity};
use dynoxide::storage::StreamRecord as Stored;
use serde_json::{Value, json};

use crate::names;
use crate::pattern::Pattern;

/// Makes a stored number a public one of 21 digits, the shape that `DynamoDB`'s have.
const SEQUENCE_OFFSET: u128 = 100_000_000_000_000_000_000;

/// Whether a record goes to a function: one of the filters must match, if there are any.
pub(super) fn passes(filters: &[Pattern], stored: &Stored) -> bool {
    let image = |text: Option<&str>| {
        text.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or_default()
    };
    let (new, old) = (image(stored.new_image.as_deref()), image(stored.old_image.as_deref()));
    // DynamoDB writes no record for a write that changes nothing; the engine does.
    if !new.is_null() && new == old {
        return false;
    }
    if filters.is_empty() {
        return true;
    }
    let mut change = json!({ "Keys": image(Some(&stored.keys_json)) });
    for (name, image) in [("NewImage", new), ("OldImage", old)] {
        if !image.is_null() {
            change[name] = image;
        }
    }
    let event = json!({ "eventName": stored.event_name, "dynamodb": change });
    filters.iter().any(|filter| filter.matches(&event))
}

/// The time of the write, in epoch milliseconds; streams keep seconds.
pub(super) fn created_ms(stored: &Stored) -> i64 {
    stored.created_at.saturating_mul(1_000)
}

/// The event record of a stored one.
pub(super) fn record(
    table: &str,
    view: &StreamViewType,
    stored: &Stored,
    position: i64,
) -> EventRecord {
    let item = |text: &str| serde_json::from_str::<serde_dynamo::Item>(text);
    let item = |text: Option<&str>| text.and_then(|text| item(text).ok()).unwrap_or_default();
    let mut change = StreamRecord::default();
    change.keys = item(Some(&stored.keys_json));
    change.new_image = item(stored.new_image.as_deref());
    change.old_image = item(stored.old_image.as_deref());
    change.sequence_number = Some(public_number(position));
    change.stream_view_type = Some(view.clone());
    let seconds = u64::try_from(stored.created_at).unwrap_or(0);
    change.approximate_creation_date_time = (UNIX_EPOCH + Duration::from_secs(seconds)).into();
    let size = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let size = stored.keys_json.len() + size(&stored.new_image) + size(&stored.old_image);
    change.size_bytes = i64::try_from(size).unwrap_or(i64::MAX);
    let mut record = EventRecord::default();
    record.event_id = format!("{position:032x}");
    record.event_name.clone_from(&stored.event_name);
    record.event_source = Some("aws:dynamodb".to_owned());
    record.event_version = Some("1.1".to_owned());
    record.event_source_arn = Some(names::stream_arn(table));
    record.aws_region = names::REGION.to_owned();
    record.table_name = Some(table.to_owned());
    record.user_identity = stored.user_identity.as_ref().map(|_| {
        // The only identity in stream records is the one that deletes expired items.
        let mut identity = UserIdentity::default();
        "Service".clone_into(&mut identity.type_);
        "dynamodb.amazonaws.com".clone_into(&mut identity.principal_id);
        identity
    });
    record.change = change;
    record
}

pub(super) fn public_number(position: i64) -> String {
    let position = u128::try_from(position).unwrap_or(0);
    SEQUENCE_OFFSET.saturating_add(position).to_string()
}
