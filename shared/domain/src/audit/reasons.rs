//! Why money moved between a wallet and a spray or a drop: the pool's own items lead to each
//! transfer.
//!
//! An item that a transfer follows from is written before it or with it, and is never removed: the
//! entry before its payment, the funding with the buckets, the closed buckets with the refund. So
//! whenever a transfer was read, a later read of the pool explains it, whatever else moves
//! meanwhile.

use crate::drop::Drop;
use crate::grant::Grant;
use crate::id::{PoolId, TransferId, UserId};
use crate::ledger::{TransferKind, TransferOrder};
use crate::pool::Bucket;
use crate::spray::Spray;

/// What a pool was made as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A spray.
    Spray(Box<Spray>),
    /// A drop.
    Drop(Box<Drop>),
}

impl Record {
    /// The pool.
    #[must_use]
    pub fn pool(&self) -> PoolId {
        match self {
            Self::Spray(spray) => spray.pool(),
            Self::Drop(drop) => drop.pool(),
        }
    }

    /// The transfer that put the money in: its wallet, its id and what it moves.
    fn funding(&self) -> (&UserId, TransferId, TransferKind, u64) {
        match self {
            Self::Spray(spray) => {
                (&spray.sender, TransferId(spray.id.0), TransferKind::Spray, spray.amount.get())
            }
            Self::Drop(drop) => {
                let amount = drop.amount.get().saturating_mul(drop.slots.into());
                (&drop.funder, TransferId(drop.id.0), TransferKind::Drop, amount)
            }
        }
    }

    fn refund(&self, remainder: u64) -> Option<TransferOrder> {
        match self {
            Self::Spray(spray) => spray.refund_order(remainder),
            Self::Drop(drop) => drop.refund_order(remainder),
        }
    }
}

fn grants(buckets: &[Bucket]) -> impl Iterator<Item = Grant> {
    let draws = buckets.iter().flat_map(|b| b.draws.iter().map(move |draw| (b, draw)));
    draws.filter_map(|(bucket, (member, entry))| bucket.grant(member, *entry))
}

/// The wallets and ids of all transfers that a pool leads to, but for the returns of voided
/// payments.
#[must_use]
pub fn orders(record: &Record, buckets: &[Bucket]) -> Vec<(UserId, TransferId)> {
    let (funder, funding, ..) = record.funding();
    let mut keys = vec![(funder.clone(), funding)];
    // Its id does not depend on what is left.
    keys.extend(record.refund(1).map(|refund| (refund.wallet, refund.id)));
    keys.extend(grants(buckets).map(|grant| (grant.member.clone(), grant.id.transfer())));
    keys
}

/// Whether a pool leads to a transfer, by all its buckets.
#[must_use]
pub fn explains(record: &Record, buckets: &[Bucket], order: &TransferOrder) -> bool {
    if order.pool != Some(record.pool()) {
        return false;
    }
    // The grant of a member who has a slot, a place that was promoted, or a share.
    let of = |member: &UserId, leads: fn(&Grant) -> TransferOrder| {
        let draws = buckets.iter().filter_map(|b| Some((b, b.draws.get(member)?)));
        let mut grants = draws.filter_map(|(bucket, entry)| bucket.grant(member, *entry));
        grants.any(|grant| leads(&grant) == *order)
    };
    match order.kind {
        TransferKind::Spray | TransferKind::Drop => {
            let (wallet, id, kind, amount) = record.funding();
            (wallet, id, kind, amount) == (&order.wallet, order.id, order.kind, order.amount.get())
        }
        TransferKind::Claim => of(&order.wallet, Grant::payment),
        TransferKind::Reversal => of(&order.wallet, Grant::reversal),
        TransferKind::Refund => match &order.counterpart {
            Some(member) => of(member, Grant::void_return),
            None => {
                let left = buckets.iter().map(Bucket::remainder).fold(0, u64::saturating_add);
                record.refund(left).as_ref() == Some(order)
            }
        },
        TransferKind::Deposit
        | TransferKind::Campaign
        | TransferKind::Investment
        | TransferKind::Payout => false,
    }
}
