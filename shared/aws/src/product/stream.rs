//! Records of the stream of table `products`: a product that was marked as sold out is published.

use std::collections::HashMap;

use largesse_app::ports::{Event, PortResult, ProductSoldOut};
use serde_dynamo::AttributeValue as StreamValue;

use super::codec::{SOLD_OUT_MS, read_product};
use crate::image::item_of;
use crate::keys::{PK, PRODUCT};

/// Whether the key of a record is one of this table.
#[must_use]
pub fn is_product(keys: &HashMap<String, StreamValue>) -> bool {
    matches!(keys.get(PK), Some(StreamValue::S(key)) if key.starts_with(PRODUCT))
}

/// The event of a record: its new image is marked as sold out, and its old one is not.
///
/// # Errors
/// Corrupt, when the product cannot be read.
pub fn sold_out(
    new: HashMap<String, StreamValue>,
    old: &HashMap<String, StreamValue>,
) -> PortResult<Option<Event>> {
    if !new.contains_key(SOLD_OUT_MS) || old.contains_key(SOLD_OUT_MS) {
        return Ok(None);
    }
    let product = read_product(&item_of(new))?;
    Ok(product.sold_out.map(|at| {
        Event::ProductSoldOut(ProductSoldOut {
            product: product.id,
            title: product.terms.title,
            target: product.terms.target,
            at,
        })
    }))
}
