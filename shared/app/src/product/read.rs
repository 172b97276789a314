//! Products that recruit, one product, and a member's own investments.

use futures::StreamExt;
use largesse_domain::id::{InvestmentId, ProductId, UserId};
use largesse_domain::product::{Investment, Product, State, Sums};
use largesse_domain::time::Timestamp;

use crate::page::{PAGE_LIMIT_MAX, Page};
use crate::ports::{Clock, Closing, PortResult, Products};

/// Products of a list whose shards are read at the same time.
const CONCURRENCY: usize = 8;
/// Pages of the index, of [`PAGE_LIMIT_MAX`] products, that one list reads at most. Products that have
/// not opened lie in it too, so a page of the list may have fewer rows than wanted, and a next one.
const INDEX_PAGES_MAX: u32 = 10;

/// A product with its figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The product.
    pub product: Product,
    /// What was invested and what remains, at most one second old.
    pub sums: Sums,
    /// Where it stands.
    pub state: State,
}

/// One product; `None` when there is none.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn one<D: Products + Clock>(deps: &D, id: ProductId) -> PortResult<Option<Row>> {
    match deps.product(id).await? {
        Some(product) => row(deps, product, deps.now()).await.map(Some),
        None => Ok(None),
    }
}

/// A settled product says itself what was raised; of another one the shards are read.
async fn row<D: Products>(deps: &D, product: Product, now: Timestamp) -> PortResult<Row> {
    let sums = match product.settled {
        Some(settled) => Sums {
            remaining: product.terms.target.get().saturating_sub(settled.raised),
            raised: settled.raised,
            investors: settled.investors,
        },
        None => Sums::of(&deps.recent_shards(&product).await?),
    };
    let state = product.state(sums.remaining, now);
    Ok(Row { product, sums, state })
}

/// Products that recruit now, the first to close first.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn recruiting<D: Products + Clock>(
    deps: &D,
    after: Option<Closing>,
    limit: u32,
) -> PortResult<Page<Row, Closing>> {
    let wanted = usize::try_from(limit.clamp(1, PAGE_LIMIT_MAX)).unwrap_or(usize::MAX);
    let now = deps.now();
    let mut page = Page { rows: Vec::new(), next: after };
    for _ in 0..INDEX_PAGES_MAX {
        let index = deps.closing_products(now, page.next, PAGE_LIMIT_MAX).await?;
        let reads: Vec<_> =
            index.rows.iter().map(|closing| recruits(deps, *closing, now)).collect();
        let mut reads = futures::stream::iter(reads).buffered(CONCURRENCY);
        let mut places = index.rows.iter();
        while let Some(found) = reads.next().await {
            page.next = places.next().copied();
            page.rows.extend(found?);
            if page.rows.len() >= wanted {
                let is_last = places.len() == 0 && index.next.is_none();
                page.next = page.next.filter(|_| !is_last);
                return Ok(page);
            }
        }
        page.next = index.next;
        if page.next.is_none() {
            break;
        }
    }
    Ok(page)
}

/// The product, if it recruits.
async fn recruits<D: Products>(
    deps: &D,
    closing: Closing,
    now: Timestamp,
) -> PortResult<Option<Row>> {
    let Some(product) = deps.known_product(closing.product).await? else { return Ok(None) };
    if product.sold_out.is_some() || product.terms.window.is_ahead(now) {
        return Ok(None);
    }
    let row = row(deps, product, now).await?;
    Ok((row.state == State::Recruiting).then_some(row))
}

/// The member's own investments, newest first, each by itself.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn mine<D: Products>(
    deps: &D,
    investor: &UserId,
    after: Option<InvestmentId>,
    limit: u32,
) -> PortResult<Page<Investment, InvestmentId>> {
    deps.investments_by(investor, after, limit.clamp(1, PAGE_LIMIT_MAX)).await
}
