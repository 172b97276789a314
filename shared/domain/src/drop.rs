//! A drop (선착순 지급): the first N members who enter get a numbered slot and a fixed amount each.
//!
//! Slots and places on the waiting list are parts of two pools ([`crate::pool`]). A slot whose payment
//! failed for good is passed on to the earliest on the list ([`WaitingList`]). A drop may begin with a
//! shuffle: those who enter in its first seconds are drawn by lot ([`Shuffle`]).
//!
//! # Guarantees
//! * Terms outside their limits make no drop: `a_drop_keeps_its_limits`.
//! * The buckets hold each slot and each place once: `the_buckets_hold_every_slot_and_place_once`.
//! * Every attempt to return the remainder orders the same transfer:
//!   `the_remainder_is_returned_under_one_id`.
//! * The list is served oldest first: `a_list_is_ordered_by_the_time_of_entry`.

use crate::id::{DropId, PoolId, TransferId, Ulid, UserId, random_part};
use crate::ledger::{TransferKind, TransferOrder};
use crate::money::{Amount, MoneyError};
use crate::pool::{BUCKET_PARTS, Bucket, BucketId, BucketStatus, PoolKind, Worth, bucket_count};
use crate::room::{RoomName, RoomNameError};
use crate::split::Seed;
use crate::time::{Timestamp, Window};

mod list;
mod shuffle;

pub use list::{Listed, Place, WaitingList};
pub use shuffle::{Drawn, LOTS_MAX, SHUFFLE_S_MAX, Shuffle, Shuffled};

/// The most slots of a drop (docs/limits.md).
pub const SLOTS_MAX: u32 = 100_000;
/// The shortest time a drop may be open, in milliseconds (docs/limits.md: 1 s to 366 days).
pub const OPEN_MS_MIN: u64 = 1_000;
/// The longest time a drop may be open, in milliseconds.
pub const OPEN_MS_MAX: u64 = 31_622_400_000;

/// The name of a drop, under the rules of a room's name ([`RoomName`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropName(RoomName);

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name of a drop follows the rules of a room's name: {0}")]
pub struct DropNameError(#[from] RoomNameError);

impl DropName {
    /// Takes a text as a name, in Unicode's normal form C.
    ///
    /// # Errors
    /// [`DropNameError`], the first rule that is broken.
    pub fn new(text: &str) -> Result<Self, DropNameError> {
        Ok(Self(RoomName::new(text)?))
    }

    /// A name that was stored: it is not checked again.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(RoomName::stored(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The terms of a drop, within their limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    name: DropName,
    slots: u32,
    amount: Amount,
    window: Window,
    waiting: u32,
    shuffle_s: Option<u32>,
}

/// Which term of a drop is outside its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// Not 1 to 100,000 slots.
    #[error("slots is 1 to {SLOTS_MAX}")]
    Slots,
    /// The amount of a slot is no amount.
    #[error(transparent)]
    Amount(#[from] MoneyError),
    /// The amounts of all slots together are no amount.
    #[error("slots times amount is at most {}", crate::money::AMOUNT_MAX)]
    Total,
    /// Not 1 s to 366 days.
    #[error("closes_at is 1 second to 366 days after opens_at")]
    Window,
    /// More places than slots.
    #[error("waiting is 0 to slots")]
    Waiting,
    /// Not 1 to 3,600 seconds, or not over before the drop is.
    #[error("shuffle_s is 1 to {SHUFFLE_S_MAX}, and ends before closes_at")]
    Shuffle,
}

impl Terms {
    /// Checks the terms. Without a number of places, the waiting list has a tenth of the slots.
    ///
    /// # Errors
    /// [`TermsError`], the first in its order.
    pub fn new(
        name: DropName,
        slots: u64,
        amount: u64,
        window: Window,
        waiting: Option<u64>,
    ) -> Result<Self, TermsError> {
        let slots = u32::try_from(slots).ok().filter(|n| (1..=SLOTS_MAX).contains(n));
        let slots = slots.ok_or(TermsError::Slots)?;
        let amount = Amount::new(amount)?;
        let total = amount.get().saturating_mul(slots.into());
        Amount::new(total).map_err(|_| TermsError::Total)?;
        if !(OPEN_MS_MIN..=OPEN_MS_MAX).contains(&window.closes.ms_since(window.opens)) {
            return Err(TermsError::Window);
        }
        let waiting = match waiting {
            None => slots.div_euclid(10),
            Some(places) => u32::try_from(places).map_err(|_| TermsError::Waiting)?,
        };
        if waiting > slots {
            return Err(TermsError::Waiting);
        }
        Ok(Self { name, slots, amount, window, waiting, shuffle_s: None })
    }
}

/// A drop. Nothing of it ever changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drop {
    /// Its permanent id.
    pub id: DropId,
    /// What it is called.
    pub name: DropName,
    /// Who pays for it.
    pub funder: UserId,
    /// How many slots it has.
    pub slots: u32,
    /// What each slot is worth.
    pub amount: Amount,
    /// When members enter.
    pub window: Window,
    /// How many places its waiting list has; 0 for none.
    pub waiting: u32,
    /// How it begins with lots; `None` when slots are drawn from its opening on.
    pub shuffle: Option<Shuffle>,
}

/// What was returned to the funder of a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// How much; 0 when every slot was taken.
    pub amount: u64,
    /// When.
    pub at: Timestamp,
}

/// A drop, and what became of its lots and of its remainder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropRecord {
    /// The drop.
    pub drop: Drop,
    /// That its lots were drawn, once they were.
    pub drawn: Option<Drawn>,
    /// What was returned, once it was.
    pub refund: Option<Refund>,
    /// What is owed while the funder's wallet is too full to take it.
    pub refused: Option<u64>,
}

impl Drop {
    /// A new drop; the order of its lots is computed from the seed.
    #[must_use]
    pub fn new(id: DropId, funder: UserId, terms: Terms, seed: impl FnOnce() -> Seed) -> Self {
        let Terms { name, slots, amount, window, waiting, shuffle_s } = terms;
        let shuffle = shuffle_s.map(|seconds| Shuffle { seconds, seed: seed() });
        Self { id, name, funder, slots, amount, window, waiting, shuffle }
    }

    /// The pool of its slots; also the account that pays.
    #[must_use]
    pub const fn pool(&self) -> PoolId {
        PoolId::Drop(self.id)
    }

    /// The pool of the places on its waiting list.
    #[must_use]
    pub const fn list(&self) -> PoolId {
        PoolId::Waiting(self.id)
    }

    /// When it was made: the time in its id.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        Timestamp::from_ms(i64::try_from(self.id.0.timestamp_ms()).unwrap_or(i64::MAX))
    }

    /// The buckets of its pools, before the first draw.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket> {
        let mut buckets = self.slot_buckets();
        buckets.extend(self.place_buckets());
        buckets.extend(self.lot_buckets());
        buckets
    }

    fn slot_buckets(&self) -> Vec<Bucket> {
        let worth = Worth::Each(self.amount.get());
        self.cut(self.pool(), PoolKind::Slot, self.slots, self.giving(), &worth)
    }

    fn place_buckets(&self) -> Vec<Bucket> {
        self.cut(self.list(), PoolKind::Place, self.waiting, self.giving(), &Worth::Each(0))
    }

    /// Buckets of slots and places wait for the shuffle, if there is one; lots are drawn before it.
    fn cut(
        &self,
        pool: PoolId,
        kind: PoolKind,
        parts: u32,
        window: Window,
        worth: &Worth,
    ) -> Vec<Bucket> {
        let waits = self.shuffle.is_some() && kind != PoolKind::Lot;
        let status = if waits { BucketStatus::Awaiting } else { BucketStatus::Open };
        let bucket = |number: u32| {
            let before = number.saturating_mul(BUCKET_PARTS);
            let size = parts.saturating_sub(before).min(BUCKET_PARTS);
            let id = BucketId { pool, number };
            let worth = worth.clone();
            Bucket { status, ..Bucket::new(id, kind, self.funder.clone(), window, size, worth) }
        };
        (0..bucket_count(parts)).map(bucket).collect()
    }

    /// The bucket in which the member of a place is given a slot. Behind the buckets of the slots, one
    /// for each place, so that a place is promoted once.
    #[must_use]
    pub fn promotion(&self, place: &Place, at: Timestamp) -> Bucket {
        let behind = u32::try_from(place.part).unwrap_or(u32::MAX);
        let number = bucket_count(self.slots).saturating_add(behind);
        let id = BucketId { pool: self.pool(), number };
        // It is drawn from at this moment, by its own entry.
        let window = Window { opens: at, closes: at.plus_ms(1) };
        let worth = Worth::Each(self.amount.get());
        let mut bucket =
            Bucket::new(id, PoolKind::Promotion, self.funder.clone(), window, 1, worth);
        let entry = crate::pool::Entry { index: 0, at, nonce: place.entry.nonce };
        bucket.taken = 1;
        bucket.draws.insert(place.member.clone(), entry);
        bucket
    }

    fn order(&self, kind: TransferKind, id: Ulid, amount: Amount, at: Timestamp) -> TransferOrder {
        TransferOrder {
            id: TransferId(id),
            wallet: self.funder.clone(),
            kind,
            amount,
            at,
            pool: Some(self.pool()),
            counterpart: None,
            memo: None,
        }
    }

    /// The order that pays for the drop. Its id is the drop's, so a run that resumes an earlier one
    /// orders the same transfer.
    ///
    /// # Errors
    /// [`MoneyError`], never for terms that were checked.
    pub fn funding_order(&self) -> Result<TransferOrder, MoneyError> {
        let amount = Amount::new(self.amount.get().saturating_mul(self.slots.into()))?;
        Ok(self.order(TransferKind::Drop, self.id.0, amount, self.created_at()))
    }

    /// The order that returns `remainder` to the funder; `None` when nothing is left. The drop alone
    /// decides its id and time.
    #[must_use]
    pub fn refund_order(&self, remainder: u64) -> Option<TransferOrder> {
        let amount = Amount::new(remainder).ok()?;
        let at = self.window.closes;
        let random = random_part(&[&self.pool().to_string(), "refund"]);
        let id = Ulid::from_parts(at.ms_unsigned(), random);
        Some(self.order(TransferKind::Refund, id, amount, at))
    }
}

#[cfg(test)]
mod tests;
