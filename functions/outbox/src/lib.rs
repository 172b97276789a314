//! The stream of the grants table: each new grant is sent to be paid.
//!
//! # Guarantees
//! * What comes before a failure is not sent again by us: `the_first_record_not_taken_is_reported`.
//! * A poisoned record stops no other: `a_record_that_cannot_be_read_stops_no_other`.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use largesse_app::grant::dispatch::dispatch;
use largesse_app::ports::{GrantQueue, GrantRef};
use serde_dynamo::AttributeValue;

/// What a record means.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// A grant to be paid.
    Grant(GrantRef),
    /// Nothing to do: the mapping's filter lets none of these through.
    Other,
    /// A new grant that nobody can read.
    Poisoned,
}

/// Sends the batch's grants in their order. Reports the first record that was not sent: Lambda goes
/// on from there. A record that cannot be read is reported after all others were sent, so that it
/// delays none; the mapping halves the batch down to it, and after its last retry tells the
/// outbox's dead-letter queue and goes on.
pub async fn handle<D: GrantQueue>(deps: &D, event: Event) -> DynamoDbEventResponse {
    let mut grants = Vec::new();
    // Where each grant stands in the batch.
    let mut positions = Vec::new();
    let mut poisoned = None;
    for (position, record) in event.records.iter().enumerate() {
        match read(record) {
            Read::Grant(grant) => {
                grants.push(grant);
                positions.push(position);
            }
            Read::Other => {}
            Read::Poisoned => {
                tracing::error!(
                    stream.sequence_number = record.change.sequence_number,
                    "a new grant cannot be read"
                );
                poisoned = poisoned.or(Some(position));
            }
        }
    }
    let not_taken = match dispatch(deps, &grants).await {
        Ok(None) => None,
        Ok(Some(grant)) => positions.get(grant).copied(),
        Err(error) => {
            tracing::error!(error.operation = error.operation, "the batch was not sent");
            Some(0)
        }
    };
    let sent = not_taken.unwrap_or(event.records.len());
    tracing::info!(batch.records = event.records.len(), batch.sent_up_to = sent);
    let mut response = DynamoDbEventResponse::default();
    if let Some(first) = poisoned.into_iter().chain(not_taken).min() {
        let number = event.records.get(first).and_then(|r| r.change.sequence_number.clone());
        let mut failure = DynamoDbBatchItemFailure::default();
        // Without a number, Lambda takes the whole batch as failed.
        failure.item_identifier = Some(number.unwrap_or_default());
        response.batch_item_failures.push(failure);
    }
    response
}

fn read(record: &EventRecord) -> Read {
    let image = &record.change.new_image;
    let text = |name: &str| match image.get(name) {
        Some(AttributeValue::S(text)) => Some(text.as_str()),
        _ => None,
    };
    if record.event_name != "INSERT" || text("status").is_some_and(|status| status != "PENDING") {
        return Read::Other;
    }
    let grant = || {
        Some(GrantRef {
            pool: text("pk")?.parse().ok()?,
            member: text("sk")?.strip_prefix("MEMBER#")?.parse().ok()?,
            id: text("grant_id")?.parse().ok()?,
        })
    };
    grant().map_or(Read::Poisoned, Read::Grant)
}

#[cfg(test)]
mod tests;
