//! The stream of the grants table: each new grant is sent to be paid.
//!
//! # Guarantees
//! * What comes before a failure is not sent again by us: `the_first_record_not_taken_is_reported`.
//! * A poisoned record stops no other, and is not lost: it goes to the outbox's dead letters,
//!   whole, and is done with: `a_record_that_cannot_be_read_is_buried_and_stops_no_other`. Only if
//!   that fails is it reported: `a_record_that_cannot_be_buried_is_reported`.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use largesse_app::grant::dispatch::dispatch;
use largesse_app::ports::{DeadRecords, GrantQueue, GrantRef, UnreadableRecord};
use serde_dynamo::AttributeValue;

/// The ports that the function uses.
pub trait Deps: GrantQueue + DeadRecords {}

impl<T: GrantQueue + DeadRecords> Deps for T {}

/// What a record means.
#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// A grant to be paid.
    Grant(GrantRef),
    /// Nothing to do: the mapping's filter lets none of these through.
    Other,
    /// A new grant that nobody can read, for want of this attribute.
    Poisoned(&'static str),
}

/// Sends the batch's grants in their order, then buries what cannot be read. Reports the first
/// record that was neither sent nor buried: Lambda goes on from there.
pub async fn handle<D: Deps>(deps: &D, event: Event) -> DynamoDbEventResponse {
    let mut grants = Vec::new();
    // Where each grant stands in the batch.
    let mut positions = Vec::new();
    let mut poisoned = Vec::new();
    for (position, record) in event.records.iter().enumerate() {
        match read(record) {
            Read::Grant(grant) => {
                grants.push(grant);
                positions.push(position);
            }
            Read::Other => {}
            Read::Poisoned(attribute) => poisoned.push((position, record, attribute)),
        }
    }
    let not_taken = dispatch(deps, &grants).await;
    let not_taken = not_taken.and_then(|grant| positions.get(grant).copied());
    let sent = not_taken.unwrap_or(event.records.len());
    tracing::info!(batch.records = event.records.len(), batch.sent_up_to = sent);
    // What stands behind the first failure comes again with it.
    poisoned.retain(|(position, ..)| *position < sent);
    let not_buried = bury(deps, poisoned).await;
    let mut response = DynamoDbEventResponse::default();
    // What was not buried stands before what was not taken.
    if let Some(first) = not_buried.or(not_taken) {
        let number = event.records.get(first).and_then(|r| r.change.sequence_number.clone());
        let mut failure = DynamoDbBatchItemFailure::default();
        // Without a number, Lambda takes the whole batch as failed.
        failure.item_identifier = Some(number.unwrap_or_default());
        response.batch_item_failures.push(failure);
    }
    response
}

/// Buries records in their order; gives the position of the first that could not be.
async fn bury<D: DeadRecords>(
    deps: &D,
    poisoned: Vec<(usize, &EventRecord, &'static str)>,
) -> Option<usize> {
    for (position, record, attribute) in poisoned {
        let number = record.change.sequence_number.as_deref();
        tracing::error!(stream.sequence_number = number, attribute, "a new grant cannot be read");
        // What came as JSON goes as JSON.
        let record = serde_json::to_string(record).unwrap_or_default();
        if let Err(error) = deps.bury(&UnreadableRecord { attribute, record }).await {
            tracing::error!(error.cause = error.causes(), "it was not buried");
            return Some(position);
        }
    }
    None
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
        let member = || text("sk")?.strip_prefix("MEMBER#")?.parse().ok();
        Ok(GrantRef {
            pool: text("pk").and_then(|pk| pk.parse().ok()).ok_or("pk")?,
            member: member().ok_or("sk")?,
            id: text("grant_id").and_then(|id| id.parse().ok()).ok_or("grant_id")?,
        })
    };
    grant().map_or_else(Read::Poisoned, Read::Grant)
}

#[cfg(test)]
mod tests;
