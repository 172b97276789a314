//! Budgets: how many tokens a caller may guess, and how much a caller may create.

pub mod create;
pub mod miss;

use largesse_domain::budget::{BudgetId, Spending, Subject, window_at};
use largesse_domain::time::Timestamp;

/// A budget and how much of it may be used in a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The budget.
    pub id: BudgetId,
    /// What may be used of it.
    pub max: u32,
}

impl Limit {
    fn of(spending: Spending, subject: Subject, max: u32) -> Self {
        Self { id: BudgetId { spending, subject }, max }
    }

    fn used_up(&self, now: Timestamp) -> UsedUp {
        let scope = match self.id.subject {
            Subject::Member(_) => Scope::Member,
            Subject::Room(_) => Scope::Room,
            Subject::Owner(_) => Scope::Owner,
        };
        let wait_ms = window_at(now).closes.ms_since(now);
        UsedUp { spending: self.id.spending, scope, max: self.max, wait_ms }
    }
}

/// The kind of what a budget belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A member.
    Member,
    /// A room.
    Room,
    /// The owner of API keys.
    Owner,
}

/// A budget is used up until its window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the budget of {max} in a window is used up")]
pub struct UsedUp {
    /// What it counts.
    pub spending: Spending,
    /// Whose it is.
    pub scope: Scope,
    /// How much it is.
    pub max: u32,
    /// How long the window lasts from now on, in milliseconds.
    pub wait_ms: u64,
}
