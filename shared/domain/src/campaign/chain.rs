//! The audit of a campaign: every action, each entry chained to the one before by its hash.
//!
//! # The hash of an entry
//! SHA-256 over a record in the encoding of the module `hash`: the tag `largesse campaign audit 1`,
//! then sequence number, milliseconds, 0 and nothing for the system or 1 and the user id, action,
//! number of details, name and value of each detail in the order of the names, hash of the entry
//! before. The first entry follows the record of the tag `largesse campaign audit start 1` and the
//! campaign's id, so a chain belongs to one campaign.
//!
//! A chain shows any change in its middle. That the last entries were cut off is seen only by
//! comparison with a head that is kept elsewhere, such as in the campaign's own item.

use std::collections::BTreeMap;

use super::{Hash, hash::Record};
use crate::id::{CampaignId, UserId};
use crate::time::Timestamp;

/// Who acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A member, through the API.
    Member(UserId),
    /// Largesse itself.
    System,
}

/// One action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place: 1, 2, 3 … without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub by: Actor,
    /// What was done, for example `stop`.
    pub action: String,
    /// With what, for example `memo`.
    pub details: BTreeMap<String, String>,
    /// The hash of the entry before.
    pub previous: Hash,
    /// The hash of this one.
    pub hash: Hash,
}

/// Where an audit ends: kept in the campaign's own item, so that a cut is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHead {
    /// The place of the last entry.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// What is wrong with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Its number is not the next one.
    Seq,
    /// It does not follow the entry before, or another campaign's start.
    Previous,
    /// It is not what its hash was computed from.
    Hash,
    /// It is not there: the entries end before the head that is known, or with another one.
    Head,
}

/// The first entry that is not as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {seq} of the audit is broken: {what:?}")]
pub struct AuditBroken {
    /// The entry's place, counted from 1.
    pub seq: u64,
    /// What is wrong.
    pub what: Broken,
}

impl AuditEntry {
    /// The entry after `last`, or the first one of a campaign; `None` when the numbers are used up.
    #[must_use]
    pub fn next(
        campaign: CampaignId,
        last: Option<AuditHead>,
        at: Timestamp,
        by: Actor,
        action: &str,
        details: BTreeMap<String, String>,
    ) -> Option<Self> {
        let previous = last.map_or_else(|| start(campaign), |last| last.hash);
        let seq = last.map_or(0, |last| last.seq).checked_add(1)?;
        let action = action.to_owned();
        let unhashed = Self { seq, at, by, action, details, previous, hash: previous };
        Some(Self { hash: unhashed.computed(), ..unhashed })
    }

    /// The end of an audit whose last entry this is.
    #[must_use]
    pub const fn head(&self) -> AuditHead {
        AuditHead { seq: self.seq, hash: self.hash }
    }

    /// The hash of what the entry says.
    fn computed(&self) -> Hash {
        let record = Record::new("largesse campaign audit 1");
        let record = record.int(self.seq).int(self.at.ms_unsigned());
        let record = match &self.by {
            Actor::System => record.int(0),
            Actor::Member(user) => record.int(1).text(user.as_str()),
        };
        let details = u64::try_from(self.details.len()).unwrap_or(u64::MAX);
        let record = record.text(&self.action).int(details);
        let record =
            self.details.iter().fold(record, |record, (name, value)| record.text(name).text(value));
        record.bytes(&self.previous.0).hash()
    }
}

/// What the first entry of a campaign follows.
fn start(campaign: CampaignId) -> Hash {
    Record::new("largesse campaign audit start 1").text(&campaign.to_string()).hash()
}

/// Checks that the entries are those that were written, in their order. With the head as it
/// is known elsewhere, also that no entry is missing at the end.
///
/// # Errors
/// [`AuditBroken`], the first entry that is not.
pub fn verify(
    campaign: CampaignId,
    entries: &[AuditEntry],
    head: Option<AuditHead>,
) -> Result<(), AuditBroken> {
    let mut previous = start(campaign);
    let mut seq: u64 = 0;
    for entry in entries {
        seq = seq.saturating_add(1);
        let checks = [
            (entry.seq == seq, Broken::Seq),
            (entry.previous == previous, Broken::Previous),
            (entry.hash == entry.computed(), Broken::Hash),
        ];
        if let Some((_, what)) = checks.into_iter().find(|(holds, _)| !holds) {
            return Err(AuditBroken { seq, what });
        }
        previous = entry.hash;
    }
    match head {
        Some(head) if head != (AuditHead { seq, hash: previous }) => {
            Err(AuditBroken { seq: seq.saturating_add(1), what: Broken::Head })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
