//! Dead letters in words.

use largesse_aws::dead::DeadRecord;
use largesse_domain::grant::{Grant, GrantStatus};
use serde_json::Value;

/// Why a message about this grant is a dead letter.
pub(super) fn of_grant(grant: Option<&Grant>) -> String {
    let Some(grant) = grant else { return "there is no such grant".to_owned() };
    let failure = grant.failure.as_deref();
    match grant.status {
        GrantStatus::PermanentlyFailed => {
            let failure = failure.unwrap_or("for a reason that was not noted");
            format!("given up after {} failures: {failure}", grant.attempts)
        }
        GrantStatus::Success => "paid meanwhile: nothing is owed".to_owned(),
        GrantStatus::Pending | GrantStatus::Processing | GrantStatus::Failed => {
            let failure = failure.map(|failure| format!(", the last failure: {failure}"));
            format!("received too often without an outcome{}", failure.unwrap_or_default())
        }
    }
}

/// Why the outbox's mapping gave up, as Lambda tells the destination of failures.
pub(super) fn of_positions(body: &str) -> String {
    let told: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let field = |path: &str| match told.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "?".to_owned(),
        Some(other) => other.to_string(),
    };
    format!(
        "{}: {} records from {} to {} of {}",
        field("/requestContext/condition"),
        field("/DDBStreamBatchInfo/batchSize"),
        field("/DDBStreamBatchInfo/startSequenceNumber"),
        field("/DDBStreamBatchInfo/endSequenceNumber"),
        field("/DDBStreamBatchInfo/shardId"),
    )
}

/// What the outbox could not read, and whether it can be read by now.
pub(super) fn of_record(record: &DeadRecord, is_readable: bool) -> String {
    let DeadRecord { attribute, pk, sk } = record;
    let now = if is_readable { "it can be read by now" } else { "mend it, then redrive" };
    format!("a new grant whose {attribute} cannot be read: {pk} {sk}; {now}")
}
