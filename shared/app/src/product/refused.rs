//! What products owe to wallets that are too full: for an operator.

use futures::StreamExt;
use largesse_domain::id::PoolId;
use largesse_domain::product::{Outcome, Product, Sums};

use super::settle::INVESTMENTS_PAGE;
use crate::due::{PAGE, REFUSED_WITHIN_MS, all_due};
use crate::ports::{Clock, PortErrorKind, PortResult, Products, Settlements};

/// Products read at the same time.
const READS_AT_ONCE: usize = 8;

/// The products that owe to a wallet that is too full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedSettlements {
    /// The products, the longest refused first.
    pub products: Vec<Product>,
    /// The names of due products that cannot be read.
    pub unreadable: Vec<String>,
}

/// All products that owe to a wallet that is too full. It reads the products that are due or become due
/// within two hours.
///
/// # Errors
/// [`crate::ports::PortError`]; a product that cannot be read is named.
pub async fn refused<D>(deps: &D) -> PortResult<RefusedSettlements>
where
    D: Products + Settlements + Clock,
{
    let until = deps.now().plus_ms(REFUSED_WITHIN_MS);
    let page = async |shard, after| deps.due_products(shard, until, after, PAGE).await;
    let (due, unreadable) = all_due(page).await?;
    let mut found = RefusedSettlements { products: Vec::new(), unreadable };
    let reads: Vec<_> = due.iter().map(async |due| (due.id, deps.product(due.id).await)).collect();
    let mut reads = futures::stream::iter(reads).buffered(READS_AT_ONCE);
    while let Some((id, read)) = reads.next().await {
        match read {
            Ok(product) => found.products.extend(product.filter(|p| p.refused.is_some())),
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                found.unreadable.push(PoolId::Product(id).to_string());
            }
            Err(error) => return Err(error),
        }
    }
    found.products.sort_by_key(|product| (product.refused, product.id));
    Ok(found)
}

/// What a product owes: to its issuer before it is settled, to its investors while it refunds. It
/// reads the shards, or all investments.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn owed<D>(deps: &D, product: &Product) -> PortResult<u64>
where
    D: Products + Settlements,
{
    match product.settled.map(|settled| settled.outcome) {
        None => Ok(Sums::of(&deps.shards(product).await?).raised),
        Some(Outcome::Refunding) => not_refunded(deps, product).await,
        Some(Outcome::PaidOut | Outcome::Refunded) => Ok(0),
    }
}

async fn not_refunded<D: Settlements>(deps: &D, product: &Product) -> PortResult<u64> {
    let mut owed = 0_u64;
    for part in 0..product.shards {
        let mut after = None;
        loop {
            let page = deps.investments_in(product, part, after, INVESTMENTS_PAGE).await?;
            let open = page.rows.iter().filter(|investment| !investment.is_refunded);
            owed = open.fold(owed, |sum, one| sum.saturating_add(one.amount.get()));
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(owed)
}
