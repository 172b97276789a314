//! What a run of retries did.

use std::collections::{BTreeMap, BTreeSet};

use largesse_domain::id::GrantId;

/// How many of them a report names for each reason.
const EXAMPLES_MAX: usize = 3;

/// What stays for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// How many.
    pub count: u64,
    /// Some of their ids.
    pub examples: Vec<String>,
}

/// What a run did. After an error it says what was done before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryReport {
    /// Grants sent to be paid, from the queue.
    pub sent: u64,
    /// Messages deleted because their grant is paid.
    pub paid: u64,
    /// Messages deleted because their grant is voided.
    pub voided: u64,
    /// Messages deleted because this run has sent their grant: they were there twice.
    pub twice: u64,
    /// Grants that this run sent and that were refused and given up again.
    pub came_back: u64,
    /// Messages, grants and refunds that stay, by reason.
    pub kept: BTreeMap<String, Kept>,
    /// Messages that the queue did not delete although their grant was handled.
    pub not_deleted: u64,
    /// Grants sent to be paid, from the table: they had no message.
    pub sent_from_table: u64,
    /// Items removed from the table because their grant is paid.
    pub paid_in_table: u64,
    /// Refunds that were refused and are returned now.
    pub refunded: u64,
    /// FAILED grants that are still retried by themselves.
    pub still_retried: u64,
    /// The first keys of items that cannot be read.
    pub unreadable_items: Vec<(String, String)>,
    /// The grants that this run has sent: 16 bytes each.
    pub(super) sent_ids: BTreeSet<GrantId>,
}

impl RetryReport {
    /// Whether nothing stays that an operator could act on.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.kept.is_empty()
            && self.came_back == 0
            && self.not_deleted == 0
            && self.unreadable_items.is_empty()
    }

    /// The messages, grants and refunds that stay.
    #[must_use]
    pub fn kept_count(&self) -> u64 {
        self.kept.values().fold(0, |sum, kept| sum.saturating_add(kept.count))
    }

    pub(super) fn keep(&mut self, reason: String, id: &str) {
        let kept = self.kept.entry(reason).or_default();
        increase(&mut kept.count);
        if kept.examples.len() < EXAMPLES_MAX {
            kept.examples.push(id.to_owned());
        }
    }
}

pub(super) fn increase(count: &mut u64) {
    *count = count.saturating_add(1);
}
