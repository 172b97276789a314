//! Money comes in: issuance → wallet.

use largesse_domain::id::{TransferId, UserId};
use largesse_domain::ledger::{Memo, PostRefused, Transfer, TransferKind, TransferOrder};
use largesse_domain::money::Amount;
use largesse_domain::time::Timestamp;

use crate::ports::{PortError, Wallets};

/// A deposit, under the id that makes it happen once.
#[derive(Clone, Debug)]
pub struct Deposit {
    /// The transfer's id.
    pub id: TransferId,
    /// Whose wallet.
    pub user: UserId,
    /// How much.
    pub amount: Amount,
    /// The caller's remark.
    pub memo: Option<Memo>,
}

/// Why nothing was deposited.
#[derive(Debug, thiserror::Error)]
pub enum DepositError {
    /// The wallet would hold more than a wallet may.
    #[error("the wallet cannot hold that much")]
    TooFull,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Deposits. Repeating it under the same id returns the first transfer.
///
/// # Errors
/// [`DepositError`], the first in its order.
pub async fn deposit<D: Wallets>(deps: &D, deposit: Deposit) -> Result<Transfer, DepositError> {
    let decided_ms = i64::try_from(deposit.id.0.timestamp_ms()).unwrap_or(i64::MAX);
    let order = TransferOrder {
        id: deposit.id,
        wallet: deposit.user,
        kind: TransferKind::Deposit,
        amount: deposit.amount,
        // The id's own time, so that a repeat orders the very same transfer.
        at: Timestamp::from_ms(decided_ms),
        pool: None,
        counterpart: None,
        memo: deposit.memo,
    };
    match deps.post(order).await? {
        Ok(posted) => Ok(posted.into_inner()),
        Err(PostRefused::TooFull | PostRefused::Insufficient { .. }) => Err(DepositError::TooFull),
    }
}
