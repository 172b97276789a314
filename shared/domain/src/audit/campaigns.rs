//! The accounts of campaigns. They hold nothing: what a campaign pays is issued, and what it takes
//! back leaves issuance again.

use std::collections::BTreeMap;

use super::Books;
use crate::id::{GrantId, PoolId, TransferId};
use crate::ledger::{TransferKind, TransferOrder};

/// What all campaigns moved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) paid: u64,
    pub(super) taken_back: u64,
}

/// Each payment has a campaign; each reversal takes one payment back, once, whole, from its wallet.
/// So no campaign takes back more than it paid.
pub(super) fn audit_campaigns(books: &Books, found: &mut Vec<String>) -> Sums {
    let mut sums = Sums::default();
    // By the id of the transfer that would take it back.
    let mut payments: BTreeMap<TransferId, &TransferOrder> = BTreeMap::new();
    let mut reversals = Vec::new();
    for order in books.transfers.iter().map(|transfer| &transfer.order) {
        match (order.pool, order.kind) {
            (Some(PoolId::Campaign(_)), TransferKind::Campaign) => {
                sums.paid = sums.paid.saturating_add(order.amount.get());
                if payments.insert(GrantId(order.id.0).reversal(), order).is_some() {
                    found.push(format!("campaigns paid twice under {}", order.id));
                }
            }
            (Some(PoolId::Campaign(_)), TransferKind::Reversal) => {
                sums.taken_back = sums.taken_back.saturating_add(order.amount.get());
                reversals.push(order);
            }
            (Some(PoolId::Campaign(_)), kind) => {
                found.push(format!("{}: a campaign made a {}", order.id, kind.as_str()));
            }
            (_, TransferKind::Campaign) => {
                found.push(format!("{}: the payment of no campaign", order.id));
            }
            (_, _) => {}
        }
    }
    for order in reversals {
        let payment = payments.remove(&order.id);
        let is_of = |payment: &&TransferOrder| {
            (payment.pool, &payment.wallet) == (order.pool, &order.wallet)
        };
        match payment.filter(is_of) {
            None => found.push(format!("{}: taken back without a payment", order.id)),
            Some(payment) if payment.amount != order.amount => {
                let (paid, back) = (payment.amount, order.amount);
                found.push(format!("{}: {back} was taken back of {paid}", order.id));
            }
            Some(_) => {}
        }
    }
    sums
}
