//! The rows of a queue on disk: one per message, one per remembered deduplication id.

use dynoxide::DynoxideError;

use super::SqsError;
use super::message::{Changed, Message, Remembered};
use super::queue::Queue;
use crate::dynamo::Database;

/// Writes what changed in `queues`, in one transaction.
pub(super) fn save(queues: &mut [&mut Queue], disk: &Database) -> Result<(), SqsError> {
    let mut rows = Vec::new();
    for queue in queues {
        for change in std::mem::take(&mut queue.changed) {
            rows.push(row(queue, change)?);
        }
    }
    disk.save_rows(&rows).map_err(|error| SqsError::internal(&error.to_string()))
}

fn row(queue: &Queue, change: Changed) -> Result<(String, Option<String>), SqsError> {
    let name = &queue.spec.name;
    let (key, value) = match change {
        Changed::Message(sequence) => (
            format!("message/{name}/{sequence:020}"),
            queue.messages.get(&sequence).map(serde_json::to_string),
        ),
        Changed::Deduplication(key) => (
            format!("deduplication/{name}/{}", hex::encode(key)),
            queue.remembered.get(&key).map(serde_json::to_string),
        ),
    };
    let value = value.transpose().map_err(|error| SqsError::internal(&error.to_string()))?;
    Ok((key, value))
}

/// Reads a queue from disk. Messages that were in flight are visible at once: their receiver was
/// part of the process that ended. AWS cannot know that, and would wait for the timeout.
pub(super) fn load(queue: &mut Queue, disk: &Database, now_ms: i64) -> Result<(), DynoxideError> {
    let broken = |error: serde_json::Error| DynoxideError::InternalServerError(error.to_string());
    for (_, value) in disk.load_rows(&format!("message/{}/", queue.spec.name))? {
        let mut message: Message = serde_json::from_str(&value).map_err(broken)?;
        if message.in_flight {
            message.visible_ms = message.visible_ms.min(now_ms);
        }
        queue.insert(message);
    }
    let prefix = format!("deduplication/{}/", queue.spec.name);
    let mut remembered = Vec::new();
    for (row_key, value) in disk.load_rows(&prefix)? {
        let one: Remembered = serde_json::from_str(&value).map_err(broken)?;
        let mut key = [0; 16];
        // Another form of key is from an older version, and out of date after five minutes.
        if hex::decode_to_slice(&row_key[prefix.len()..], &mut key).is_ok() {
            remembered.push((key, one));
        }
    }
    remembered.sort_by_key(|(_, one)| one.until_ms);
    for (key, one) in remembered {
        queue.remember(key, one);
    }
    queue.changed.clear();
    Ok(())
}
