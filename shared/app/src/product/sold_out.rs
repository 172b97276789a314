//! A product is marked as sold out by the first that sees that nothing remains.
//!
//! An investment takes capacity from shards that know nothing of each other, so none of them can
//! tell by itself that it is the last. The mark is one conditional write of its own. The stream of the
//! table carries it to the bus, so the event is published once for each product, at least once by the
//! bus. A process that ends between the last investment and the mark leaves it to the next one that
//! looks: an investor who is refused, or the settlement, which runs each minute.

use largesse_domain::product::{Product, Sums};

use crate::ports::{Clock, PortResult, Products};

/// Marks the product if nothing remains of it. Says whether it is sold out.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn mark<D: Products + Clock>(deps: &D, product: &Product) -> PortResult<bool> {
    if product.sold_out.is_some() {
        return Ok(true);
    }
    let shards = deps.shards(product).await?;
    if Sums::of(&shards).remaining > 0 {
        return Ok(false);
    }
    deps.mark_sold_out(product.id, deps.now()).await?;
    Ok(true)
}
