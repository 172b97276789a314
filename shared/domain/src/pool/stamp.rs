//! A pending draw as one number, so that the head stays small and one expression both computes and
//! notes it.
//!
//! The head keeps `pending.<member> = part + at · 10^13 + attempt · 10^26`: three fields of 13, 13
//! and 12 decimal digits, together the 38 digits of a DynamoDB number (Amazon DynamoDB Developer
//! Guide, "Data types": up to 38 digits of precision). The store adds `part` itself, from its own
//! counter, so the writer needs not know it.

use crate::money::AMOUNT_MAX;
use crate::time::{TIMESTAMP_MS_MAX, Timestamp};

/// 10^13: parts lie below it.
const PART_SPAN: u128 = 10_000_000_000_000;
/// 10^13: moments lie below it.
const TIME_SPAN: u128 = 10_000_000_000_000;

/// How many attempts are told apart: 10^12.
pub const ATTEMPT_COUNT: u64 = 1_000_000_000_000;

/// Which attempt of a member a draw is. Two attempts share a number with probability 10^-12, and
/// then only the wording of an answer is at stake: "done again" instead of "done before".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(u64);

impl Attempt {
    /// The attempt named by any 64 bits: a random number, or a hash of an idempotency key.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits.checked_rem(ATTEMPT_COUNT).unwrap_or(0))
    }

    /// Its number, below [`ATTEMPT_COUNT`].
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What a decided draw took.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Drawn {
    /// The number of the share or slot (from 0), or the amount drawn from an amount.
    pub part: u64,
    /// When it was decided.
    pub at: Timestamp,
    /// By which attempt.
    pub attempt: Attempt,
}

/// A number that no draw packs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the number is no packed draw")]
pub struct StampError;

impl Drawn {
    /// The draw as one number below 10^38.
    #[must_use]
    pub fn pack(self) -> u128 {
        Self::stamp(self.at, self.attempt).saturating_add(u128::from(self.part))
    }

    /// The number without its part: the store adds the part.
    #[must_use]
    pub fn stamp(at: Timestamp, attempt: Attempt) -> u128 {
        let at = u128::from(at.ms_unsigned()).saturating_mul(PART_SPAN);
        let attempt = u128::from(attempt.get()).saturating_mul(PART_SPAN.saturating_mul(TIME_SPAN));
        attempt.saturating_add(at)
    }

    /// Reads a packed draw.
    ///
    /// # Errors
    /// [`StampError`] for a number that [`Drawn::pack`] never makes.
    pub fn unpack(packed: u128) -> Result<Self, StampError> {
        let field = |n: u128, span: u128| n.checked_rem(span).and_then(|f| u64::try_from(f).ok());
        let above = |n: u128, span: u128| n.checked_div(span);
        let part = field(packed, PART_SPAN).ok_or(StampError)?;
        let rest = above(packed, PART_SPAN).ok_or(StampError)?;
        let at = field(rest, TIME_SPAN).and_then(|ms| i64::try_from(ms).ok()).ok_or(StampError)?;
        let attempt = above(rest, TIME_SPAN).and_then(|a| u64::try_from(a).ok());
        let attempt = attempt.filter(|a| *a < ATTEMPT_COUNT).ok_or(StampError)?;
        Ok(Self { part, at: Timestamp::from_ms(at), attempt: Attempt(attempt) })
    }
}

// The fields are wide enough for every part and moment there is.
const _: () = assert!((AMOUNT_MAX as u128) < PART_SPAN && (TIMESTAMP_MS_MAX as u128) < TIME_SPAN);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_draw_survives_packing(
            part in 0..=AMOUNT_MAX, ms in 0..=TIMESTAMP_MS_MAX, bits in any::<u64>(),
        ) {
            let at = Timestamp::from_ms(ms);
            let drawn = Drawn { part, at, attempt: Attempt::from_bits(bits) };
            prop_assert!(drawn.pack() < 10_u128.pow(38));
            prop_assert_eq!(Drawn::unpack(drawn.pack()), Ok(drawn));
        }
    }

    #[test]
    fn a_number_of_39_digits_is_refused() {
        assert_eq!(Drawn::unpack(10_u128.pow(38)), Err(StampError));
        assert_eq!(Drawn::unpack(u128::MAX), Err(StampError));
    }
}
