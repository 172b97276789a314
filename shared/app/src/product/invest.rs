//! A member invests in a product.
//!
//! # Guarantees
//! * An amount that fits is never refused, and no sum of investments exceeds the target:
//!   `what_fits_is_taken_and_nothing_above_in_every_order_and_interleaving`,
//!   `five_thousand_at_once_near_the_end_reach_the_target_or_less_than_any_refused_amount`.
//! * A repeat invests once and answers the same, whatever was lost:
//!   `an_investment_that_is_killed_at_any_await_and_repeated_is_made_once`,
//!   `an_investment_whose_replies_are_lost_is_made_once_and_answered_the_same`.

use largesse_domain::id::{InvestmentId, ProductId, UserId};
use largesse_domain::ledger::PostRefused;
use largesse_domain::money::{Amount, Balance};
use largesse_domain::product::{Investment, Product, Refusal};

use super::sold_out;
use crate::ports::{Clock, Freezes, InvestOrder, NotInvested, PortError, PortErrorKind, Products};

/// A request to invest, under the id that makes it happen once.
#[derive(Clone, Debug)]
pub struct Invest {
    /// The investment's id.
    pub id: InvestmentId,
    /// In what.
    pub product: ProductId,
    /// Who invests.
    pub investor: UserId,
    /// How much.
    pub amount: Amount,
}

/// Why nothing was invested, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum InvestError {
    /// There is no such product.
    #[error("there is no such product")]
    NotFound,
    /// The product refuses.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// The product.
        product: Box<Product>,
    },
    /// The wallet holds less than the amount.
    #[error("the balance is {balance}")]
    Insufficient {
        /// What the wallet holds.
        balance: Balance,
    },
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Invests. Repeating it under the same id returns the first investment.
///
/// # Errors
/// [`InvestError`], the first in its order.
pub async fn invest<D>(deps: &D, request: Invest) -> Result<Investment, InvestError>
where
    D: Products + Freezes + Clock,
{
    let product = deps.known_product(request.product).await?.ok_or(InvestError::NotFound)?;
    if deps.is_frozen(product.pool()).await? {
        // No answer for the member: it may be made later.
        let (operation, kind) = ("invest: the product is frozen", PortErrorKind::Throttled);
        return Err(PortError { operation, kind, cause: None }.into());
    }
    let Invest { id, investor, amount, .. } = request;
    match deps.invest(&product, &InvestOrder { id, investor, amount }).await? {
        Ok(done) => {
            let investment = done.into_inner();
            if investment.remaining == 0 {
                mark(deps, &product).await;
            }
            Ok(investment)
        }
        Err(NotInvested::Product(refusal)) => {
            if refusal == Refusal::SoldOut {
                mark(deps, &product).await;
            }
            Err(InvestError::Refused { refusal, product: Box::new(product) })
        }
        Err(NotInvested::Wallet(PostRefused::Insufficient { balance })) => {
            Err(InvestError::Insufficient { balance })
        }
        // A debit needs no room: only a wallet that counts 2^64 transfers refuses it so.
        Err(NotInvested::Wallet(PostRefused::TooFull)) => {
            Err(InvestError::Insufficient { balance: Balance::ZERO })
        }
    }
}

/// The investment is made or refused already: a mark that fails is left to the next that looks.
async fn mark<D: Products + Clock>(deps: &D, product: &Product) {
    if let Err(error) = sold_out::mark(deps, product).await {
        let cause = error.causes();
        tracing::warn!(product.id = %product.id, error.cause = cause, "not marked as sold out yet");
    }
}
