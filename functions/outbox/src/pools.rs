//! The stream of the pools table: each new entry of a bucket is sent to be paid.
//!
//! # Guarantees
//! * Every entry that the new image has and the old one has not is sent, with all that its payment
//!   needs: `each_new_entry_is_sent_once`.
//! * What comes before a failure is not sent again by this function:
//!   `the_first_record_not_taken_is_reported`.
//! * An entry that cannot be read, or that no draw can have written, is not paid. It stops no
//!   other, and the record goes to the dead-letter queue:
//!   `an_entry_that_cannot_be_is_dead_lettered_and_stops_no_other`.
//! * Only if that fails is the record reported: `a_record_that_cannot_be_dead_lettered_is_reported`.

use aws_lambda_events::event::dynamodb::EventRecord;
use largesse_app::grant::dispatch::dispatch;
use largesse_app::ports::{DeadRecords, GrantQueue, UnreadableRecord};
use largesse_aws::pool::stream::new_entries;
use largesse_domain::id::UserId;

use crate::{dead_letter, json_of, key_of};

/// A record that holds something that must not be paid.
struct Unreadable<'a> {
    position: usize,
    record: &'a EventRecord,
    problem: String,
    members: Vec<UserId>,
}

/// Sends the batch's new entries in their order, then dead-letters what cannot be read. Gives the
/// position of the first record of which either failed.
pub async fn handle<D: GrantQueue + DeadRecords>(
    deps: &D,
    records: &[EventRecord],
) -> Option<usize> {
    let mut messages = Vec::new();
    // Where in the batch the record of each message stands.
    let mut positions = Vec::new();
    let mut unreadable = Vec::new();
    for (position, record) in records.iter().enumerate() {
        let (old, new) = (&record.change.old_image, &record.change.new_image);
        // An item without entries is no bucket: the mapping's filter lets none through.
        if !new.contains_key("draws") {
            continue;
        }
        match new_entries(old.clone().into_inner(), new.clone().into_inner()) {
            Ok(new) => {
                positions.extend(new.messages.iter().map(|_| position));
                messages.extend(new.messages);
                if !new.impossible.is_empty() {
                    let problem = "entries that no draw can have written".to_owned();
                    let members = new.impossible;
                    unreadable.push(Unreadable { position, record, problem, members });
                }
            }
            Err(error) => {
                let (problem, members) = (error.causes(), Vec::new());
                unreadable.push(Unreadable { position, record, problem, members });
            }
        }
    }
    let not_taken = dispatch(deps, &messages).await;
    let not_taken = not_taken.and_then(|message| positions.get(message).copied());
    let sent = not_taken.unwrap_or(records.len());
    let (count, entries) = (records.len(), messages.len());
    tracing::info!(batch.records = count, batch.entries = entries, batch.sent_up_to = sent);
    // What stands behind the first failure comes again with it.
    unreadable.retain(|record| record.position < sent);
    let not_kept = dead_letter_all(deps, unreadable).await;
    // What was not dead-lettered stands before what was not taken.
    not_kept.or(not_taken)
}

/// Dead-letters records in their order; gives the position of the first that could not be.
async fn dead_letter_all<D: DeadRecords>(deps: &D, records: Vec<Unreadable<'_>>) -> Option<usize> {
    for Unreadable { position, record, problem, members } in records {
        let number = record.change.sequence_number.as_deref();
        let count = members.len();
        tracing::error!(
            bucket.key = key_of(record),
            stream.sequence_number = number,
            entries.impossible = count,
            problem,
            "an entry cannot be paid"
        );
        let record = UnreadableRecord { problem, members, record: json_of(record) };
        if !dead_letter(deps, &record).await {
            return Some(position);
        }
    }
    None
}
