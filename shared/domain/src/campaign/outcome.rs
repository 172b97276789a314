//! Where one row stands.
//!
//! The money service is asked several times under one id, and its answers come late, twice and out
//! of order. An [`Outcome`] therefore keeps facts that only grow, and its state is computed from
//! them:
//!
//! | state | when, the first that applies |
//! | --- | --- |
//! | SUCCESS, SHORTFALL, REVERSED | some send was paid; then by what was taken back |
//! | UNKNOWN | no answer is known of the last send, or of a later one |
//! | FAILED | more sends were refused than the policy retries |
//! | PENDING | otherwise |
//!
//! *Paid* outweighs every other answer: the member has the money. A lookup that finds nothing is no
//! refusal; the row is pending again.

use std::collections::BTreeMap;

use super::key::Generation;
use crate::grant::{GrantStatus, RetryPolicy};
use crate::ledger::MEMO_LEN_MAX;
use crate::money::Amount;

/// Why the money service refused, in its own words: at most 200 characters, none of them a control
/// character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Failure(String);

impl Failure {
    /// Takes what fits of a text; a space stands for each control character.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Self(text.chars().take(MEMO_LEN_MAX).map(printable).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the money service said about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// It is paid, now or before.
    Paid,
    /// It is not paid and this send will not pay it.
    Refused(Failure),
    /// A lookup found nothing under the id.
    NotPaid,
    /// Nothing is known: a timeout, a lost reply, or accepted and not decided yet.
    Unknown,
    /// The payment was taken back whole.
    Reversed,
    /// The payment was not taken back whole: this much could not be.
    Shortfall(Amount),
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Of which generation.
    pub generation: Generation,
    /// To which send of it, from 1. The number rises with each send and never repeats; a lookup has
    /// the number of the send that it asks about.
    pub send: u32,
    /// What was said.
    pub said: Said,
}

/// What is known of a row in its present generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    generation: Generation,
    amount: Amount,
    paid: bool,
    refused: BTreeMap<u32, Failure>,
    not_paid: u32,
    unknown: u32,
    missing: Option<u64>,
}

/// Where a row stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowState {
    /// To be sent, for the first time or again.
    Pending,
    /// To be looked up under its id before anything is sent.
    Unknown,
    /// Paid.
    Success,
    /// Refused for the last time.
    Failed {
        /// Why the last send was refused.
        reason: Failure,
        /// How many sends were refused.
        attempts: u32,
    },
    /// Paid and taken back.
    Reversed,
    /// Paid and not taken back whole.
    Shortfall {
        /// How much could not be taken back.
        missing: Amount,
    },
}

/// Why a verdict is not taken, in order of precedence. Each needs an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerdictRefused {
    /// The money service refused an earlier generation and now says that it paid: the member may be
    /// paid twice.
    #[error("generation {} was refused and is now said to be paid", .0.get())]
    PaidEarlier(Generation),
    /// The row has not reached this generation.
    #[error("the row has not reached generation {}", .0.get())]
    Ahead(Generation),
    /// What is not paid cannot be taken back.
    #[error("the row is not paid")]
    NotPaid,
    /// More is missing than was paid.
    #[error("more is missing than was paid")]
    MissingTooMuch,
}

impl Outcome {
    /// A row of which nothing is known.
    #[must_use]
    pub const fn new(generation: Generation, amount: Amount) -> Self {
        Self {
            generation,
            amount,
            paid: false,
            refused: BTreeMap::new(),
            not_paid: 0,
            unknown: 0,
            missing: None,
        }
    }

    /// The generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// How much the row pays.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.amount
    }

    /// Takes a verdict. A repeated one, one that a stronger one has overtaken, and one of an earlier
    /// generation change no state.
    ///
    /// # Errors
    /// [`VerdictRefused`], the first in its order; then nothing has changed.
    pub fn take(&mut self, verdict: Verdict) -> Result<(), VerdictRefused> {
        let Verdict { generation, send, said } = verdict;
        if generation > self.generation {
            return Err(VerdictRefused::Ahead(generation));
        }
        if generation < self.generation {
            let is_paid = said == Said::Paid;
            return if is_paid { Err(VerdictRefused::PaidEarlier(generation)) } else { Ok(()) };
        }
        match said {
            Said::Paid => self.paid = true,
            Said::Refused(reason) => {
                // Of two reasons for one send the lesser text is kept, whichever came first.
                let kept = self.refused.entry(send).or_insert_with(|| reason.clone());
                *kept = kept.clone().min(reason);
            }
            Said::NotPaid => self.not_paid = self.not_paid.max(send),
            Said::Unknown => self.unknown = self.unknown.max(send),
            Said::Reversed => self.take_back(0)?,
            Said::Shortfall(missing) => self.take_back(missing.get())?,
        }
        Ok(())
    }

    /// The least that was ever missing stands: a shortfall may be made good later.
    fn take_back(&mut self, missing: u64) -> Result<(), VerdictRefused> {
        if !self.paid {
            return Err(VerdictRefused::NotPaid);
        }
        if missing > self.amount.get() {
            return Err(VerdictRefused::MissingTooMuch);
        }
        self.missing = Some(self.missing.map_or(missing, |earlier| earlier.min(missing)));
        Ok(())
    }

    /// Where the row stands.
    #[must_use]
    pub fn state(&self, policy: RetryPolicy) -> RowState {
        if self.paid {
            return match self.missing.map(Amount::new) {
                None => RowState::Success,
                Some(Ok(missing)) => RowState::Shortfall { missing },
                Some(Err(_)) => RowState::Reversed,
            };
        }
        let last_refused = self.refused.last_key_value();
        let known = last_refused.map_or(0, |(send, _)| *send).max(self.not_paid);
        if self.unknown > known {
            return RowState::Unknown;
        }
        let attempts = u32::try_from(self.refused.len()).unwrap_or(u32::MAX);
        match last_refused {
            Some((_, reason))
                if policy.after_refusal(attempts) == GrantStatus::PermanentlyFailed =>
            {
                RowState::Failed { reason: reason.clone(), attempts }
            }
            _ => RowState::Pending,
        }
    }

    /// The row in its next generation; `None` unless it is known to have failed.
    #[must_use]
    pub fn retried(&self, policy: RetryPolicy) -> Option<Self> {
        match self.state(policy) {
            RowState::Failed { .. } => Some(Self::new(self.generation.next()?, self.amount)),
            RowState::Pending
            | RowState::Unknown
            | RowState::Success
            | RowState::Reversed
            | RowState::Shortfall { .. } => None,
        }
    }
}

impl RowState {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Unknown => "UNKNOWN",
            Self::Success => "SUCCESS",
            Self::Failed { .. } => "FAILED",
            Self::Reversed => "REVERSED",
            Self::Shortfall { .. } => "SHORTFALL",
        }
    }
}

mod facts;

pub use facts::Facts;

#[cfg(test)]
mod tests;
