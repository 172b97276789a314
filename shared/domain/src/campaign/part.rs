//! The parts of a campaign: what the caller uploads, piece by piece.

use std::collections::BTreeMap;

use super::key::PartNumber;
use super::{CAMPAIGN_AMOUNT_MAX, Hash, ROWS_MAX};
use crate::id::UserId;
use crate::ledger::Memo;
use crate::money::Amount;

/// One payment of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who is paid.
    pub member: UserId,
    /// How much.
    pub amount: Amount,
    /// What for, in the words of the file or of the campaign.
    pub reason: Memo,
}

/// Where a row stood in what was uploaded. The order of a campaign is (part, line).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// In which part.
    pub part: PartNumber,
    /// On which physical line of it, from 1.
    pub line: u64,
}

/// One upload, as it was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its number.
    pub number: PartNumber,
    /// The hash of its bytes.
    pub hash: Hash,
    /// How many of its rows were accepted.
    pub rows: u64,
    /// How many were refused and left out.
    pub refused: u64,
    /// What the accepted rows sum to, in minor units.
    pub amount: u64,
}

/// The parts so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    parts: BTreeMap<PartNumber, Part>,
}

/// What adding a part did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is new.
    New,
    /// The same part was there before: nothing changes. The caller gets the first answer.
    Already(Part),
}

/// Why a part is refused, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartRefused {
    /// The number was given to other bytes.
    #[error("part {} was uploaded with other content", .0.number.get())]
    OtherContent(Part),
    /// The campaign would have more rows than the most.
    #[error("a campaign has at most {ROWS_MAX} rows")]
    RowsTooMany,
    /// The campaign would pay more than the most.
    #[error("a campaign pays at most {CAMPAIGN_AMOUNT_MAX}")]
    AmountTooLarge,
}

impl Parts {
    /// The parts in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Part> {
        self.parts.values()
    }

    /// The rows, refused rows and amount of all parts.
    #[must_use]
    pub fn sums(&self) -> (u64, u64, u64) {
        self.parts.values().fold((0, 0, 0), |(rows, refused, amount), part| {
            (
                rows.saturating_add(part.rows),
                refused.saturating_add(part.refused),
                amount.saturating_add(part.amount),
            )
        })
    }

    /// What adding `part` would do. The same number with the same hash is the same part.
    ///
    /// # Errors
    /// [`PartRefused`], the first in its order.
    pub fn decide(&self, part: &Part) -> Result<Added, PartRefused> {
        if let Some(earlier) = self.parts.get(&part.number) {
            let is_same = earlier.hash == part.hash;
            return if is_same {
                Ok(Added::Already(*earlier))
            } else {
                Err(PartRefused::OtherContent(*earlier))
            };
        }
        let (rows, _, amount) = self.sums();
        let rows = rows.checked_add(part.rows).filter(|sum| *sum <= ROWS_MAX);
        rows.ok_or(PartRefused::RowsTooMany)?;
        let amount = amount.checked_add(part.amount).filter(|sum| *sum <= CAMPAIGN_AMOUNT_MAX);
        amount.ok_or(PartRefused::AmountTooLarge)?;
        Ok(Added::New)
    }

    /// Adds a part.
    ///
    /// # Errors
    /// As [`Parts::decide`]; then nothing has changed.
    pub fn add(&mut self, part: Part) -> Result<Added, PartRefused> {
        let added = self.decide(&part)?;
        if added == Added::New {
            self.parts.insert(part.number, part);
        }
        Ok(added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u32, bytes: &[u8], rows: u64, amount: u64) -> Part {
        let number = PartNumber::new(number).unwrap();
        Part { number, hash: Hash::of(bytes), rows, refused: 0, amount }
    }

    #[test]
    fn a_part_sent_again_is_the_same_part_and_another_under_its_number_is_refused() {
        let mut parts = Parts::default();
        let first = part(1, b"a", 10, 1_000);
        assert_eq!(parts.add(first), Ok(Added::New));
        let before = parts.clone();
        assert_eq!(parts.add(first), Ok(Added::Already(first)));
        assert_eq!(parts.add(part(1, b"b", 10, 1_000)), Err(PartRefused::OtherContent(first)));
        assert_eq!(parts, before);
        assert_eq!(parts.add(part(2, b"a", 10, 1_000)), Ok(Added::New));
        assert_eq!(parts.sums(), (20, 0, 2_000));
    }

    #[test]
    fn a_part_beyond_the_rows_or_the_amount_of_a_campaign_changes_nothing() {
        let mut parts = Parts::default();
        parts.add(part(1, b"a", ROWS_MAX - 1, CAMPAIGN_AMOUNT_MAX - 1)).unwrap();
        let before = parts.clone();
        assert_eq!(parts.add(part(2, b"b", 2, 1)), Err(PartRefused::RowsTooMany));
        assert_eq!(parts.add(part(2, b"b", 1, 2)), Err(PartRefused::AmountTooLarge));
        assert_eq!(parts.add(part(2, b"b", u64::MAX, u64::MAX)), Err(PartRefused::RowsTooMany));
        assert_eq!(parts, before);
        assert_eq!(parts.add(part(2, b"b", 1, 1)), Ok(Added::New));
    }
}
