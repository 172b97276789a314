//! The escrows of products.

use std::collections::{BTreeMap, BTreeSet};

use super::Books;
use crate::id::{PoolId, ProductId, TransferId};
use crate::ledger::{Transfer, TransferKind};
use crate::product::{Investment, Outcome, Position, Product, Shard, Sums};

/// Checks every product; returns what lies in their escrows.
pub(super) fn audit_products(books: &Books, found: &mut Vec<String>) -> u64 {
    let mut moved: BTreeMap<ProductId, BTreeMap<TransferId, &Transfer>> = BTreeMap::new();
    for transfer in &books.transfers {
        let Some(PoolId::Product(id)) = transfer.order.pool else { continue };
        if moved.entry(id).or_default().insert(transfer.order.id, transfer).is_some() {
            found.push(format!("{id}: two transfers under {}", transfer.order.id));
        }
    }
    let mut shards: BTreeMap<ProductId, Vec<Shard>> = BTreeMap::new();
    for (id, shard) in &books.shards {
        shards.entry(*id).or_default().push(*shard);
    }
    let mut investments: BTreeMap<ProductId, Vec<&Investment>> = BTreeMap::new();
    for investment in &books.investments {
        investments.entry(investment.product).or_default().push(investment);
    }
    let mut escrows = 0_u64;
    for product in &books.products {
        let moved = moved.remove(&product.id).unwrap_or_default();
        let shards = shards.remove(&product.id).unwrap_or_default();
        let investments = investments.remove(&product.id).unwrap_or_default();
        check_shards(product, &shards, &investments, found);
        let escrow = check_money(product, &investments, moved, found);
        escrows = escrows.saturating_add(escrow);
        check_positions(product, &investments, found);
    }
    let unknown = moved.keys().chain(shards.keys()).chain(investments.keys());
    for id in unknown.collect::<BTreeSet<_>>() {
        found.push(format!("{id}: there is no such product"));
    }
    escrows
}

/// The shards hold the target. What was taken from them is what was invested, by as many members. They
/// are closed exactly when the product is settled.
fn check_shards(
    product: &Product,
    shards: &[Shard],
    investments: &[&Investment],
    found: &mut Vec<String>,
) {
    let id = product.id;
    let capacity = shards.iter().fold(0_u64, |sum, shard| sum.saturating_add(shard.capacity));
    if capacity != product.terms.target.get() {
        found.push(format!("{id}: the shards hold {capacity}, not the target"));
    }
    if shards.iter().any(|shard| shard.remaining > shard.capacity) {
        found.push(format!("{id}: more remains than there was"));
    }
    let sums = Sums::of(shards);
    let invested = sum(investments.iter().map(|investment| investment.amount.get()));
    if sums.raised != invested {
        found.push(format!("{id}: {} was taken for {invested} invested", sums.raised));
    }
    let investors: BTreeSet<_> = investments.iter().map(|one| &one.investor).collect();
    if u64::try_from(investors.len()) != Ok(sums.investors) {
        found.push(format!("{id}: {} investors instead of {}", sums.investors, investors.len()));
    }
    let is_settled = product.settled.is_some();
    if shards.iter().any(|shard| shard.is_closed != is_settled) {
        found.push(format!("{id}: settled is {is_settled}, but not for each shard"));
    }
    if let Some(settled) = product.settled
        && (settled.raised, settled.investors) != (sums.raised, sums.investors)
    {
        found.push(format!("{id}: {settled:?}, but the shards say {sums:?}"));
    }
    if product.sold_out.is_some() && sums.remaining > 0 {
        found.push(format!("{id}: sold out, but {} remain", sums.remaining));
    }
}

/// Each investment was paid by its transfer and refunded as its record says; the issuer was paid what was
/// raised if the product was paid out. Nothing else moved. Returns what lies in the escrow.
fn check_money(
    product: &Product,
    investments: &[&Investment],
    mut moved: BTreeMap<TransferId, &Transfer>,
    found: &mut Vec<String>,
) -> u64 {
    let id = product.id;
    let (mut paid_in, mut paid_back) = (0_u64, 0_u64);
    for transfer in moved.values() {
        let amount = transfer.order.amount.get();
        match transfer.order.kind {
            TransferKind::Investment => paid_in = paid_in.saturating_add(amount),
            _ => paid_back = paid_back.saturating_add(amount),
        }
    }
    let mut expected = Vec::new();
    for investment in investments {
        expected.push(investment.order());
        if investment.terms != product.terms {
            found.push(format!("{id}: {investment:?} has other terms"));
        }
        if investment.is_refunded {
            expected.push(investment.refund());
        }
        let may_be_refunded = match product.settled.map(|settled| settled.outcome) {
            Some(Outcome::Refunding) => true,
            Some(Outcome::Refunded) => investment.is_refunded,
            Some(Outcome::PaidOut) | None => !investment.is_refunded,
        };
        if !may_be_refunded {
            found.push(format!("{id}: {investment:?}, but {:?}", product.settled));
        }
    }
    expected.extend(product.settled.and_then(|settled| product.payout(&settled)));
    for order in expected {
        match moved.remove(&order.id) {
            Some(transfer) if transfer.order == order => {}
            other => found.push(format!("{id}: {order:?} was moved as {other:?}")),
        }
    }
    for transfer in moved.values() {
        found.push(format!("{id}: {transfer:?} has no reason"));
    }
    paid_in.saturating_sub(paid_back)
}

/// The investments of each member are numbered without gaps, with their running total, within the
/// limit.
fn check_positions(product: &Product, investments: &[&Investment], found: &mut Vec<String>) {
    let mut of_member: BTreeMap<_, Vec<&Investment>> = BTreeMap::new();
    for investment in investments {
        of_member.entry(&investment.investor).or_default().push(investment);
    }
    for (member, mut investments) in of_member {
        investments.sort_by_key(|investment| investment.position.count);
        let mut position = Position::default();
        for investment in investments {
            position.count = position.count.saturating_add(1);
            position.total = position.total.saturating_add(investment.amount.get());
            let is_within =
                product.terms.max_per_investor.is_none_or(|most| position.total <= most.get());
            if investment.position != position || !is_within {
                found.push(format!("{}: {member}: {investment:?}", product.id));
                break;
            }
        }
    }
}

fn sum(amounts: impl Iterator<Item = u64>) -> u64 {
    amounts.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests;
