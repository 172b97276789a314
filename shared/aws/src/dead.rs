//! The outbox's dead letters: new grants that it could not read.

use largesse_app::ports::{DeadRecords, PortResult, UnreadableRecord};
use largesse_domain::id::{PoolId, UserId};
use serde_json::{Value, json};

use crate::errors::{corrupt, port_error};
use crate::keys::{MEMBER, PK, SK};
use crate::store::Store;

/// How long a message may be (Amazon SQS quotas: 256 KiB, before that was raised to 1 MiB). An item
/// of DynamoDB may be 400 KB.
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// What a dead letter of the outbox tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRecord {
    /// The attribute that could not be read.
    pub attribute: String,
    /// The partition key of the grant, as it stands in the table.
    pub pk: String,
    /// Its sort key.
    pub sk: String,
}

impl DeadRecord {
    /// Whose grant it is; `None` when the keys themselves say nothing.
    #[must_use]
    pub fn grant(&self) -> Option<(PoolId, UserId)> {
        let member = self.sk.strip_prefix(MEMBER)?;
        Some((self.pk.parse().ok()?, member.parse().ok()?))
    }
}

/// Reads a dead letter; `None` when it is no letter of the outbox itself, but one of its mapping.
#[must_use]
pub fn read_letter(text: &str) -> Option<DeadRecord> {
    let letter: Value = serde_json::from_str(text).ok()?;
    let attribute = letter.get("unreadable")?.as_str()?.to_owned();
    let key = |name: &str| {
        let key = letter.pointer(&format!("/record/dynamodb/Keys/{name}/S"));
        key.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    Some(DeadRecord { attribute, pk: key(PK), sk: key(SK) })
}

/// The body of a letter. An image that is too long for a message is left out: the table has it.
fn letter_of(unreadable: &UnreadableRecord) -> PortResult<String> {
    let record: Value =
        serde_json::from_str(&unreadable.record).map_err(|_| corrupt("stream record"))?;
    let mut letter = json!({ "unreadable": unreadable.attribute, "record": record });
    let mut body = sendable(&letter);
    if body.len() > MESSAGE_BYTES_MAX {
        if let Some(image) = letter.pointer_mut("/record/dynamodb/NewImage") {
            *image = Value::Null;
        }
        body = sendable(&letter);
    }
    Ok(body)
}

/// JSON without the two characters that JSON may hold as they are and SQS refuses (Amazon SQS API
/// reference, `SendMessage`: up to U+FFFD). Both stand in strings only, so both can be escaped.
fn sendable(letter: &Value) -> String {
    letter.to_string().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
}

impl DeadRecords for Store {
    async fn bury(&self, record: &UnreadableRecord) -> PortResult<()> {
        self.sqs
            .send_message()
            .queue_url(&self.names.queue_outbox_dlq_url)
            .message_body(letter_of(record)?)
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("bury a stream record", error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;

    fn unreadable(member: &str, memo: &str) -> UnreadableRecord {
        let keys = json!({
            "pk": { "S": "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV" },
            "sk": { "S": format!("MEMBER#{member}") },
        });
        let record = json!({ "dynamodb": { "Keys": keys, "NewImage": { "memo": { "S": memo } } } });
        UnreadableRecord { attribute: "grant_id", record: record.to_string() }
    }

    #[test]
    fn a_letter_tells_whose_grant_could_not_be_read_and_why() {
        let body = letter_of(&unreadable("bob", "short")).unwrap();
        assert!(body.contains("short"));
        let letter = read_letter(&body).unwrap();
        assert_eq!(letter.attribute, "grant_id");
        assert_eq!(letter.grant().unwrap().1.as_str(), "bob");
        assert!(read_letter(&letter_of(&unreadable("", "")).unwrap()).unwrap().grant().is_none());
    }

    #[test]
    fn a_letter_fits_into_a_message_whatever_the_item_holds() {
        let letter = unreadable("bob", &"가".repeat(100_000));
        let body = letter_of(&letter).unwrap();
        assert!(body.len() <= MESSAGE_BYTES_MAX, "{} bytes", body.len());
        assert_eq!(read_letter(&body).unwrap().grant().unwrap().1.as_str(), "bob");
    }

    #[test]
    fn a_letter_holds_no_character_that_the_queue_refuses() {
        let body = letter_of(&unreadable("\u{ffff}", "\u{0}\u{b}\u{fffe}")).unwrap();
        let is_taken = |c: char| {
            matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
                || c >= '\u{10000}'
        };
        assert!(body.chars().all(is_taken), "{body}");
        assert_eq!(read_letter(&body).unwrap().sk, "MEMBER#\u{ffff}");
    }

    #[test]
    fn what_the_mapping_tells_is_no_letter_of_the_outbox() {
        let told = r#"{"requestContext":{"condition":"RecordAgeExceeded"}}"#;
        assert_eq!((read_letter(told), read_letter("nonsense")), (None, None));
    }
}
