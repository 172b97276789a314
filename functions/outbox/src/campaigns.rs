//! The stream of the campaigns table: what follows from each new audit entry.
//!
//! # Guarantees
//! * A seal, a run and a rollback are sent as jobs, an end is published, and every other action has
//!   no consequence, known or not: `each_action_has_its_consequence`,
//!   `an_action_of_a_later_version_has_no_consequence`.
//! * Consequences keep the order of the entries. The first that fails is reported, and nothing
//!   behind it happens before it does: `what_stands_behind_a_failure_waits`.
//! * An entry that cannot be read, of an unknown action too, goes to the dead-letter queue and stops
//!   no other: `an_entry_that_cannot_be_read_is_dead_lettered_and_stops_no_other`.
//! * Only if that fails is the record reported:
//!   `an_entry_that_cannot_be_dead_lettered_is_reported`.

use aws_lambda_events::event::dynamodb::EventRecord;
use largesse_app::ports::{CampaignJobs, DeadRecords, Events, PortResult, UnreadableRecord};
use largesse_aws::campaign::stream::{Consequence, consequence, is_audit};

use crate::{dead_letter, json_of, key_of};

/// Brings about what follows from the batch's entries, one by one: a batch has few, since an action
/// is taken by a person or once in the life of a campaign. Gives the position of the first that
/// failed.
pub async fn handle<D: CampaignJobs + Events + DeadRecords>(
    deps: &D,
    records: &[EventRecord],
) -> Option<usize> {
    for (position, record) in records.iter().enumerate() {
        // The mapping's filter lets only new entries through.
        if record.event_name != "INSERT" || !is_audit(&record.change.keys) {
            continue;
        }
        let key = key_of(record);
        let is_done = match consequence(record.change.new_image.clone().into_inner()) {
            Ok(consequence) => {
                let done = bring_about(deps, &consequence).await;
                if let Err(error) = &done {
                    let cause = error.causes();
                    tracing::warn!(campaign.key = key, error.cause = cause, "not sent");
                }
                done.is_ok()
            }
            Err(error) => {
                let number = record.change.sequence_number.as_deref();
                let problem = error.causes();
                tracing::error!(
                    campaign.key = key,
                    stream.sequence_number = number,
                    audit.unreadable = 1,
                    problem,
                    "an audit entry has no effect"
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

async fn bring_about<D: CampaignJobs + Events>(
    deps: &D,
    consequence: &Consequence,
) -> PortResult<()> {
    match consequence {
        Consequence::Job(job) => deps.send_job(job).await,
        Consequence::Event(event) => deps.publish(event).await,
        Consequence::Nothing => Ok(()),
    }
}

#[cfg(test)]
mod tests;
