//! A pool: a bounded supply of numbered parts that many members draw from at the same moment.
//!
//! A pool of N parts has ⌈N / 16⌉ **buckets**; bucket k holds the parts 16k … 16k + 15. A draw is
//! one conditional write on one bucket: it adds an entry for the member with the next index. The
//! entry is the record of the draw and the duty to pay it. It never changes and is never removed,
//! and a full bucket admits no member. So *full* is permanent, and a member who tries the buckets
//! in a fixed order ([`Walk`]) and leaves a bucket only when it is full without an entry of theirs
//! has at most one entry in the whole pool.
//!
//! This module says what a write does. The store adapter turns it into a condition and an
//! expression, and the model checker visits all orders of it.
//!
//! # Guarantees
//! * A bucket is never over-drawn and no index is given twice: `indexes_are_given_once_each`.
//! * A member has at most one entry, whatever is repeated: `a_member_has_one_entry`.
//! * Put in = drawn + remainder, after every draw: `what_was_put_in_is_drawn_or_left`.
//! * A closed bucket gives nothing: `a_closed_bucket_gives_nothing`.
//! * A bucket that waits for its shuffle gives nothing and is not closed:
//!   `a_bucket_that_waits_for_its_shuffle_gives_nothing_and_is_not_closed`.
//! * What a store cannot have written is found: `an_entry_that_cannot_be_is_found`.

use std::collections::{BTreeMap, BTreeSet};

use crate::grant::{Grant, Reason};
use crate::id::{GrantId, PoolId, UserId};
use crate::money::Amount;
use crate::time::{Timestamp, Window};

mod entry;
mod refused;
mod walk;

pub use entry::{Entry, EntryError, Nonce};
pub use refused::{BucketError, CloseRefused, DrawRefused};
pub use walk::Walk;

/// Parts of a bucket. Sixteen entries keep the item near 1 KB, so a draw costs about one write
/// unit (architecture.md 5.1).
pub const BUCKET_PARTS: u32 = 16;

/// How many buckets hold `parts` parts.
#[must_use]
pub const fn bucket_count(parts: u32) -> u32 {
    parts.div_ceil(BUCKET_PARTS)
}

/// What the parts of a pool are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    /// Shares of a spray.
    Share,
    /// Slots of a drop.
    Slot,
    /// Places on a waiting list: worth nothing by themselves.
    Place,
    /// A slot of a drop that was passed on to a member of its waiting list.
    Promotion,
    /// Lots of a shuffle: worth nothing by themselves.
    Lot,
}

impl PoolKind {
    const ALL: [Self; 5] = [Self::Share, Self::Slot, Self::Place, Self::Promotion, Self::Lot];

    /// The name in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Slot => "slot",
            Self::Place => "place",
            Self::Promotion => "promotion",
            Self::Lot => "lot",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// What a drawn part is paid for; `None` when nothing is paid.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Share => Some(Reason::Share),
            Self::Slot | Self::Promotion => Some(Reason::Slot),
            Self::Place | Self::Lot => None,
        }
    }
}

/// Which bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BucketId {
    /// The pool.
    pub pool: PoolId,
    /// The bucket's number, from 0.
    pub number: u32,
}

/// Whether a bucket still gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BucketStatus {
    /// Draws are taken while the window is open.
    Open,
    /// It waits for the shuffle of its drop, which opens it: it has no entry, and is not open yet.
    Awaiting,
    /// The remainder was returned; nothing is drawn any more.
    Closed,
}

/// What each part is worth, in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Worth {
    /// Every part the same; 0 for places and lots.
    Each(u64),
    /// Part by part, in the order of the indexes.
    Listed(Vec<u64>),
}

/// What became of the payments of a bucket's entries, as the sweep counted them from the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaymentCounts {
    /// How many entries were paid.
    pub paid: u32,
    /// How many were given up, also those whose slot was passed on.
    pub failed: u32,
    /// When they were counted.
    pub at: Timestamp,
}

/// One bucket. It carries all that a payment needs, so nothing else is read to pay an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Which. Its pool is also the account that pays.
    pub id: BucketId,
    /// What its parts are.
    pub kind: PoolKind,
    /// Who put the money in.
    pub funder: UserId,
    /// Whether it still gives.
    pub status: BucketStatus,
    /// When it gives.
    pub window: Window,
    /// How many parts it holds, at most [`BUCKET_PARTS`].
    pub size: u32,
    /// What they are worth.
    pub worth: Worth,
    /// How many are drawn.
    pub taken: u32,
    /// Who drew which.
    pub draws: BTreeMap<UserId, Entry>,
    /// Who has an entry that cannot be read: always empty where the store behaves.
    pub unreadable: BTreeSet<UserId>,
    /// Of a waiting list: who was given a slot, and its number, from 0. Empty for other kinds.
    pub promoted: BTreeMap<UserId, u64>,
    /// Of a drop: what became of the payments; `None` before they were counted.
    pub counts: Option<PaymentCounts>,
}

/// One member's request to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Who draws.
    pub member: UserId,
    /// When.
    pub at: Timestamp,
    /// Which request it is.
    pub nonce: Nonce,
}

impl Bucket {
    /// A bucket before its first draw.
    #[must_use]
    pub const fn new(
        id: BucketId,
        kind: PoolKind,
        funder: UserId,
        window: Window,
        size: u32,
        worth: Worth,
    ) -> Self {
        Self {
            id,
            kind,
            funder,
            status: BucketStatus::Open,
            window,
            size,
            worth,
            taken: 0,
            draws: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            promoted: BTreeMap::new(),
            counts: None,
        }
    }

    /// Whether every part is drawn.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.taken >= self.size
    }

    /// What `draw` would get now.
    ///
    /// # Errors
    /// [`DrawRefused`], the first reason in its order.
    pub fn decide(&self, draw: &Draw) -> Result<Entry, DrawRefused> {
        let earlier = self.draws.get(&draw.member).copied();
        if let Some(entry) = earlier.filter(|e| (e.at, e.nonce) == (draw.at, draw.nonce)) {
            return Err(DrawRefused::Repeated(entry));
        }
        if self.status == BucketStatus::Awaiting || self.window.is_ahead(draw.at) {
            return Err(DrawRefused::Ahead);
        }
        if self.status == BucketStatus::Closed || self.window.is_over(draw.at) {
            return Err(DrawRefused::Over);
        }
        if let Some(entry) = earlier {
            return Err(DrawRefused::Already(entry));
        }
        if self.is_full() {
            return Err(DrawRefused::Full);
        }
        Ok(Entry { index: self.taken, at: draw.at, nonce: draw.nonce })
    }

    /// Draws: adds the member's entry.
    ///
    /// # Errors
    /// As [`Bucket::decide`]; then nothing has changed.
    pub fn draw(&mut self, draw: &Draw) -> Result<Entry, DrawRefused> {
        let entry = self.decide(draw)?;
        self.draws.insert(draw.member.clone(), entry);
        self.taken = self.taken.saturating_add(1);
        Ok(entry)
    }

    /// Closes the bucket and says what is returned.
    ///
    /// # Errors
    /// [`CloseRefused`]; then nothing has changed.
    pub fn close(&mut self, now: Timestamp) -> Result<u64, CloseRefused> {
        match self.status {
            BucketStatus::Closed => return Err(CloseRefused::Closed),
            BucketStatus::Awaiting => return Err(CloseRefused::Awaiting),
            BucketStatus::Open => {}
        }
        if !self.window.is_over(now) {
            return Err(CloseRefused::StillOpen);
        }
        self.status = BucketStatus::Closed;
        Ok(self.remainder())
    }

    /// What the part at `index` is worth; `None` for a part that this bucket does not have, or that
    /// is worth nothing.
    #[must_use]
    pub fn amount(&self, index: u32) -> Option<Amount> {
        if index >= self.size {
            return None;
        }
        let worth = match &self.worth {
            Worth::Each(worth) => Some(*worth),
            Worth::Listed(list) => usize::try_from(index).ok().and_then(|i| list.get(i)).copied(),
        };
        worth.and_then(|worth| Amount::new(worth).ok())
    }

    fn sum(&self, parts: std::ops::Range<u32>) -> u64 {
        let worth = parts.filter_map(|index| self.amount(index)).map(Amount::get);
        worth.fold(0, u64::saturating_add)
    }

    /// What was put in, in minor units.
    #[must_use]
    pub fn put_in(&self) -> u64 {
        self.sum(0..self.size)
    }

    /// What is not drawn, in minor units: the indexes are drawn in order.
    #[must_use]
    pub fn remainder(&self) -> u64 {
        self.sum(self.taken..self.size)
    }

    /// The number of a part in its pool, from 0.
    #[must_use]
    pub fn part(&self, index: u32) -> u64 {
        let first = u64::from(self.id.number).saturating_mul(u64::from(BUCKET_PARTS));
        first.saturating_add(u64::from(index))
    }

    /// The duty to pay that an entry is; `None` when its part is worth nothing.
    #[must_use]
    pub fn grant(&self, member: &UserId, entry: Entry) -> Option<Grant> {
        Some(Grant {
            id: GrantId::of_draw(&self.id.pool, member, entry.at),
            source: self.id.pool,
            member: member.clone(),
            amount: self.amount(entry.index)?,
            reason: self.kind.reason()?,
            funder: self.funder.clone(),
            memo: None,
        })
    }

    /// Checks that draws alone can have led to what the bucket holds. A store that adds with too
    /// few digits, or that was edited by hand, is found here before money moves.
    ///
    /// # Errors
    /// [`BucketError`], the first in its order.
    pub fn check(&self) -> Result<(), BucketError> {
        let entries = self.draws.len().saturating_add(self.unreadable.len());
        let (taken, size) = (self.taken, self.size);
        if taken > size || size > BUCKET_PARTS || usize::try_from(taken) != Ok(entries) {
            return Err(BucketError::Taken { taken, size, entries });
        }
        let members = self.impossible_entries();
        if members.is_empty() { Ok(()) } else { Err(BucketError::Entries { members }) }
    }

    /// The members whose entries cannot be: unreadable, or an index that is not taken or that
    /// another entry has too, or a time outside the window, or before its shuffle.
    #[must_use]
    pub fn impossible_entries(&self) -> BTreeSet<UserId> {
        let mut by_index: BTreeMap<u32, u32> = BTreeMap::new();
        for entry in self.draws.values() {
            let count = by_index.entry(entry.index).or_default();
            *count = count.saturating_add(1);
        }
        let is_possible = |entry: &Entry| {
            self.status != BucketStatus::Awaiting
                && entry.index < self.taken.min(self.size)
                && by_index.get(&entry.index) == Some(&1)
                && !self.window.is_ahead(entry.at)
                && !self.window.is_over(entry.at)
        };
        let impossible = self.draws.iter().filter(|(_, entry)| !is_possible(entry));
        let impossible = impossible.map(|(member, _)| member);
        impossible.chain(&self.unreadable).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
