//! Invests in products.

use largesse_app::ports::{Clock, Freezes, Idempotency, Ids, Keys, Pause, Products};
use largesse_app::product::invest::InvestError;
use largesse_domain::product::{Product, Refusal};
use largesse_edge::{ApiError, Code, time};

pub mod settings;
pub mod v2;

/// The ports that the function uses.
pub trait Deps: Products + Freezes + Keys + Idempotency + Clock + Ids + Pause + 'static {}

impl<T: Products + Freezes + Keys + Idempotency + Clock + Ids + Pause + 'static> Deps for T {}

largesse_edge::routes! { D: Deps =>
    v2::invest<D>,
}

fn refuse(error: InvestError) -> ApiError {
    match error {
        InvestError::NotFound => ApiError::not_found(),
        InvestError::Refused { refusal, product } => refused(refusal, &product),
        InvestError::Insufficient { balance } => {
            ApiError::new(Code::InsufficientBalance, "The wallet holds less than that.")
                .with("balance", balance.get())
        }
        InvestError::Port(error) => error.into(),
    }
}

fn refused(refusal: Refusal, product: &Product) -> ApiError {
    let window = product.terms.window;
    match refusal {
        Refusal::Ahead => ApiError::new(Code::NotOpenYet, "The product is not open yet.")
            .with("opens_at", time::format(window.opens)),
        Refusal::Over => ApiError::new(Code::ProductOver, "The product is over.")
            .with("closes_at", time::format(window.closes)),
        Refusal::SoldOut => ApiError::new(Code::ProductSoldOut, "The product is sold out."),
        Refusal::AboveRemaining { remaining } => {
            ApiError::new(Code::AboveRemaining, "Less than that remains.")
                .with("remaining", remaining)
        }
        Refusal::BelowMinimum { least } => {
            let detail = "Less than the least investment, and not all that remains.";
            ApiError::new(Code::OutsideInvestorLimits, detail).with("min_investment", least.get())
        }
        Refusal::AboveLimit { most, invested } => {
            let detail = "The investor would have more than one may.";
            ApiError::new(Code::OutsideInvestorLimits, detail)
                .with("max_per_investor", most.get())
                .with("invested", invested)
        }
    }
}
