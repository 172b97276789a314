//! Each transfer between a wallet and a pool has a reason in the pool.

use std::collections::BTreeMap;

use futures::StreamExt;
use largesse_domain::audit::{Finding, explains};
use largesse_domain::drop::Drop;
use largesse_domain::id::{DropId, PoolId, ProductId};
use largesse_domain::ledger::{Transfer, TransferKind, TransferOrder};
use largesse_domain::product::{Investment, Product};

use super::pools::{Whole, whole};
use super::{CONCURRENCY, Reads, unless_archived};
use crate::drop::standing::{Owned, owned};
use crate::ports::{PartKey, PortError, PortErrorKind, PortResult, Products, Settlements};

/// Investments of one member read at a time: few members have more in one product.
const PAGE: u32 = 8;

/// The transfers that no pool leads to. Each pool is read after the transfers were.
pub(super) async fn unexplained<D: Reads>(
    deps: &D,
    transfers: Vec<Transfer>,
) -> PortResult<Vec<Finding>> {
    let mut by_pool: BTreeMap<PoolId, Vec<TransferOrder>> = BTreeMap::new();
    for Transfer { order, .. } in transfers {
        if let Some(pool) = order.pool {
            by_pool.entry(pool).or_default().push(order);
        }
    }
    let looks: Vec<_> = by_pool
        .into_iter()
        .map(async |(pool, orders)| {
            unless_archived(deps, pool, of_pool(deps, pool, orders).await?).await
        })
        .collect();
    let mut looks = futures::stream::iter(looks).buffer_unordered(CONCURRENCY);
    let mut findings = Vec::new();
    while let Some(found) = looks.next().await {
        findings.extend(found?);
    }
    Ok(findings)
}

async fn of_pool<D: Reads>(
    deps: &D,
    pool: PoolId,
    mut orders: Vec<TransferOrder>,
) -> PortResult<Vec<Finding>> {
    match pool {
        // The chain of the wallet looks after what campaigns move.
        PoolId::Campaign(_) => return Ok(Vec::new()),
        PoolId::Product(id) => return of_product(deps, id, orders).await,
        PoolId::Drop(id) => {
            orders = not_owned(deps, id, orders).await?;
            if orders.is_empty() {
                return Ok(Vec::new());
            }
        }
        PoolId::Spray(_) | PoolId::Waiting(_) | PoolId::Lots(_) => {}
    }
    Ok(match whole(deps, pool).await? {
        Whole::Read(record, buckets) => {
            orders.retain(|order| !explains(&record, &buckets, order));
            orders.iter().map(|order| without_reason(pool, order)).collect()
        }
        Whole::Missing => {
            orders.iter().map(|order| moved(pool, order, "there is no such pool")).collect()
        }
        // The proof of the pool says so, too.
        Whole::Damaged(what) => vec![Finding::of_pool(pool, what)],
    })
}

fn moved(pool: PoolId, order: &TransferOrder, why: &str) -> Finding {
    let (id, kind, amount) = (order.id, order.kind.as_str(), order.amount);
    let what = format!("transfer {id} ({kind} of {amount}, wallet {}): {why}", order.wallet);
    Finding::of_pool(pool, what)
}

fn without_reason(pool: PoolId, order: &TransferOrder) -> Finding {
    moved(pool, order, "nothing in the pool leads to it")
}

/// The transfers of a drop that are not the payment of the member's slot: each member's slot is
/// found by the walk of the draw, whose full buckets this process remembers.
async fn not_owned<D: Reads>(
    deps: &D,
    id: DropId,
    orders: Vec<TransferOrder>,
) -> PortResult<Vec<TransferOrder>> {
    let record = match deps.drop_record(id).await {
        Ok(Some(record)) => record,
        // The whole pool is read next, and says so.
        Ok(None) => return Ok(orders),
        Err(error) if error.kind == PortErrorKind::Corrupt => return Ok(orders),
        Err(error) => return Err(error),
    };
    let drop = &record.drop;
    let looks: Vec<_> =
        orders.into_iter().map(async |order| (owns(deps, drop, &order).await, order)).collect();
    let mut looks = futures::stream::iter(looks).buffer_unordered(CONCURRENCY);
    let mut left = Vec::new();
    while let Some((owns, order)) = looks.next().await {
        match owns {
            Ok(true) => {}
            Ok(false) => left.push(order),
            Err(error) if error.kind == PortErrorKind::Corrupt => left.push(order),
            Err(error) => return Err(error),
        }
    }
    Ok(left)
}

async fn owns<D: Reads>(deps: &D, drop: &Drop, order: &TransferOrder) -> PortResult<bool> {
    if order.kind != TransferKind::Claim {
        return Ok(false);
    }
    Ok(match owned(deps, drop, &order.wallet).await? {
        Owned::Slot { grant, .. } => grant.payment() == *order,
        Owned::Place { .. } | Owned::Lot { .. } | Owned::Nothing => false,
    })
}

async fn of_product<D: Reads>(
    deps: &D,
    id: ProductId,
    orders: Vec<TransferOrder>,
) -> PortResult<Vec<Finding>> {
    let pool = PoolId::Product(id);
    let product = match deps.product(id).await {
        Ok(Some(product)) => product,
        Ok(None) => {
            return Ok(orders.iter().map(|o| moved(pool, o, "there is no such product")).collect());
        }
        Err(error) => return damaged(pool, error),
    };
    let looks: Vec<_> = orders
        .into_iter()
        .map(async |order| (is_of_product(deps, &product, &order).await, order))
        .collect();
    let mut looks = futures::stream::iter(looks).buffer_unordered(CONCURRENCY);
    let mut findings = Vec::new();
    while let Some((is_explained, order)) = looks.next().await {
        match is_explained {
            Ok(true) => {}
            Ok(false) => findings.push(without_reason(pool, &order)),
            Err(error) => findings.extend(damaged(pool, error)?),
        }
    }
    Ok(findings)
}

/// What cannot be read is a finding; every other failure is none.
fn damaged(pool: PoolId, error: PortError) -> PortResult<Vec<Finding>> {
    if error.kind == PortErrorKind::Corrupt {
        Ok(vec![Finding::of_pool(pool, error.causes())])
    } else {
        Err(error)
    }
}

/// Whether an investment of the member leads to a transfer, or the end of the product does. The
/// product was read after the transfer.
async fn is_of_product<D>(deps: &D, product: &Product, order: &TransferOrder) -> PortResult<bool>
where
    D: Products + Settlements,
{
    if order.kind == TransferKind::Payout {
        let payout = product.settled.and_then(|settled| product.payout(&settled));
        return Ok(payout.as_ref() == Some(order));
    }
    let leads = |investment: &Investment| {
        investment.order() == *order || (investment.is_refunded && investment.refund() == *order)
    };
    let part = product.part_of(&order.wallet);
    let mut after = Some(PartKey { investor: order.wallet.clone(), count: 0 });
    loop {
        let page = deps.investments_in(product, part, after, PAGE).await?;
        let of_member = page.rows.iter().take_while(|one| one.investor == order.wallet);
        let count = of_member.clone().count();
        if of_member.into_iter().any(leads) {
            return Ok(true);
        }
        match page.next {
            Some(next) if count == page.rows.len() => after = Some(next),
            _ => return Ok(false),
        }
    }
}
