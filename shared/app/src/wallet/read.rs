//! A wallet, and one of its transfers.

use largesse_domain::id::{DropId, PoolId, ProductId, SprayId, TransferId, UserId};
use largesse_domain::ledger::{Transfer, TransferKind, Wallet};

use crate::ports::{PortResult, Wallets};

/// The wallet; an empty one for a user who never had a transfer.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn read<D: Wallets>(deps: &D, user: &UserId) -> PortResult<Wallet> {
    deps.wallet(user).await
}

/// One transfer of the user's own wallet; `None` when it is not theirs or there is none.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn transfer<D: Wallets>(
    deps: &D,
    user: &UserId,
    id: TransferId,
) -> PortResult<Option<Transfer>> {
    deps.transfer(user, id).await
}

/// The spray that a transfer is about.
#[must_use]
pub fn spray_of(transfer: &Transfer) -> Option<SprayId> {
    match transfer.order.pool {
        Some(PoolId::Spray(id)) => Some(id),
        Some(_) | None => None,
    }
}

/// The product that a transfer is about.
#[must_use]
pub fn product_of(transfer: &Transfer) -> Option<ProductId> {
    match transfer.order.pool {
        Some(PoolId::Product(id)) => Some(id),
        Some(_) | None => None,
    }
}

/// The drop that a transfer is about.
#[must_use]
pub fn drop_of(transfer: &Transfer) -> Option<DropId> {
    match transfer.order.pool {
        Some(PoolId::Drop(id)) => Some(id),
        Some(_) | None => None,
    }
}

/// Whether the transfer is what its wallet gave for a spray.
#[must_use]
pub fn is_spray(transfer: &Transfer) -> bool {
    transfer.order.kind == TransferKind::Spray
}
