//! A grant: a duty to pay one member, once.
//!
//! `PENDING → SUCCESS | FAILED → PERMANENTLY_FAILED → VOIDED`. A transfer in the ledger under the
//! grant's id is the proof of SUCCESS; a failed grant has an item of its own; a grant with neither
//! is pending.
//!
//! # Guarantees
//! * A grant is tried once and retried as often as the policy says, no more:
//!   `a_grant_is_given_up_after_its_last_retry`.

use crate::id::{GrantId, PoolId, UserId};
use crate::ledger::{Memo, TransferKind, TransferOrder};
use crate::money::Amount;
use crate::time::Timestamp;

/// Where a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantStatus {
    /// Not paid yet.
    Pending,
    /// Paid.
    Success,
    /// The money service refused it; it is retried.
    Failed,
    /// Refused for the last time; an operator decides.
    PermanentlyFailed,
    /// Returned to its funder by an operator; it is never paid.
    Voided,
}

impl GrantStatus {
    const ALL: [Self; 5] =
        [Self::Pending, Self::Success, Self::Failed, Self::PermanentlyFailed, Self::Voided];

    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
            Self::PermanentlyFailed => "PERMANENTLY_FAILED",
            Self::Voided => "VOIDED",
        }
    }

    /// The status of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What a grant pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// A share of a spray.
    Share,
    /// A slot of a drop.
    Slot,
    /// A row of a campaign.
    Campaign,
}

impl Reason {
    const ALL: [Self; 3] = [Self::Share, Self::Slot, Self::Campaign];

    /// The name in messages, events and the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Slot => "slot",
            Self::Campaign => "campaign",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// A duty to pay one member: all that a payment needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its permanent id; the payment carries it too.
    pub id: GrantId,
    /// The account that pays.
    pub source: PoolId,
    /// Who is paid.
    pub member: UserId,
    /// How much.
    pub amount: Amount,
    /// What for.
    pub reason: Reason,
    /// Who put the money into the source.
    pub funder: UserId,
    /// The reason of a campaign's row in words; `None` for a draw. No message of the queue and no
    /// item of a failed grant carries it, since only draws have those.
    pub memo: Option<Memo>,
}

impl Grant {
    /// When it was decided: the time in its id.
    #[must_use]
    pub fn decided_at(&self) -> Timestamp {
        Timestamp::from_ms(i64::try_from(self.id.0.timestamp_ms()).unwrap_or(i64::MAX))
    }

    /// The order that pays it. The same order at every attempt, since the grant alone decides it.
    #[must_use]
    pub fn payment(&self) -> TransferOrder {
        let kind = match self.source {
            PoolId::Spray(_) | PoolId::Drop(_) | PoolId::Waiting(_) | PoolId::Lots(_) => {
                TransferKind::Claim
            }
            PoolId::Campaign(_) => TransferKind::Campaign,
            // A product makes no grants: its settlement posts its own orders.
            PoolId::Product(_) => TransferKind::Payout,
        };
        TransferOrder {
            id: self.id.transfer(),
            wallet: self.member.clone(),
            kind,
            amount: self.amount,
            at: self.decided_at(),
            pool: Some(self.source),
            counterpart: Some(self.funder.clone()),
            memo: self.memo.clone(),
        }
    }

    /// The order that takes a payment back from the member.
    #[must_use]
    pub fn reversal(&self) -> TransferOrder {
        TransferOrder {
            id: self.id.reversal(),
            kind: TransferKind::Reversal,
            memo: None,
            ..self.payment()
        }
    }

    /// The order that returns the amount of a voided grant to its funder.
    #[must_use]
    pub fn void_return(&self) -> TransferOrder {
        TransferOrder {
            id: self.id.derived("void"),
            wallet: self.funder.clone(),
            kind: TransferKind::Refund,
            counterpart: Some(self.member.clone()),
            ..self.payment()
        }
    }
}

/// A grant that the money service refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedGrant {
    /// The grant.
    pub grant: Grant,
    /// [`GrantStatus::Failed`], `PermanentlyFailed` or `Voided`.
    pub status: GrantStatus,
    /// How many payments were refused.
    pub attempts: u32,
    /// Why the last one was.
    pub failure: String,
    /// When it was.
    pub failed_at: Timestamp,
}

/// How often and how fast a refused payment is retried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub retries_max: u32,
    /// Seconds between attempts.
    pub delay_s: u32,
}

impl Default for RetryPolicy {
    /// Three retries, three seconds apart (architecture.md 5.3).
    fn default() -> Self {
        Self { retries_max: 3, delay_s: 3 }
    }
}

impl RetryPolicy {
    /// Where a grant stands after its `attempts`-th refusal (the first is 1).
    #[must_use]
    pub const fn after_refusal(self, attempts: u32) -> GrantStatus {
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
        let after: Vec<_> = (1..=5).map(|n| policy.after_refusal(n)).collect();
        assert_eq!(after[..3], [GrantStatus::Failed; 3]);
        assert_eq!(after[3..], [GrantStatus::PermanentlyFailed; 2]);
    }

    #[test]
    fn a_status_and_a_reason_are_read_back_by_their_names() {
        for status in GrantStatus::ALL {
            assert_eq!(GrantStatus::from_name(status.as_str()), Some(status));
        }
        for reason in Reason::ALL {
            assert_eq!(Reason::from_name(reason.as_str()), Some(reason));
        }
        assert_eq!((GrantStatus::from_name("pending"), Reason::from_name("")), (None, None));
    }

    #[test]
    fn payment_reversal_and_return_are_three_transfers_of_one_amount() {
        let grant = Grant {
            id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap(),
            source: "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAW".parse().unwrap(),
            member: "m".parse().unwrap(),
            amount: Amount::new(5).unwrap(),
            reason: Reason::Share,
            funder: "f".parse().unwrap(),
            memo: None,
        };
        let orders = [grant.payment(), grant.reversal(), grant.void_return()];
        let wallets: Vec<&str> = orders.iter().map(|order| order.wallet.as_str()).collect();
        assert_eq!(wallets, ["m", "m", "f"]);
        let ids: std::collections::BTreeSet<_> = orders.iter().map(|order| order.id).collect();
        assert_eq!(ids.len(), 3);
        assert!(orders.iter().all(|order| order.amount == grant.amount));
        assert!(orders.iter().all(|order| order.pool == Some(grant.source)));
        assert_eq!(grant.payment().kind, TransferKind::Claim);
    }
}
