//! An entry of a bucket: who drew which part, when, as one number.
//!
//! The store keeps `draws.<member> = index + at · 10^2 + nonce · 10^15`: fields of 2, 13 and 12
//! decimal digits, together 27 of the 38 digits of a DynamoDB number (Amazon DynamoDB Developer
//! Guide, "Data types"). The write itself adds the index, from the bucket's own counter, so one
//! expression draws the part and records who has it.

use super::BUCKET_PARTS;
use crate::time::{TIMESTAMP_MS_MAX, Timestamp};

/// 10^2: indexes lie below it.
const INDEX_SPAN: u128 = 100;
/// 10^13: times lie below it.
const TIME_SPAN: u128 = 10_000_000_000_000;
/// 10^12: nonces lie below it.
const NONCE_SPAN: u64 = 1_000_000_000_000;

/// A random number of one request. It tells the SDK's own repeat of a write, whose reply was lost,
/// from another request of the same member. Two requests share one with probability 10^-12; then a
/// repeat hears "won" instead of "already", with the same amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nonce(u64);

impl Nonce {
    /// The nonce made of any 64 bits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits.checked_rem(NONCE_SPAN).unwrap_or(0))
    }

    /// Its number, below 10^12.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// One draw: the part of the bucket that a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// The part's place in its bucket, from 0.
    pub index: u32,
    /// When it was drawn.
    pub at: Timestamp,
    /// Which request drew it.
    pub nonce: Nonce,
}

/// A number that no entry packs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number is not a packed entry")]
pub struct EntryError;

impl Entry {
    /// The entry as one number below 10^27.
    #[must_use]
    pub fn pack(self) -> u128 {
        Self::stamp(self.at, self.nonce).saturating_add(u128::from(self.index))
    }

    /// The number without its index: the store adds the index.
    #[must_use]
    pub fn stamp(at: Timestamp, nonce: Nonce) -> u128 {
        let at = u128::from(at.ms_unsigned()).saturating_mul(INDEX_SPAN);
        let nonce = u128::from(nonce.0).saturating_mul(INDEX_SPAN.saturating_mul(TIME_SPAN));
        nonce.saturating_add(at)
    }

    /// Reads a packed entry.
    ///
    /// # Errors
    /// [`EntryError`] for a number that [`Entry::pack`] never makes.
    pub fn unpack(packed: u128) -> Result<Self, EntryError> {
        let low = |n: u128, span: u128| n.checked_rem(span).ok_or(EntryError);
        let high = |n: u128, span: u128| n.checked_div(span).ok_or(EntryError);
        let index = u32::try_from(low(packed, INDEX_SPAN)?).map_err(|_| EntryError)?;
        if index >= BUCKET_PARTS {
            return Err(EntryError);
        }
        let rest = high(packed, INDEX_SPAN)?;
        let at = i64::try_from(low(rest, TIME_SPAN)?).map_err(|_| EntryError)?;
        let nonce = u64::try_from(high(rest, TIME_SPAN)?).map_err(|_| EntryError)?;
        if nonce >= NONCE_SPAN {
            return Err(EntryError);
        }
        Ok(Self { index, at: Timestamp::from_ms(at), nonce: Nonce(nonce) })
    }
}

// The fields are wide enough for every index and time there is.
const _: () =
    assert!((BUCKET_PARTS as u128) < INDEX_SPAN && (TIMESTAMP_MS_MAX as u128) < TIME_SPAN);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_entry_survives_packing(
            index in 0..BUCKET_PARTS, ms in 0..=TIMESTAMP_MS_MAX, bits in any::<u64>(),
        ) {
            let entry = Entry { index, at: Timestamp::from_ms(ms), nonce: Nonce::from_bits(bits) };
            prop_assert!(entry.pack() < 10_u128.pow(27));
            prop_assert_eq!(Entry::unpack(entry.pack()), Ok(entry));
        }
    }

    #[test]
    fn a_number_that_is_no_entry_is_refused() {
        for number in [16, 99, 10_u128.pow(27), 10_u128.pow(38), u128::MAX] {
            assert_eq!(Entry::unpack(number), Err(EntryError), "{number}");
        }
    }
}
