//! A grant: a recorded duty to pay one member, once.
//!
//! `PENDING → PROCESSING → SUCCESS | FAILED`, and after the last retry `PERMANENTLY_FAILED`.
//!
//! # Guarantees
//! * What is paid or given up is not payable: `what_is_paid_or_given_up_is_not_payable`; and what
//!   is paid stays paid: `what_is_paid_stays_paid_and_a_failure_counts_once`.
//! * A grant is tried once and retried as often as the policy says, no more:
//!   `a_grant_is_given_up_after_its_last_retry`.

use crate::id::{GrantId, PoolId, UserId};
use crate::money::Amount;
use crate::pool::Drawn;
use crate::time::Timestamp;

/// Where a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantStatus {
    /// Recorded, not yet tried.
    Pending,
    /// Sent to a money service whose answer is not known yet.
    Processing,
    /// Paid.
    Success,
    /// Tried and refused; it will be tried again.
    Failed,
    /// Tried for the last time; an operator decides.
    PermanentlyFailed,
}

impl GrantStatus {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Processing => "PROCESSING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::PermanentlyFailed => "PERMANENTLY_FAILED",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        const ALL: [GrantStatus; 5] = [
            GrantStatus::Pending,
            GrantStatus::Processing,
            GrantStatus::Success,
            GrantStatus::Failed,
            GrantStatus::PermanentlyFailed,
        ];
        ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether a payment may still be tried.
    #[must_use]
    pub const fn is_payable(self) -> bool {
        match self {
            Self::Pending | Self::Processing | Self::Failed => true,
            Self::Success | Self::PermanentlyFailed => false,
        }
    }
}

/// A duty to pay one member. A draw makes it, so it keeps what was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its permanent id; the payment carries it too.
    pub id: GrantId,
    /// The pool it was drawn from.
    pub pool: PoolId,
    /// Who is paid.
    pub member: UserId,
    /// How much.
    pub amount: Amount,
    /// What was drawn, when, by which attempt.
    pub drawn: Drawn,
    /// Who put the money in: the sender of the spray.
    pub counterpart: UserId,
    /// Where it stands.
    pub status: GrantStatus,
    /// How many payments have failed.
    pub attempts: u32,
    /// Why the last one failed.
    pub failure: Option<String>,
}

impl Grant {
    /// The grant that a settled draw makes.
    #[must_use]
    pub fn of_draw(
        pool: PoolId,
        member: UserId,
        drawn: Drawn,
        amount: Amount,
        sender: UserId,
    ) -> Self {
        Self {
            id: GrantId::of_draw(&pool, &member, drawn.at),
            pool,
            member,
            amount,
            drawn,
            counterpart: sender,
            status: GrantStatus::Pending,
            attempts: 0,
            failure: None,
        }
    }

    /// When it was decided.
    #[must_use]
    pub const fn decided_at(&self) -> Timestamp {
        self.drawn.at
    }
}

/// How often and how fast a failed payment is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first try.
    pub retries_max: u32,
    /// Seconds between tries.
    pub delay_s: u32,
}

impl Default for RetryPolicy {
    /// Three retries, three seconds apart (architecture.md 5.3).
    fn default() -> Self {
        Self { retries_max: 3, delay_s: 3 }
    }
}

impl RetryPolicy {
    /// Where a grant stands after its `attempts`-th failure (the first is 1).
    #[must_use]
    pub const fn after_failure(self, attempts: u32) -> GrantStatus {
        if attempts > self.retries_max {
            GrantStatus::PermanentlyFailed
        } else {
            GrantStatus::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_given_up_after_its_last_retry() {
        let policy = RetryPolicy::default();
        let after: Vec<_> = (1..=5).map(|n| policy.after_failure(n)).collect();
        assert_eq!(after[..3], [GrantStatus::Failed; 3]);
        assert_eq!(after[3..], [GrantStatus::PermanentlyFailed; 2]);
    }

    #[test]
    fn what_is_paid_or_given_up_is_not_payable() {
        for status in [GrantStatus::Success, GrantStatus::PermanentlyFailed] {
            assert!(!status.is_payable(), "{status:?}");
        }
        for status in [GrantStatus::Pending, GrantStatus::Processing, GrantStatus::Failed] {
            assert!(status.is_payable(), "{status:?}");
        }
    }

    #[test]
    fn a_status_is_read_back_by_its_name() {
        for name in ["PENDING", "PROCESSING", "SUCCESS", "FAILED", "PERMANENTLY_FAILED"] {
            assert_eq!(GrantStatus::from_name(name).map(GrantStatus::as_str), Some(name));
        }
        assert_eq!(GrantStatus::from_name("pending"), None);
    }
}
