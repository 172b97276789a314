//! A member offers a product.

use largesse_domain::id::{ProductId, UserId};
use largesse_domain::product::{Product, Terms, made_at};

use crate::ports::{PortError, Products};

/// A request to make a product, under the id that makes it happen once.
#[derive(Clone, Debug)]
pub struct Create {
    /// The product's id.
    pub id: ProductId,
    /// Who makes it.
    pub creator: UserId,
    /// On what terms.
    pub terms: Terms,
}

/// Why no product was made, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// It would be over before it is made.
    #[error("the product closes before it is made")]
    Over,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Makes a product. Repeating it under the same id returns the first one.
///
/// # Errors
/// [`CreateError`], the first in its order.
pub async fn create<D: Products>(deps: &D, request: Create) -> Result<Product, CreateError> {
    let Create { id, creator, terms } = request;
    // The time of its id, so that a run that resumes an earlier one decides the same.
    if terms.window.is_over(made_at(id.0)) {
        return Err(CreateError::Over);
    }
    Ok(deps.create_product(&Product::new(id, creator, terms)).await?.into_inner())
}
