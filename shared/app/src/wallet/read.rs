//! A wallet, and one of its transfers.

use largesse_domain::id::{PoolId, TransferId, UserId};
use largesse_domain::ledger::{Transfer, TransferKind, Wallet};

use crate::ports::{Grants, Pools, PortError, PortResult, Wallets};
use crate::spray::read::{Claim, claims_of};

/// The wallet; an empty one for a user who never had a transfer.
///
/// # Errors
/// [`PortError`].
pub async fn read<D: Wallets>(deps: &D, user: &UserId) -> PortResult<Wallet> {
    deps.wallet(user).await
}

/// A transfer with what it led to.
#[derive(Clone, Debug)]
pub struct TransferDetail {
    /// The transfer.
    pub transfer: Transfer,
    /// For a spray: who claimed what.
    pub claims: Vec<Claim>,
}

/// One transfer of the user's own wallet; `None` when it is not theirs or there is none.
///
/// # Errors
/// [`PortError`].
pub async fn transfer<D: Wallets + Grants + Pools>(
    deps: &D,
    user: &UserId,
    id: TransferId,
) -> Result<Option<TransferDetail>, PortError> {
    let Some(transfer) = deps.transfer(user, id).await? else { return Ok(None) };
    let claims = match (transfer.order.kind, transfer.order.pool) {
        (TransferKind::Spray, Some(pool @ PoolId::Spray(_))) => match deps.pool(pool).await? {
            Some(head) => claims_of(deps, &head).await?,
            None => Vec::new(),
        },
        _ => Vec::new(),
    };
    Ok(Some(TransferDetail { transfer, claims }))
}
