//! Budgets that all processes share.

use std::future::Future;

use largesse_domain::budget::BudgetId;
use largesse_domain::time::Timestamp;

use super::PortResult;

/// What became of an attempt to use a part of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// It is used.
    Done {
        /// What is used now.
        used: u32,
    },
    /// It does not fit, and nothing changed.
    Refused {
        /// What is used.
        used: u32,
    },
}

/// Budgets by fixed windows ([`largesse_domain::budget`] has the rule). Every method works on the
/// window that `now` lies in.
pub trait Budgets: Send + Sync {
    /// What is used of each budget, in the order of the ids, of which none comes twice. One read,
    /// strongly consistent: what was spent before it began is in it.
    fn used(
        &self,
        ids: &[BudgetId],
        now: Timestamp,
    ) -> impl Future<Output = PortResult<Vec<u32>>> + Send;

    /// Uses `count` of a budget, all or nothing, if it then has not used more than `max`.
    ///
    /// Atomic: whatever many processes do at once, no more than `max` is used. Not idempotent: a call
    /// whose reply is lost may have used its part, and its repeat uses another. So a budget can be
    /// used up early, and never late.
    fn spend(
        &self,
        id: &BudgetId,
        count: u32,
        max: u32,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<Spent>> + Send;

    /// As [`Budgets::spend`] with a count of 1, from what this process has leased; it leases more when
    /// it has none left. Says whether it is used. What a process leased and did not use is lost to
    /// the others until the window ends.
    fn spend_leased(
        &self,
        id: &BudgetId,
        max: u32,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<bool>> + Send;

    /// What this process remembers to be used.
    fn known_used(&self, id: &BudgetId, now: Timestamp) -> Option<u32>;

    /// Remembers what is used. `until` is not after the end of the window.
    fn remember_used(&self, id: &BudgetId, used: u32, until: Timestamp);
}
