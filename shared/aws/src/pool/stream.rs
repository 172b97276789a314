//! Records of the stream of table `pools`: which entries are new.

use std::collections::HashMap;

use largesse_app::ports::{GrantMessage, PortResult};
use largesse_domain::id::UserId;
use serde_dynamo::AttributeValue as StreamValue;

use super::codec;
use crate::image::item_of;

/// What a stream record says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewEntries {
    /// The messages of the duties to pay that the record adds. The one of the draw that wrote the record
    /// has its trace.
    pub messages: Vec<GrantMessage>,
    /// The members whose new entries no draw can have written. They must not be paid.
    pub impossible: Vec<UserId>,
}

/// The entries that the new image of a bucket has and its old image does not.
///
/// # Errors
/// Corrupt, when the new image cannot be read. An old image that cannot be read counts as empty:
/// then every entry is new, and what was sent before is sent again, which pays nothing twice.
pub fn new_entries(
    old: HashMap<String, StreamValue>,
    new: HashMap<String, StreamValue>,
) -> PortResult<NewEntries> {
    let new = item_of(new);
    let bucket = codec::read_bucket(&new)?;
    let before = codec::read_bucket(&item_of(old)).ok();
    let impossible = bucket.impossible_entries();
    let was_there = |member: &UserId| {
        before.as_ref().is_some_and(|old| {
            old.draws.get(member) == bucket.draws.get(member)
                && old.unreadable.contains(member) == bucket.unreadable.contains(member)
        })
    };
    let entries = bucket.draws.iter().filter(|(m, _)| !was_there(m) && !impossible.contains(*m));
    let messages = entries.filter_map(|(member, entry)| {
        let trace = codec::trace_of_entry(&new, *entry);
        Some(GrantMessage { trace, ..GrantMessage::first(bucket.grant(member, *entry)?) })
    });
    let messages = messages.collect();
    let impossible = impossible.iter().filter(|member| !was_there(member)).cloned().collect();
    Ok(NewEntries { messages, impossible })
}
