//! Budgets: how much of something a member, a room or an owner may use in a fixed window of time.
//!
//! A window begins at a multiple of its length since 1970, so all processes agree on it without a
//! message. Each window has a count of its own: nothing is carried over, and nothing has to be set
//! back. Over any time as long as a window, at most twice the budget is used: at the end of one
//! window and at the beginning of the next.
//!
//! # Guarantees
//! * Never more is used than the budget: `no_order_of_spending_uses_more_than_the_budget`.
//! * What is leased and not used is at most what the process has used, and one:
//!   `a_process_never_holds_more_than_it_has_used_and_one`.

use crate::id::{RoomId, UserId};
use crate::time::{Timestamp, Window};

/// How long a window is, in milliseconds (docs/limits.md).
pub const BUDGET_WINDOW_MS: u64 = 60_000;
/// The largest block of a budget that a process leases at once (docs/limits.md).
pub const LEASE_MAX: u32 = 64;

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spending {
    /// A token that stands for no spray that the caller may see.
    TokenMiss,
    /// A spray, a drop, a product, a campaign, a room or an API key.
    Creation,
}

/// Whose budget it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A member.
    Member(UserId),
    /// A room.
    Room(RoomId),
    /// The owner of API keys, by name.
    Owner(String),
}

/// One budget.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BudgetId {
    /// What it counts.
    pub spending: Spending,
    /// Whose it is.
    pub subject: Subject,
}

/// The window that a moment lies in.
#[must_use]
pub fn window_at(now: Timestamp) -> Window {
    let into_ms = now.ms_unsigned().checked_rem(BUDGET_WINDOW_MS).unwrap_or(0);
    let opens = now.minus_ms(into_ms);
    Window { opens, closes: opens.plus_ms(BUDGET_WINDOW_MS) }
}

/// What is used of a budget in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// What is used.
    pub used: u32,
    /// What may be used.
    pub max: u32,
}

impl Budget {
    /// What is left.
    #[must_use]
    pub const fn left(self) -> u32 {
        self.max.saturating_sub(self.used)
    }

    /// The budget after `count` more are used; `None` when they do not fit, and then none is used.
    #[must_use]
    pub const fn spend(self, count: u32) -> Option<Self> {
        if count > self.left() {
            return None;
        }
        Some(Self { used: self.used.saturating_add(count), max: self.max })
    }

    /// The most that may be used for `count` more to fit; `None` when they never do. It is what a
    /// store compares with.
    #[must_use]
    pub const fn used_max(max: u32, count: u32) -> Option<u32> {
        max.checked_sub(count)
    }
}

/// What one process has leased of a budget in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// What it leased and has not used.
    pub left: u32,
    /// What it has used.
    pub taken: u32,
}

impl Lease {
    /// How many it leases next: as many as it has used, so that a process that uses few holds few.
    #[must_use]
    pub fn next(self) -> u32 {
        self.taken.clamp(1, LEASE_MAX)
    }

    /// The lease with `count` more.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self { left: self.left.saturating_add(count), taken: self.taken }
    }

    /// The lease after one is used; `None` when none is left.
    #[must_use]
    pub const fn take(self) -> Option<Self> {
        match self.left.checked_sub(1) {
            Some(left) => Some(Self { left, taken: self.taken.saturating_add(1) }),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
