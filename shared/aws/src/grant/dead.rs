//! The dead-letter queue of the outbox: entries that it could not read.

use largesse_app::ports::{DeadRecords, PortResult, UnreadableRecord};
use largesse_domain::id::UserId;
use serde_json::{Value, json};

use crate::errors::{corrupt, port_error};
use crate::keys::PK;
use crate::store::Store;

/// How long a message may be (Amazon SQS quotas: 256 KiB, before that was raised to 1 MiB). An item
/// of DynamoDB may be 400 KB.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// What a dead letter of the outbox says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRecord {
    /// What is wrong with the record.
    pub problem: String,
    /// The members whose entries cannot be; empty when the whole record cannot be read.
    pub members: Vec<String>,
    /// The key of the bucket, as it stands in the table.
    pub bucket: String,
}

/// Reads a dead letter; `None` when the outbox did not write it, but its mapping.
#[must_use]
pub fn read_dead_record(text: &str) -> Option<DeadRecord> {
    let body: Value = serde_json::from_str(text).ok()?;
    let problem = body.get("unreadable")?.as_str()?.to_owned();
    let members = body.get("members").and_then(Value::as_array);
    let members = members.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let bucket = body.pointer(&format!("/record/dynamodb/Keys/{PK}/S")).and_then(Value::as_str);
    let bucket = bucket.unwrap_or_default().to_owned();
    Some(DeadRecord { problem, members: members.collect(), bucket })
}

/// The body of a dead letter. Images that are too long for a message are left out: the table has the
/// item.
fn body_of(unreadable: &UnreadableRecord) -> PortResult<String> {
    let record: Value =
        serde_json::from_str(&unreadable.record).map_err(|_| corrupt("stream record"))?;
    let members: Vec<&str> = unreadable.members.iter().map(UserId::as_str).collect();
    let mut body =
        json!({ "unreadable": unreadable.problem, "members": members, "record": record });
    let mut text = sendable(&body);
    if text.len() > MESSAGE_BYTES_MAX {
        for image in ["/record/dynamodb/NewImage", "/record/dynamodb/OldImage"] {
            if let Some(image) = body.pointer_mut(image) {
                *image = Value::Null;
            }
        }
        text = sendable(&body);
    }
    Ok(text)
}

/// JSON without the two characters that JSON may hold as they are and SQS refuses (Amazon SQS API
/// reference, `SendMessage`: up to U+FFFD). Both stand in strings only, so both can be escaped.
fn sendable(body: &Value) -> String {
    body.to_string().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

impl DeadRecords for Store {
    async fn dead_letter_record(&self, record: &UnreadableRecord) -> PortResult<()> {
        self.sqs
            .send_message()
            .queue_url(&self.names.queue_outbox_dlq_url)
            .message_body(body_of(record)?)
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("dead-letter a stream record", error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;

    fn unreadable(key: &str, text: &str) -> UnreadableRecord {
        let keys = json!({ "pk": { "S": key } });
        let record = json!({ "dynamodb": { "Keys": keys, "NewImage": { "text": { "S": text } } } });
        let members = vec!["bob".parse().unwrap()];
        let problem = "entries that cannot be".to_owned();
        UnreadableRecord { problem, members, record: record.to_string() }
    }

    #[test]
    fn a_dead_letter_says_which_entries_could_not_be_read_and_why() {
        let body = body_of(&unreadable("SPRAY#X#0", "short")).unwrap();
        assert!(body.contains("short"));
        let dead = read_dead_record(&body).unwrap();
        assert_eq!(dead.problem, "entries that cannot be");
        assert_eq!((dead.members, dead.bucket), (vec!["bob".to_owned()], "SPRAY#X#0".to_owned()));
    }

    #[test]
    fn a_dead_letter_fits_into_a_message_whatever_the_item_holds() {
        let body = body_of(&unreadable("SPRAY#X#0", &"가".repeat(100_000))).unwrap();
        assert!(body.len() <= MESSAGE_BYTES_MAX, "{} bytes", body.len());
        assert_eq!(read_dead_record(&body).unwrap().bucket, "SPRAY#X#0");
    }

    #[test]
    fn a_dead_letter_holds_no_character_that_the_queue_refuses() {
        let body = body_of(&unreadable("\u{ffff}", "\u{0}\u{b}\u{fffe}")).unwrap();
        let is_taken = |c: char| {
            matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
                || c >= '\u{10000}'
        };
        assert!(body.chars().all(is_taken), "{body}");
        assert_eq!(read_dead_record(&body).unwrap().bucket, "\u{ffff}");
    }

    #[test]
    fn what_the_mapping_sends_is_no_dead_letter_of_the_outbox() {
        let sent = r#"{"requestContext":{"condition":"RecordAgeExceeded"}}"#;
        assert_eq!((read_dead_record(sent), read_dead_record("nonsense")), (None, None));
    }
}
