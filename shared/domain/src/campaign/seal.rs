//! What a seal fixes: totals, and the hash that approve and start name.
//!
//! # The hashes
//! * Of a chunk: member, amount and reason of each row that is kept, in the order of the members'
//!   bytes.
//! * Of the rows: the hashes of all chunks, by their numbers. Two campaigns with equal rows have
//!   it in common, so a seal can warn about it.
//! * Of content: the terms, the hash of the rows, and the totals. Refused rows and duplicates are in
//!   the totals: going on without them is a choice that the start makes by naming the hash.
//!
//! How the rows were cut into parts changes none of them. Their order matters only where it decides
//! which of a member's rows is kept. The campaign's id and its creator are not in them.

use super::layout::Layout;
use super::part::{Parts, Row};
use super::terms::Terms;
use super::{CAMPAIGN_AMOUNT_MAX, Hash, hash::Record};
use crate::money::Amount;
use crate::time::Timestamp;

/// What a campaign will pay, and what it leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows that are paid.
    pub rows: u64,
    /// What they sum to, in minor units.
    pub amount: u64,
    /// Rows that name a member again.
    pub duplicates: u64,
    /// Rows that the reader refused.
    pub refused: u64,
}

/// Why a campaign cannot be sealed, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No row is kept.
    #[error("the campaign has no row")]
    Empty,
    /// It would pay more than a campaign may.
    #[error("a campaign pays at most {CAMPAIGN_AMOUNT_MAX}")]
    AmountTooLarge,
    /// Rows that are kept and duplicates are not together the rows of the parts: one was lost or
    /// read twice.
    #[error("the parts have {parts} rows, the chunks {chunks}")]
    RowsDiffer {
        /// Accepted rows of all parts.
        parts: u64,
        /// Rows and duplicates of all chunks.
        chunks: u64,
    },
}

impl Totals {
    /// The totals with one more row that is kept.
    ///
    /// # Errors
    /// [`SealError::AmountTooLarge`].
    pub fn plus(self, amount: Amount) -> Result<Self, SealError> {
        let sum = self.amount.checked_add(amount.get()).filter(|sum| *sum <= CAMPAIGN_AMOUNT_MAX);
        let amount = sum.ok_or(SealError::AmountTooLarge)?;
        Ok(Self { rows: self.rows.saturating_add(1), amount, ..self })
    }

    /// The totals of two sets of chunks.
    ///
    /// # Errors
    /// [`SealError::AmountTooLarge`].
    pub fn merge(self, other: Self) -> Result<Self, SealError> {
        let sum = self.amount.checked_add(other.amount);
        let amount = sum.filter(|sum| *sum <= CAMPAIGN_AMOUNT_MAX);
        Ok(Self {
            amount: amount.ok_or(SealError::AmountTooLarge)?,
            rows: self.rows.saturating_add(other.rows),
            duplicates: self.duplicates.saturating_add(other.duplicates),
            refused: self.refused.saturating_add(other.refused),
        })
    }

    /// Checks the totals of all chunks against the parts.
    ///
    /// # Errors
    /// [`SealError`], the first in its order.
    pub fn check(self, parts: &Parts) -> Result<(), SealError> {
        let parts = parts.rows;
        let chunks = self.rows.saturating_add(self.duplicates);
        if self.rows == 0 && parts == 0 {
            return Err(SealError::Empty);
        }
        if self.amount > CAMPAIGN_AMOUNT_MAX {
            return Err(SealError::AmountTooLarge);
        }
        if chunks == parts { Ok(()) } else { Err(SealError::RowsDiffer { parts, chunks }) }
    }
}

/// The hash of the rows of one chunk, whatever their order.
#[must_use]
pub fn chunk_hash(rows: &[Row]) -> Hash {
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| &row.member);
    let record = Record::new("largesse campaign chunk 1");
    let record = rows.into_iter().fold(record, |record, row| {
        record.text(row.member.as_str()).int(row.amount.get()).text(row.reason.as_str())
    });
    record.hash()
}

/// The hash of all rows, from the hashes of all chunks in the order of their numbers.
#[must_use]
pub fn rows_hash(layout: Layout, chunks: &[Hash]) -> Hash {
    let record = Record::new("largesse campaign rows 1").int(u64::from(layout.chunks()));
    chunks.iter().fold(record, |record, chunk| record.bytes(&chunk.0)).hash()
}

/// The hash that approve and start name.
#[must_use]
pub fn content_hash(terms: &Terms, rows: Hash, totals: Totals) -> Hash {
    Record::new("largesse campaign content 1")
        .text(terms.name.as_str())
        .text(terms.default_reason.as_str())
        .optional_int(terms.default_amount.map(Amount::get))
        .optional_int(terms.starts_at.map(Timestamp::ms_unsigned))
        .int(u64::from(terms.priority.get()))
        .text(terms.duplicates.as_str())
        .int(u64::from(terms.approvals.count()))
        .bytes(&rows.0)
        .int(totals.rows)
        .int(totals.amount)
        .int(totals.duplicates)
        .int(totals.refused)
        .hash()
}

#[cfg(test)]
mod tests;
