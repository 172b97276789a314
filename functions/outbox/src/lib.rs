//! The streams that are outboxes: what the tables say is to be done is sent to be done.
//!
//! | stream of | what is sent | module |
//! | --- | --- | --- |
//! | `pools` | each new entry of a bucket, to be paid | [`pools`] |
//! | `campaigns` | what follows from each new audit entry: a job, or an event | [`campaigns`] |
//! | `products` | that a product is sold out: an event | [`products`] |
//!
//! # Guarantees
//! * Each stream is read by its own rules, and an invocation holds records of one stream:
//!   `each_stream_is_read_by_its_own_rules`.

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use largesse_app::ports::{CampaignJobs, DeadRecords, Events, GrantQueue, UnreadableRecord};
use largesse_aws::product::stream::is_product;
use serde_dynamo::AttributeValue;

pub mod campaigns;
pub mod pools;
pub mod products;
pub mod settings;

/// The ports that the function uses.
pub trait Deps: GrantQueue + CampaignJobs + Events + DeadRecords {}

impl<T: GrantQueue + CampaignJobs + Events + DeadRecords> Deps for T {}

/// Handles a batch of one of the streams. Reports the first record that is not handled: Lambda goes
/// on from there.
pub async fn handle<D: Deps>(deps: &D, event: Event) -> DynamoDbEventResponse {
    let keys = event.records.first().map(|record| &record.change.keys);
    // Of the other tables, only the campaigns' has a sort key.
    let is_campaigns = keys.is_some_and(|keys| keys.contains_key("sk"));
    let first = if keys.is_some_and(|keys| is_product(keys)) {
        products::handle(deps, &event.records).await
    } else if is_campaigns {
        campaigns::handle(deps, &event.records).await
    } else {
        pools::handle(deps, &event.records).await
    };
    let mut response = DynamoDbEventResponse::default();
    if let Some(first) = first {
        let number = event.records.get(first).and_then(|r| r.change.sequence_number.clone());
        let mut failure = DynamoDbBatchItemFailure::default();
        // Without a number, Lambda takes the whole batch as failed.
        failure.item_identifier = Some(number.unwrap_or_default());
        response.batch_item_failures.push(failure);
    }
    response
}

/// The partition key of a record.
fn key_of(record: &EventRecord) -> &str {
    match record.change.keys.get("pk") {
        Some(AttributeValue::S(key)) => key,
        _ => "",
    }
}

/// Dead-letters a record; says whether it is kept.
async fn dead_letter<D: DeadRecords>(deps: &D, record: &UnreadableRecord) -> bool {
    let kept = deps.dead_letter_record(record).await;
    if let Err(error) = &kept {
        tracing::error!(error.cause = error.causes(), "the record was not dead-lettered");
    }
    kept.is_ok()
}

/// A record as JSON: what came as JSON is kept as JSON.
fn json_of(record: &EventRecord) -> String {
    serde_json::to_string(record).unwrap_or_default()
}

#[cfg(test)]
mod tests;
