//! How many rows stand where, exactly.
//!
//! A worker commits the rows of a chunk together: the chunk's result and the campaign's counters
//! change in one transaction, by a [`Delta`] that names the revision of the result it was computed
//! from. A chunk is committed several times in a generation (its failed rows come back after 3 s),
//! each revision once.

use super::key::{ChunkNumber, Generation};
use super::outcome::RowState;
use super::seal::Totals;
use crate::money::Amount;

/// Rows, and what they sum to in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many rows.
    pub rows: u64,
    /// Their amounts together.
    pub amount: u64,
}

impl Sum {
    fn plus(self, other: Self) -> Option<Self> {
        let rows = self.rows.checked_add(other.rows)?;
        Some(Self { rows, amount: self.amount.checked_add(other.amount)? })
    }

    fn minus(self, other: Self) -> Option<Self> {
        let rows = self.rows.checked_sub(other.rows)?;
        Some(Self { rows, amount: self.amount.checked_sub(other.amount)? })
    }
}

/// Rows by their states. Each row is in one of them, with its whole amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// To be sent.
    pub pending: Sum,
    /// To be looked up.
    pub unknown: Sum,
    /// Paid.
    pub success: Sum,
    /// Refused for the last time.
    pub failed: Sum,
    /// Taken back.
    pub reversed: Sum,
    /// Not taken back whole.
    pub shortfall: Sum,
}

impl Tally {
    const fn of(&mut self, state: &RowState) -> &mut Sum {
        match state {
            RowState::Pending => &mut self.pending,
            RowState::Unknown => &mut self.unknown,
            RowState::Success => &mut self.success,
            RowState::Failed { .. } => &mut self.failed,
            RowState::Reversed => &mut self.reversed,
            RowState::Shortfall { .. } => &mut self.shortfall,
        }
    }

    fn pairs(mut self, other: &Self, combine: fn(Sum, Sum) -> Option<Sum>) -> Option<Self> {
        self.pending = combine(self.pending, other.pending)?;
        self.unknown = combine(self.unknown, other.unknown)?;
        self.success = combine(self.success, other.success)?;
        self.failed = combine(self.failed, other.failed)?;
        self.reversed = combine(self.reversed, other.reversed)?;
        self.shortfall = combine(self.shortfall, other.shortfall)?;
        Some(self)
    }

    /// The tally with one more row; `None` when a sum does not fit.
    #[must_use]
    pub fn plus(mut self, state: &RowState, amount: Amount) -> Option<Self> {
        let sum = self.of(state);
        *sum = sum.plus(Sum { rows: 1, amount: amount.get() })?;
        Some(self)
    }

    /// The tally after one row moved; `None` when there was none where it stood.
    #[must_use]
    pub fn moved(mut self, from: &RowState, to: &RowState, amount: Amount) -> Option<Self> {
        let sum = self.of(from);
        *sum = sum.minus(Sum { rows: 1, amount: amount.get() })?;
        self.plus(to, amount)
    }

    /// All rows; `None` when a sum does not fit.
    #[must_use]
    pub fn total(&self) -> Option<Sum> {
        let sums = [self.unknown, self.success, self.failed, self.reversed, self.shortfall];
        sums.into_iter().try_fold(self.pending, Sum::plus)
    }

    /// Rows of which it is not known how they end: pending and unknown.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.pending.rows.saturating_add(self.unknown.rows)
    }
}

/// The counters of a campaign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The rows by their states.
    pub tally: Tally,
}

impl Counts {
    /// The counters of a campaign that was just sealed: all rows are pending.
    #[must_use]
    pub fn sealed(totals: Totals) -> Self {
        let pending = Sum { rows: totals.rows, amount: totals.amount };
        Self { tally: Tally { pending, ..Tally::default() } }
    }

    /// The counters of all shards together; `None` when a sum does not fit.
    #[must_use]
    pub fn of_shards(shards: &[Tally]) -> Option<Self> {
        let sum = |sum: Tally, shard| sum.pairs(shard, Sum::plus);
        let tally = shards.iter().try_fold(Tally::default(), sum)?;
        Some(Self { tally })
    }

    /// The counters after a retry: the failed rows are pending in the next generation. `None` when
    /// a sum does not fit.
    #[must_use]
    pub fn retried(self) -> Option<Self> {
        let pending = self.tally.pending.plus(self.tally.failed)?;
        Some(Self { tally: Tally { pending, failed: Sum::default(), ..self.tally } })
    }
}

/// The result of a chunk in one generation, as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkResult {
    /// Which chunk.
    pub chunk: ChunkNumber,
    /// In which generation.
    pub generation: Generation,
    /// How often it was committed.
    pub revision: u32,
    /// Its rows of this generation by their states.
    pub tally: Tally,
}

/// What one commit changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    chunk: ChunkNumber,
    generation: Generation,
    revision: u32,
    before: Tally,
    after: Tally,
}

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Committed {
    /// The counters have changed.
    Now,
    /// This commit was the last one already: its reply was lost. Nothing changes.
    Before,
}

/// Why a commit is refused, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// It is of another chunk or generation.
    #[error("the result is of another chunk or generation")]
    OtherChunk,
    /// Another commit came between: read the result again, and compute anew.
    #[error("the result has revision {revision}")]
    Superseded {
        /// How often the result was committed.
        revision: u32,
    },
    /// The rows of a chunk, or their amount, would change in number.
    #[error("a commit moves rows; it neither adds nor removes any")]
    RowsDiffer,
    /// The counters do not hold what the result does: they are damaged.
    #[error("the counters do not hold the rows of the chunk")]
    CountsDiffer,
}

impl Delta {
    /// The revision that it was computed from.
    #[must_use]
    pub const fn revision(&self) -> u32 {
        self.revision
    }

    /// The rows of the chunk before it.
    #[must_use]
    pub const fn before(&self) -> &Tally {
        &self.before
    }

    /// The rows of the chunk after it.
    #[must_use]
    pub const fn after(&self) -> &Tally {
        &self.after
    }
}

impl ChunkResult {
    /// The result of a chunk of which nothing is committed: all its rows are pending.
    #[must_use]
    pub fn new(chunk: ChunkNumber, generation: Generation, rows: Sum) -> Self {
        let tally = Tally { pending: rows, ..Tally::default() };
        Self { chunk, generation, revision: 0, tally }
    }

    /// The change from this result to `after`.
    ///
    /// # Errors
    /// [`CommitError::RowsDiffer`].
    pub fn delta(&self, after: Tally) -> Result<Delta, CommitError> {
        let total = after.total().ok_or(CommitError::RowsDiffer)?;
        if self.tally.total() != Some(total) {
            return Err(CommitError::RowsDiffer);
        }
        let Self { chunk, generation, revision, tally: before } = *self;
        Ok(Delta { chunk, generation, revision, before, after })
    }

    /// Applies a change to this result and the counters, together.
    ///
    /// # Errors
    /// [`CommitError`], the first in its order; then nothing has changed.
    pub fn commit(&mut self, counts: &mut Counts, delta: &Delta) -> Result<Committed, CommitError> {
        if (self.chunk, self.generation) != (delta.chunk, delta.generation) {
            return Err(CommitError::OtherChunk);
        }
        let superseded = CommitError::Superseded { revision: self.revision };
        let next = delta.revision.checked_add(1).ok_or(superseded)?;
        if self.revision == next && self.tally == delta.after {
            return Ok(Committed::Before);
        }
        if (self.revision, self.tally) != (delta.revision, delta.before) {
            return Err(superseded);
        }
        let rest = counts.tally.pairs(&delta.before, Sum::minus);
        let tally = rest.and_then(|rest| rest.pairs(&delta.after, Sum::plus));
        counts.tally = tally.ok_or(CommitError::CountsDiffer)?;
        (self.revision, self.tally) = (next, delta.after);
        Ok(Committed::Now)
    }
}

#[cfg(test)]
mod tests;
