//! A product: the capacity that was taken, the investments and their transfers are the same sum,
//! and its end is what it says.

use futures::StreamExt;
use largesse_domain::audit::{Books, Finding, audit_pools};
use largesse_domain::id::{PoolId, ProductId};
use largesse_domain::product::{Investment, Product, Sums};

use super::pools::{post, unreadable};
use super::walk::PageDone;
use super::{Reads, pause_after, unless_archived};
use crate::ports::{
    OwnerRow, PortErrorKind, PortResult, Products, ScanKey, Scans, Segment, Settlements,
};

/// Investments read at a time. A page of a query holds 1 MB (docs/limits.md).
const PAGE: u32 = 1_000;
/// Products proved at the same time for one page: each may have many investments.
const AT_ONCE: usize = 2;

/// Proves the products on a page of their table.
pub(super) async fn page<D: Reads>(
    deps: &D,
    segment: Segment,
    after: Option<ScanKey>,
) -> PortResult<PageDone> {
    let page = deps.scan_products(segment, after).await?;
    let mut done = PageDone::behind(page.next);
    let mut products = Vec::new();
    for row in page.rows {
        match row {
            OwnerRow::Whole(product) => products.push(product),
            OwnerRow::Other => {}
            OwnerRow::Unreadable(key) => done.findings.push(unreadable(&key)),
        }
    }
    let proofs: Vec<_> = products.into_iter().map(|product| prove(deps, product)).collect();
    let mut proofs = futures::stream::iter(proofs).buffer_unordered(AT_ONCE);
    while let Some(proof) = proofs.next().await {
        let (is_moving, found) = proof?;
        done.findings.extend(found);
        done.counts.products = done.counts.products.saturating_add(1);
        done.counts.moving = done.counts.moving.saturating_add(is_moving.into());
    }
    Ok(done)
}

/// Whether a product that is settled adds up.
///
/// # Errors
/// [`crate::ports::PortError`].
pub(crate) async fn adds_up<D: Reads>(deps: &D, id: ProductId) -> PortResult<bool> {
    Ok(matches!(prove_once(deps, id).await?, Proof::Still(wrong) if wrong.is_empty()))
}

/// What a try to prove a product came to.
enum Proof {
    /// Nothing was invested meanwhile; what does not add up.
    Still(Vec<String>),
    /// Investments came meanwhile; what is outside of the bounds before and after.
    Moving(Vec<String>),
}

async fn prove<D: Reads>(deps: &D, id: ProductId) -> PortResult<(bool, Vec<Finding>)> {
    let mut tried = 0_u32;
    loop {
        let proof = match prove_once(deps, id).await {
            Ok(proof) => proof,
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                Proof::Still(vec![error.causes()])
            }
            Err(error) => return Err(error),
        };
        let (is_moving, wrong) = match proof {
            Proof::Still(wrong) => (false, wrong),
            Proof::Moving(wrong) => (true, wrong),
        };
        let wrong = unless_archived(deps, PoolId::Product(id), wrong).await?;
        let pause = pause_after(tried);
        match pause {
            Some(ms) if is_moving || !wrong.is_empty() => deps.pause_ms(ms).await,
            _ => {
                let found = wrong.into_iter();
                let found = found.map(|what| Finding::of_pool(PoolId::Product(id), what));
                return Ok((is_moving, found.collect()));
            }
        }
        tried = tried.saturating_add(1);
    }
}

async fn prove_once<D>(deps: &D, id: ProductId) -> PortResult<Proof>
where
    D: Scans + Products + Settlements,
{
    let Some(product) = deps.product(id).await? else {
        return Ok(Proof::Still(vec!["the product is gone".to_owned()]));
    };
    let shards = deps.shards(&product).await?;
    let investments = investments(deps, &product).await?;
    let mut keys = Vec::new();
    for investment in &investments {
        let refund = investment.is_refunded.then(|| investment.refund());
        let orders = std::iter::once(investment.order()).chain(refund);
        keys.extend(orders.map(|order| (order.wallet, order.id)));
    }
    let payout = product.settled.and_then(|settled| product.payout(&settled));
    keys.extend(payout.map(|order| (order.wallet, order.id)));
    let mut books = Books {
        products: vec![product.clone()],
        shards: shards.iter().map(|shard| (id, *shard)).collect(),
        investments,
        ..Books::default()
    };
    post(deps, &mut books, keys).await?;
    let later = deps.product(id).await?;
    let shards_later = deps.shards(&product).await?;
    if later.as_ref() == Some(&product) && shards_later == shards {
        return Ok(Proof::Still(audit_pools(&books).err().unwrap_or_default()));
    }
    // Each investment takes its capacity in its own transaction: what was taken before the
    // investments were read is among them, and what they sum to was taken after.
    let invested = books.investments.iter().map(|one| one.amount.get());
    let invested = invested.fold(0, u64::saturating_add);
    let (least, most) = (Sums::of(&shards).raised, Sums::of(&shards_later).raised);
    let is_within = (least..=most).contains(&invested);
    let wrong =
        format!("{invested} is invested, but the shards gave {least} before and {most} after");
    Ok(Proof::Moving(if is_within { Vec::new() } else { vec![wrong] }))
}

async fn investments<D: Settlements>(deps: &D, product: &Product) -> PortResult<Vec<Investment>> {
    let mut all = Vec::new();
    for part in 0..product.shards {
        let mut after = None;
        loop {
            let page = deps.investments_in(product, part, after, PAGE).await?;
            all.extend(page.rows);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(all)
}
