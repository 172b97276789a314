//! The stream of the products table: a product that is marked as sold out is published.
//!
//! # Guarantees
//! * The mark is published, and no other change of a product:
//!   `a_product_that_is_marked_as_sold_out_is_published_and_nothing_else_is`.
//! * The first record that is not published is reported:
//!   `what_stands_behind_a_product_that_is_not_published_waits`.
//! * A record that cannot be read goes to the dead-letter queue and stops no other:
//!   `a_product_that_cannot_be_read_is_dead_lettered_and_stops_no_other`.

use aws_lambda_events::event::dynamodb::EventRecord;
use largesse_app::ports::{DeadRecords, Events, UnreadableRecord};
use largesse_aws::product::stream::sold_out;

use crate::{dead_letter, json_of, key_of};

/// Publishes what the batch's records say, one by one. Gives the position of the first that failed.
pub async fn handle<D: Events + DeadRecords>(deps: &D, records: &[EventRecord]) -> Option<usize> {
    for (position, record) in records.iter().enumerate() {
        let key = key_of(record);
        let (new, old) = (record.change.new_image.clone(), record.change.old_image.clone());
        let is_done = match sold_out(new.into_inner(), &old.into_inner()) {
            Ok(None) => true,
            Ok(Some(event)) => {
                let done = deps.publish(&event).await;
                if let Err(error) = &done {
                    let cause = error.causes();
                    tracing::warn!(product.key = key, error.cause = cause, "not published");
                }
                done.is_ok()
            }
            Err(error) => {
                let number = record.change.sequence_number.as_deref();
                let problem = error.causes();
                tracing::error!(
                    product.key = key,
                    stream.sequence_number = number,
                    problem,
                    "a product that is sold out is not published"
                );
                let (members, record) = (Vec::new(), json_of(record));
                dead_letter(deps, &UnreadableRecord { problem, members, record }).await
            }
        };
        if !is_done {
            return Some(position);
        }
    }
    None
}

#[cfg(test)]
mod tests;
