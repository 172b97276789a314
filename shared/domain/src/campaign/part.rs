//! The parts of a campaign: what the caller uploads, piece by piece.

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

/// What all parts so far hold together. Each part has an item of its own in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// How many parts there are.
    pub count: u32,
    /// Their accepted rows.
    pub rows: u64,
    /// Their refused rows.
    pub refused: u64,
    /// What the accepted rows sum to, in minor units.
    pub amount: u64,
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
    /// Adds a part, when `earlier` is what its number stands for so far. The same number with the
    /// same hash is the same part.
    ///
    /// # Errors
    /// [`PartRefused`], the first in its order; then nothing has changed.
    pub fn add(&mut self, earlier: Option<&Part>, part: &Part) -> Result<Added, PartRefused> {
        if let Some(earlier) = earlier {
            let is_same = earlier.hash == part.hash;
            return if is_same {
                Ok(Added::Already(*earlier))
            } else {
                Err(PartRefused::OtherContent(*earlier))
            };
        }
        let rows = self.rows.checked_add(part.rows).filter(|sum| *sum <= ROWS_MAX);
        let rows = rows.ok_or(PartRefused::RowsTooMany)?;
        let amount = self.amount.checked_add(part.amount);
        let amount = amount.filter(|sum| *sum <= CAMPAIGN_AMOUNT_MAX);
        let amount = amount.ok_or(PartRefused::AmountTooLarge)?;
        let refused = self.refused.saturating_add(part.refused);
        *self = Self { count: self.count.saturating_add(1), rows, refused, amount };
        Ok(Added::New)
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
        assert_eq!(parts.add(None, &first), Ok(Added::New));
        let before = parts;
        assert_eq!(parts.add(Some(&first), &first), Ok(Added::Already(first)));
        let other = part(1, b"b", 10, 1_000);
        assert_eq!(parts.add(Some(&first), &other), Err(PartRefused::OtherContent(first)));
        assert_eq!(parts, before);
        assert_eq!(parts.add(None, &part(2, b"a", 10, 1_000)), Ok(Added::New));
        assert_eq!(parts, Parts { count: 2, rows: 20, refused: 0, amount: 2_000 });
    }

    #[test]
    fn a_part_beyond_the_rows_or_the_amount_of_a_campaign_changes_nothing() {
        let mut parts = Parts::default();
        parts.add(None, &part(1, b"a", ROWS_MAX - 1, CAMPAIGN_AMOUNT_MAX - 1)).unwrap();
        let before = parts;
        let mut add = |rows, amount| parts.add(None, &part(2, b"b", rows, amount));
        assert_eq!(add(2, 1), Err(PartRefused::RowsTooMany));
        assert_eq!(add(1, 2), Err(PartRefused::AmountTooLarge));
        assert_eq!(add(u64::MAX, u64::MAX), Err(PartRefused::RowsTooMany));
        assert_eq!(parts, before);
        assert_eq!(parts.add(None, &part(2, b"b", 1, 1)), Ok(Added::New));
    }
}
