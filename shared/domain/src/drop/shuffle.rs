//! The fair opening of a drop: the members who enter in its first seconds are drawn by lot.
//!
//! Each of them gets a **lot**: an entry in a third pool, worth nothing. When these seconds are over,
//! the shuffle ranks all lots and lets their members draw in the order of the ranks, each along the
//! walk of the member, as if they had entered one after the other: first slots, then places. After
//! it, slots and places that are left are drawn first come, first served.
//!
//! The rank of a lot is its place in the order of
//!
//! > SHA-256(seed ‖ id of the drop, 26 characters ‖ id of the member)
//!
//! The hash of the seed is published when the drop is made, and the seed when the lots are drawn.
//!
//! # Guarantees
//! * The seed alone decides the order: `the_ranks_of_lots_are_recomputed_from_the_seed`.
//! * Each lot has the same chance of each rank: `each_lot_has_the_same_chance_of_each_rank`.
//! * A member who entered in the first seconds stands where their walk leads them:
//!   `a_lot_is_placed_where_the_walk_of_its_member_leads`.
//! * With all lots taken, the shuffle takes all slots and places:
//!   `the_shuffle_of_all_lots_leaves_no_slot_and_no_place`.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::{Drop, DropRecord, SLOTS_MAX, Terms, TermsError};
use crate::id::{PoolId, UserId};
use crate::pool::{Bucket, BucketStatus, Draw, DrawRefused, Nonce, PoolKind, Walk, Worth};
use crate::split::Seed;
use crate::time::{Timestamp, Window};

/// The longest time in which lots are taken, in seconds (docs/limits.md: 1 s to 1 h).
pub const SHUFFLE_S_MAX: u64 = 3_600;
/// Lots for each slot. The fewer there are, the more it matters to be early after all.
const LOTS_A_SLOT: u32 = 100;
/// The lots of a small drop.
const LOTS_MIN: u32 = 1_000;
/// The most lots of a drop, in 12,500 buckets (docs/limits.md).
pub const LOTS_MAX: u32 = 200_000;

// A drop has as many slots and places together as lots, at most. So a member who finds all lots taken
// misses no slot and no place.
const _: () = assert!(LOTS_MAX >= 2 * SLOTS_MAX && LOTS_A_SLOT >= 2);

/// How a drop begins with lots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shuffle {
    /// For how many seconds lots are taken.
    pub seconds: u32,
    /// The secret that the ranks are computed from.
    pub seed: Seed,
}

/// That the lots of a drop were drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawn {
    /// When.
    pub at: Timestamp,
    /// How many there were.
    pub lots: u32,
}

/// What the shuffle gives: the buckets as they are to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shuffled {
    /// All buckets of slots.
    pub slots: Vec<Bucket>,
    /// All buckets of places.
    pub places: Vec<Bucket>,
}

impl Terms {
    /// The same terms, beginning with lots for so many seconds.
    ///
    /// # Errors
    /// [`TermsError::Shuffle`].
    pub fn with_shuffle(self, seconds: u64) -> Result<Self, TermsError> {
        let open_ms = self.window.closes.ms_since(self.window.opens);
        let fits =
            (1..=SHUFFLE_S_MAX).contains(&seconds) && seconds.saturating_mul(1_000) < open_ms;
        let seconds = u32::try_from(seconds).ok().filter(|_| fits).ok_or(TermsError::Shuffle)?;
        Ok(Self { shuffle_s: Some(seconds), ..self })
    }
}

impl DropRecord {
    /// The seed, once the lots are drawn: from then on the order decides nothing any more.
    #[must_use]
    pub fn revealed_seed(&self) -> Option<&Seed> {
        self.drop.shuffle.as_ref().filter(|_| self.drawn.is_some()).map(|shuffle| &shuffle.seed)
    }
}

impl Drop {
    /// The pool of its lots.
    #[must_use]
    pub const fn lots(&self) -> PoolId {
        PoolId::Lots(self.id)
    }

    /// How many lots it has; 0 without a shuffle.
    #[must_use]
    pub fn lots_max(&self) -> u32 {
        let lots = self.slots.saturating_mul(LOTS_A_SLOT).clamp(LOTS_MIN, LOTS_MAX);
        if self.shuffle.is_some() { lots } else { 0 }
    }

    /// When lots are taken; `None` without a shuffle.
    #[must_use]
    pub fn shuffling(&self) -> Option<Window> {
        let opens = self.window.opens;
        let ms = |shuffle: &Shuffle| u64::from(shuffle.seconds).saturating_mul(1_000);
        self.shuffle.as_ref().map(|s| Window { opens, closes: opens.plus_ms(ms(s)) })
    }

    /// When slots and places are drawn first come, first served: all the time, or after the lots.
    #[must_use]
    pub fn giving(&self) -> Window {
        let opens = self.shuffling().map_or(self.window.opens, |lots| lots.closes);
        Window { opens, closes: self.window.closes }
    }

    pub(super) fn lot_buckets(&self) -> Vec<Bucket> {
        let window = self.shuffling().unwrap_or(self.window);
        self.cut(self.lots(), PoolKind::Lot, self.lots_max(), window, &Worth::Each(0))
    }

    /// The members in the order of the ranks of their lots.
    fn ranked(&self, seed: &Seed, members: impl IntoIterator<Item = UserId>) -> Vec<UserId> {
        let id = self.id.to_string();
        let of = Sha256::new().chain_update(seed.0).chain_update(id.as_bytes());
        let rank = |member: UserId| {
            let digest = of.clone().chain_update(member.as_str().as_bytes()).finalize();
            (<[u8; 32]>::from(digest), member)
        };
        let ranked: BTreeSet<([u8; 32], UserId)> = members.into_iter().map(rank).collect();
        ranked.into_iter().map(|(_, member)| member).collect()
    }

    /// What the lots of these members get, in any order; `None` without a shuffle. A pure function, so
    /// each run that draws the same lots writes the same buckets.
    #[must_use]
    pub fn shuffled(&self, members: impl IntoIterator<Item = UserId>) -> Option<Shuffled> {
        let seed = &self.shuffle.as_ref()?.seed;
        let mut slots = Placing::of(self.pool(), self.slot_buckets());
        let mut places = Placing::of(self.list(), self.place_buckets());
        let at = self.giving().opens;
        for (rank, member) in (0_u64..).zip(self.ranked(seed, members)) {
            // Entries of one moment are ordered by their nonces: the list is served by rank.
            let draw = Draw { member, at, nonce: Nonce::from_bits(rank) };
            if !slots.draw(&draw) {
                places.draw(&draw);
            }
        }
        Some(Shuffled { slots: slots.buckets, places: places.buckets })
    }
}

/// A pool whose parts are drawn one after the other.
struct Placing {
    pool: PoolId,
    buckets: Vec<Bucket>,
    /// How many parts are left: a pool that is sold out costs no walk.
    left: u64,
}

impl Placing {
    fn of(pool: PoolId, mut buckets: Vec<Bucket>) -> Self {
        for bucket in &mut buckets {
            bucket.status = BucketStatus::Open;
        }
        let left = buckets.iter().fold(0_u64, |sum, b| sum.saturating_add(b.size.into()));
        Self { pool, buckets, left }
    }

    /// Whether the member has a part now.
    fn draw(&mut self, draw: &Draw) -> bool {
        if self.left == 0 {
            return false;
        }
        let count = u32::try_from(self.buckets.len()).unwrap_or(u32::MAX);
        for number in Walk::new(&self.pool, &draw.member, count) {
            let bucket = usize::try_from(number).ok().and_then(|n| self.buckets.get_mut(n));
            match bucket.map(|bucket| bucket.draw(draw)) {
                Some(Ok(_)) => {
                    self.left = self.left.saturating_sub(1);
                    return true;
                }
                Some(Err(DrawRefused::Full)) => {}
                Some(Err(DrawRefused::Repeated(_) | DrawRefused::Already(_))) => return true,
                Some(Err(DrawRefused::Ahead | DrawRefused::Over)) | None => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests;
