//! The facts of an outcome, as a store keeps them.

use std::collections::BTreeMap;

use super::{Failure, Outcome};
use crate::campaign::key::Generation;
use crate::money::Amount;

/// All that is known of a row, beside its amount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its generation.
    pub generation: Generation,
    /// Whether a send was paid.
    pub paid: bool,
    /// The sends that were refused, and why.
    pub refused: BTreeMap<u32, Failure>,
    /// The last send of which a look-up found nothing; 0 when there is none.
    pub not_paid: u32,
    /// The last send of which nothing was known; 0 when there is none.
    pub unknown: u32,
    /// How much could not be taken back; 0 when all was, `None` before.
    pub missing: Option<u64>,
}

impl Outcome {
    /// What is known.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts {
            generation: self.generation,
            paid: self.paid,
            refused: self.refused.clone(),
            not_paid: self.not_paid,
            unknown: self.unknown,
            missing: self.missing,
        }
    }

    /// The outcome of a row of that amount; `None` when no verdicts come to such facts.
    #[must_use]
    pub fn from_facts(facts: Facts, amount: Amount) -> Option<Self> {
        let Facts { generation, paid, refused, not_paid, unknown, missing } = facts;
        let is_possible = missing.is_none_or(|missing| paid && missing <= amount.get());
        let outcome = Self { generation, amount, paid, refused, not_paid, unknown, missing };
        is_possible.then_some(outcome)
    }

    /// How many sends were refused.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        u32::try_from(self.refused.len()).unwrap_or(u32::MAX)
    }

    /// Why the last send that was refused was.
    #[must_use]
    pub fn last_refusal(&self) -> Option<&Failure> {
        self.refused.last_key_value().map(|(_, reason)| reason)
    }
}
