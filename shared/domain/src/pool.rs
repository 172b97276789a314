//! A pool: a bounded supply that many people draw from at the same moment.
//!
//! One engine, three supplies: pre-cut shares (spray), numbered slots (drop), an amount (product).
//! A draw is decided by one conditional write on the pool's head, which takes from the supply and
//! notes the draw in `pending`. It is then settled: its record is put, and the note trimmed. This
//! module says what each step does; the store adapter carries it out, and the model checker and the
//! property tests walk through all orders of it.
//!
//! # Guarantees
//! * A pool is never over-drawn and no number is out twice: `numbers_are_out_once_each`.
//! * Nobody draws while a draw of theirs is pending: `a_pending_member_draws_no_more`.
//! * A released number is drawn before a new one: `a_released_number_is_drawn_first`.
//! * Put in = drawn + remainder, after every step: `what_was_put_in_is_drawn_or_left`.
//! * A closed pool gives nothing: `a_closed_pool_gives_nothing`.

use std::collections::BTreeMap;

use crate::id::{PoolId, UserId};
use crate::money::Amount;
use crate::time::{Timestamp, Window};

mod stamp;
mod supply;

pub use stamp::{ATTEMPT_COUNT, Attempt, Drawn, StampError};
pub use supply::{Numbers, Supply};

/// How many draws may be decided but not yet recorded. A note takes about 30 bytes, so that the
/// head stays below 2 KB, and within two write units. (A write whose trims are gone already leaves
/// up to 40 more; the next one finds the head full until they are settled.)
pub const PENDING_MAX: usize = 48;

/// From how many notes on somebody settles and trims them before the head is full: half of
/// [`PENDING_MAX`], so that there is room for those who draw meanwhile.
pub const PENDING_HELP: usize = PENDING_MAX / 2;

/// A pending draw this old is settled by the sweep. Whoever drew settles it in the same run, and
/// only spray-claim draws, which may run for 10 s (template.yaml); the rest is for clocks that
/// differ. It spares work and nothing hangs on it: who settles a draw that its maker is settling
/// too finds, or makes, the same record.
pub const PENDING_STALE_MS: u64 = 60_000;

/// Whether a pool still gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolStatus {
    /// Draws are taken while the window is open.
    Open,
    /// The remainder went back; nothing is drawn any more.
    Closed,
}

/// The head of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub id: PoolId,
    /// Whether it still gives.
    pub status: PoolStatus,
    /// When it gives.
    pub window: Window,
    /// What it gives.
    pub supply: Supply,
    /// Draws decided, not yet known to be recorded.
    pub pending: BTreeMap<UserId, Drawn>,
}

/// What a member asks of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// The next share or slot.
    Next,
    /// This much of an amount.
    Amount(Amount),
}

/// One member's wish to draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Who draws.
    pub member: UserId,
    /// When.
    pub at: Timestamp,
    /// Which attempt of theirs this is: it tells a repeat of the same call from another call.
    pub attempt: Attempt,
    /// What they ask for.
    pub ask: Ask,
}

/// Why a pool gives nothing, in order of precedence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrawRefused {
    /// The window has not opened.
    #[error("the pool is not open yet")]
    Ahead,
    /// The window is over, or the remainder went back.
    #[error("the pool's window is over")]
    Over,
    /// This member's earlier draw is pending.
    #[error("the member has drawn")]
    Already(Drawn),
    /// Too many draws await their record: settle some, then try again.
    #[error("too many draws await their record")]
    Crowded,
    /// Nothing is left now, but draws await their record, and one that must not count is given
    /// back: settle them, then try again.
    #[error("nothing is left unless a draw is given back")]
    Unsettled,
    /// Nothing is left, and nothing comes back.
    #[error("the pool is drawn empty")]
    Exhausted,
    /// Something is left, but less than was asked.
    #[error("only {remaining} remain")]
    AboveRemaining {
        /// What could still be drawn.
        remaining: u64,
    },
}

/// Why a pool cannot be closed, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseRefused {
    /// It is closed already.
    #[error("the pool is closed")]
    Closed,
    /// Its window is not over.
    #[error("the pool's window is not over")]
    StillOpen,
    /// Draws await their record: settle them first.
    #[error("draws await their record")]
    Pending,
}

/// What to do about a pending draw, given the record found under the member's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// There is no record: put it.
    Record,
    /// The record is this draw's own: trim the note.
    Trim,
    /// The record is another draw's (this draw raced a trim): give back what it drew.
    Release,
}

/// Whether the head of a pool of `parts` numbers has room for a note of every draw. Such a pool is
/// not trimmed while it is open, so that it knows by itself who drew, and no record need be read
/// before a draw (ADR 0001).
#[must_use]
pub fn keeps_notes(parts: u32) -> bool {
    usize::try_from(parts).is_ok_and(|parts| parts <= PENDING_MAX)
}

impl Pool {
    /// Whether this head keeps the notes of all its draws: see [`keeps_notes`].
    #[must_use]
    pub fn keeps_notes(&self) -> bool {
        match &self.supply {
            Supply::Shares { numbers, .. } | Supply::Slots { numbers, .. } => {
                keeps_notes(numbers.total)
            }
            Supply::Amount { .. } => false,
        }
    }

    /// Whether a pending draw may be given back. Only a pool that is trimmed lets a member draw
    /// twice; which of its notes is such a draw, the records tell.
    fn may_give_back(&self) -> bool {
        !self.keeps_notes() && !self.pending.is_empty()
    }

    /// What `draw` would take now, without taking it.
    ///
    /// # Errors
    /// [`DrawRefused`], the first reason in its order.
    pub fn decide(&self, draw: &Draw) -> Result<Drawn, DrawRefused> {
        if self.window.is_ahead(draw.at) {
            return Err(DrawRefused::Ahead);
        }
        if self.status == PoolStatus::Closed || self.window.is_over(draw.at) {
            return Err(DrawRefused::Over);
        }
        if let Some(earlier) = self.pending.get(&draw.member) {
            return Err(DrawRefused::Already(*earlier));
        }
        let part = match self.supply.next_part(draw.ask) {
            Err(_) if self.may_give_back() => return Err(DrawRefused::Unsettled),
            decided => decided?,
        };
        if self.pending.len() >= PENDING_MAX {
            return Err(DrawRefused::Crowded);
        }
        Ok(Drawn { part, at: draw.at, attempt: draw.attempt })
    }

    /// Draws: takes from the supply and notes the draw.
    ///
    /// # Errors
    /// As [`Pool::decide`]; then nothing has changed.
    pub fn draw(&mut self, draw: &Draw) -> Result<Drawn, DrawRefused> {
        let drawn = self.decide(draw)?;
        self.supply.take(draw.ask);
        self.pending.insert(draw.member.clone(), drawn);
        Ok(drawn)
    }

    /// What is to be done about a pending draw.
    #[must_use]
    pub fn settlement(pending: Drawn, record: Option<Drawn>) -> Settlement {
        match record {
            None => Settlement::Record,
            Some(recorded) if recorded == pending => Settlement::Trim,
            Some(_) => Settlement::Release,
        }
    }

    /// Forgets the note of a recorded draw. Only that very note: a later draw's stays.
    pub fn trim(&mut self, member: &UserId, recorded: Drawn) -> bool {
        let is_that_note = self.pending.get(member) == Some(&recorded);
        if is_that_note {
            self.pending.remove(member);
        }
        is_that_note
    }

    /// Takes back what a draw drew that must not have happened. Only while its note stands.
    pub fn release(&mut self, member: &UserId, pending: Drawn) -> bool {
        let stands = self.trim(member, pending);
        if stands {
            self.supply.give_back(pending.part);
        }
        stands
    }

    /// Closes the pool and says what goes back.
    ///
    /// # Errors
    /// [`CloseRefused`]; then nothing has changed.
    pub fn close(&mut self, now: Timestamp) -> Result<u64, CloseRefused> {
        if self.status == PoolStatus::Closed {
            return Err(CloseRefused::Closed);
        }
        if !self.window.is_over(now) {
            return Err(CloseRefused::StillOpen);
        }
        if !self.pending.is_empty() {
            return Err(CloseRefused::Pending);
        }
        self.status = PoolStatus::Closed;
        Ok(self.supply.remainder())
    }

    /// When the sweep should look at a pool that was drawn from at `at`.
    #[must_use]
    pub fn sweep_at(at: Timestamp) -> Timestamp {
        at.plus_ms(PENDING_STALE_MS)
    }

    /// Whether whoever made a pending draw should have settled it by now.
    #[must_use]
    pub fn is_stale(pending: Drawn, now: Timestamp) -> bool {
        now >= Self::sweep_at(pending.at)
    }
}

#[cfg(test)]
mod tests;
