//! What became of the rows of a chunk.
//!
//! # Leases and sends
//! A worker leases the chunk before it sends anything (PROCESSING). The lease takes the next number
//! of a **send**, one for all rows of the chunk, and a commit removes the lease. So a lease that has
//! run out without a commit says: each row that was open may have been sent under that number, and
//! no answer is known. [`ChunkRecord::begin`] then takes all of them for unknown, and they are
//! looked up before anything is sent.
//!
//! Within a lease a row gets at most one answer that is kept, so no two answers share a number.
//!
//! # Generations
//! A retry changes the counters at once and the chunks lazily: in a record of an earlier generation
//! the failed rows are pending in the campaign's. Rows that were paid keep the generation under which
//! they were.

use super::counts::Tally;
use super::key::Generation;
use super::outcome::{Outcome, RowState, Said, Verdict, VerdictRefused};
use super::part::Row;
use crate::grant::RetryPolicy;
use crate::id::Ulid;
use crate::time::Timestamp;

/// A row's outcome, and when it was refused last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowRecord {
    /// What is known of it.
    pub outcome: Outcome,
    /// When its last send was refused, if one was.
    pub refused_at: Option<Timestamp>,
}

/// Who works on a chunk, and how long nobody else does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The worker's id, made anew for each lease.
    pub owner: Ulid,
    /// Until when.
    pub until: Timestamp,
}

/// What became of the rows of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRecord {
    /// The generation that it was last committed in.
    pub generation: Generation,
    /// How often a refused row is retried in that generation. It is fixed by the first commit, so
    /// that a changed setting changes no state that is counted.
    pub retries_max: u32,
    /// How often it was committed.
    pub revision: u32,
    /// How often it was leased: the number of its last send.
    pub sends: u32,
    /// The lease that no commit has ended.
    pub lease: Option<Lease>,
    /// Whether a rollback is done with it.
    pub is_closed: bool,
    /// Its rows, in the order of the sealed ones.
    pub rows: Vec<RowRecord>,
}

impl ChunkRecord {
    /// The record of a chunk that was never leased.
    #[must_use]
    pub fn new(rows: &[Row], retries_max: u32) -> Self {
        let record = |row: &Row| RowRecord {
            outcome: Outcome::new(Generation::FIRST, row.amount),
            refused_at: None,
        };
        Self {
            generation: Generation::FIRST,
            retries_max,
            revision: 0,
            sends: 0,
            lease: None,
            is_closed: false,
            rows: rows.iter().map(record).collect(),
        }
    }

    /// The policy by which its rows stand where they do.
    #[must_use]
    pub const fn policy(&self) -> RetryPolicy {
        RetryPolicy { retries_max: self.retries_max, delay_s: 0 }
    }

    /// Where the row at a position stands.
    #[must_use]
    pub fn state(&self, position: usize) -> Option<RowState> {
        self.rows.get(position).map(|row| row.outcome.state(self.policy()))
    }

    /// Whether the end of some row is not known: pending or unknown.
    #[must_use]
    pub fn has_open(&self) -> bool {
        (0..self.rows.len()).any(|position| self.is_open(position))
    }

    fn is_open(&self, position: usize) -> bool {
        matches!(self.state(position), Some(RowState::Pending | RowState::Unknown))
    }

    /// The record in the campaign's generation, as the counters have it: failed rows of an earlier
    /// one are pending again, under `retries_max` retries.
    #[must_use]
    pub fn in_generation(mut self, generation: Generation, retries_max: u32) -> Self {
        if self.generation >= generation {
            return self;
        }
        let policy = self.policy();
        for row in &mut self.rows {
            if let RowState::Failed { .. } = row.outcome.state(policy) {
                let outcome = Outcome::new(generation, row.outcome.amount());
                *row = RowRecord { outcome, refused_at: None };
            }
        }
        (self.generation, self.retries_max) = (generation, retries_max);
        self
    }

    /// The rows by their states; `None` when a sum does not fit.
    #[must_use]
    pub fn tally(&self) -> Option<Tally> {
        let policy = self.policy();
        self.rows.iter().try_fold(Tally::default(), |tally, row| {
            tally.plus(&row.outcome.state(policy), row.outcome.amount())
        })
    }

    /// Begins the work under a new lease: after one that no commit ended, each open row is unknown.
    ///
    /// # Errors
    /// [`VerdictRefused`], never in practice: the verdicts are of the rows' own generations.
    pub fn begin(&mut self, lease: Lease) -> Result<(), VerdictRefused> {
        if self.lease.is_some() {
            self.doubt(self.sends)?;
        }
        self.sends = self.sends.saturating_add(1);
        self.lease = Some(lease);
        Ok(())
    }

    /// Takes each open row for unknown since that send; before the first one, none. Also one that a
    /// look-up found not paid: a call that its caller gave up may have had its effect since.
    ///
    /// # Errors
    /// [`VerdictRefused`], never in practice: the verdicts are of the rows' own generations.
    pub fn doubt(&mut self, send: u32) -> Result<(), VerdictRefused> {
        if send == 0 {
            return Ok(());
        }
        for position in 0..self.rows.len() {
            if self.is_open(position) {
                self.take(position, send, Said::Unknown)?;
            }
        }
        Ok(())
    }

    /// Takes what was said of a send of the row at a position.
    ///
    /// # Errors
    /// [`VerdictRefused`]; then nothing has changed.
    pub fn take(&mut self, position: usize, send: u32, said: Said) -> Result<(), VerdictRefused> {
        let Some(row) = self.rows.get_mut(position) else { return Ok(()) };
        let generation = row.outcome.generation();
        row.outcome.take(Verdict { generation, send, said })
    }
}

#[cfg(test)]
mod tests;
