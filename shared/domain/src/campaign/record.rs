//! A campaign as a whole: everything but its rows.

use super::chain::AuditHead;
use super::hash::Hash;
use super::layout::Layout;
use super::life::Life;
use super::part::Parts;
use super::terms::Terms;
use crate::id::CampaignId;
use crate::time::Timestamp;

/// What a seal fixed, beside the hash and the totals in [`Life::sealed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// Which member lies in which chunk.
    pub layout: Layout,
    /// The hash of the rows alone: two campaigns with equal rows have it in common.
    pub rows: Hash,
    /// When.
    pub at: Timestamp,
    /// The campaign that sealed the same rows first, if it was another one.
    pub same_as: Option<CampaignId>,
    /// Whether ids of digits alone differ in width: leading zeros may have been lost.
    pub widths_differ: bool,
}

/// A campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// What its creator decided.
    pub terms: Terms,
    /// Where it stands.
    pub life: Life,
    /// What its parts hold.
    pub parts: Parts,
    /// What the seal fixed, from WAITING on.
    pub seal: Option<Seal>,
    /// Why the last seal was refused, what of its run cannot be paid, or which fault ended it.
    pub problem: Option<String>,
    /// When its last run began.
    pub started_at: Option<Timestamp>,
    /// When its last run or rollback ended.
    pub ended_at: Option<Timestamp>,
    /// Where its audit ends.
    pub audit: AuditHead,
}

impl Campaign {
    /// When it was made: the time in its id.
    #[must_use]
    pub fn made_at(&self) -> Timestamp {
        Timestamp::from_ms(i64::try_from(self.id.0.timestamp_ms()).unwrap_or(i64::MAX))
    }
}
