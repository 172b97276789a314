//! Deposits into wallets.

use largesse_app::ports::{Clock, Idempotency, Ids, Keys, Pause, Wallets};
use largesse_app::wallet::deposit::DepositError;
use largesse_edge::{ApiError, Code};

pub mod settings;
pub mod v1;
pub mod v2;

/// The ports that the function uses.
pub trait Deps: Wallets + Keys + Idempotency + Clock + Ids + Pause + 'static {}

impl<T: Wallets + Keys + Idempotency + Clock + Ids + Pause + 'static> Deps for T {}

largesse_edge::routes! { D: Deps =>
    v1::charge<D>, v2::deposit<D>,
}

fn refuse(error: DepositError) -> ApiError {
    match error {
        DepositError::TooFull => {
            ApiError::new(Code::WalletFull, "The wallet cannot hold that much.")
        }
        DepositError::Port(error) => error.into(),
    }
}
