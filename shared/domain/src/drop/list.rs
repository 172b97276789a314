//! The waiting list of a drop.

use std::collections::BTreeMap;

use crate::id::UserId;
use crate::pool::{Bucket, Entry};

/// A place on the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Who has it.
    pub member: UserId,
    /// The entry that says so.
    pub entry: Entry,
    /// Its number in the pool of places, from 0. It says nothing about the order.
    pub part: u64,
    /// The slot that was passed on to it, from 0.
    pub slot: Option<u64>,
}

/// Where a member of the list stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// Waits.
    Waiting {
        /// 1 for the next to get a slot.
        position: u64,
    },
    /// Was given a slot.
    Promoted {
        /// Its number, from 0.
        slot: u64,
    },
}

/// The places of a list, the earliest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WaitingList {
    places: Vec<Place>,
    standings: BTreeMap<UserId, Listed>,
    waiting: u64,
}

impl WaitingList {
    /// The list of those buckets, in any order. Places of the same millisecond are ordered by the
    /// random number of their requests.
    #[must_use]
    pub fn of(buckets: &[Bucket]) -> Self {
        let draws = buckets.iter().flat_map(|bucket| bucket.draws.iter().map(move |d| (bucket, d)));
        let place = |(bucket, (member, entry)): (&Bucket, (&UserId, &Entry))| Place {
            member: member.clone(),
            entry: *entry,
            part: bucket.part(entry.index),
            slot: bucket.promoted.get(member).copied(),
        };
        let mut places: Vec<Place> = draws.map(place).collect();
        places.sort_by_key(|place| (place.entry.at, place.entry.nonce, place.part));
        let (mut standings, mut waiting) = (BTreeMap::new(), 0_u64);
        for place in &places {
            let standing = match place.slot {
                Some(slot) => Listed::Promoted { slot },
                None => {
                    waiting = waiting.saturating_add(1);
                    Listed::Waiting { position: waiting }
                }
            };
            standings.insert(place.member.clone(), standing);
        }
        Self { places, standings, waiting }
    }

    /// Where the member stands; `None` without a place.
    #[must_use]
    pub fn standing(&self, member: &UserId) -> Option<Listed> {
        self.standings.get(member).copied()
    }

    /// Where a place stands that the list may not show yet: 1 for the next to get a slot.
    #[must_use]
    pub fn position(&self, entry: Entry, part: u64) -> u64 {
        let before = |place: &&Place| {
            (place.entry.at, place.entry.nonce, place.part) < (entry.at, entry.nonce, part)
        };
        let earlier = self.candidates().filter(before).count();
        u64::try_from(earlier).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// How many wait.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.waiting
    }

    /// Those who wait, the earliest first.
    pub fn candidates(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.slot.is_none())
    }

    /// Those who were given a slot, the earliest first.
    pub fn promoted(&self) -> impl Iterator<Item = &Place> {
        self.places.iter().filter(|place| place.slot.is_some())
    }
}
