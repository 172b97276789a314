//! A member makes a drop and pays for it.
//!
//! The buckets are written first, each only if it is not there; then one transaction makes the drop
//! and moves the money. A drop is visible from that transaction on, so all its buckets stand before
//! anybody can draw. A run that ends in between leaves buckets that hold no money and that no member
//! sees. They are not deleted: a run that was thought dead may still make the drop, and a bucket that
//! is gone then would never give its slots (docs/adr/0013).
//!
//! # Guarantees
//! * A repeat makes no second drop, and wipes no draw: `a_drop_is_made_once_whatever_is_repeated`.
//! * Without the money nothing is visible: `a_drop_that_cannot_be_paid_for_is_not_made`.

use largesse_domain::drop::{Drop, Shuffle, Terms};
use largesse_domain::id::{DropId, UserId};
use largesse_domain::ledger::PostRefused;
use largesse_domain::money::Balance;
use largesse_domain::split::Seed;

use crate::ports::{DropReads, DropsMade, Once, PortError, Rng, Wallets};

/// A request to make a drop, under the id that makes it happen once.
#[derive(Clone, Debug)]
pub struct Create {
    /// The drop's id.
    pub id: DropId,
    /// Who pays.
    pub funder: UserId,
    /// On what terms.
    pub terms: Terms,
}

/// Why no drop was made, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The wallet holds less than all slots are worth.
    #[error("the balance is {balance}")]
    Insufficient {
        /// What the wallet holds.
        balance: Balance,
    },
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// The table of buckets takes fewer writes at once than the crowd of the drop needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LowThroughput {
    /// Write units that the drop needs in a second: to be filled in it, or to take all its lots evenly.
    pub needed: u64,
    /// Write units that the table takes in a second without warming up.
    pub warm: u64,
}

/// A drop that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The drop.
    pub drop: Drop,
    /// Whether the table is too cold for a crowd.
    pub low: Option<LowThroughput>,
}

/// Makes a drop. Repeating it under the same id returns the first one.
///
/// # Errors
/// [`CreateError`], the first in its order.
pub async fn create<D>(deps: &D, request: Create) -> Result<Made, CreateError>
where
    D: DropsMade + DropReads + Wallets + Rng,
{
    let Create { id, funder, terms } = request;
    let seed = || {
        let mut seed = [0; 32];
        deps.fill(&mut seed);
        Seed(seed)
    };
    let drop = Drop::new(id, funder, terms, seed);
    let corrupt = |_| PortError::corrupt("create drop: its amount is none");
    let order = drop.funding_order().map_err(corrupt)?;
    if let Some(earlier) = deps.drop_record(id).await? {
        return made(deps, earlier.drop).await;
    }
    let balance = deps.wallet(&drop.funder).await?.balance;
    if balance.get() < order.amount.get() {
        return Err(CreateError::Insufficient { balance });
    }
    deps.put_buckets(&drop.buckets()).await?;
    match deps.create_drop(&drop, &order).await? {
        Ok(Once::Now(drop) | Once::Before(drop)) => made(deps, drop).await,
        Err(PostRefused::Insufficient { balance }) => Err(CreateError::Insufficient { balance }),
        Err(PostRefused::TooFull) => Err(CreateError::Insufficient { balance: Balance::ZERO }),
    }
}

/// What stands in the answer: whether the crowd that is expected fits.
async fn made<D: DropsMade>(deps: &D, drop: Drop) -> Result<Made, CreateError> {
    let needed = writes_to_fill(crowd_per_s(&drop));
    let warm = match deps.warm_writes_per_s().await {
        Ok(warm) => warm,
        Err(error) => {
            // The drop is made; that the table cannot be asked changes nothing of it.
            tracing::warn!(error.cause = error.causes(), "the table's warm throughput is unknown");
            None
        }
    };
    let low = warm.filter(|warm| *warm < needed).map(|warm| LowThroughput { needed, warm });
    Ok(Made { drop, low })
}

/// The entries of one second that take a part: all slots, or an even share of the lots.
fn crowd_per_s(drop: &Drop) -> u32 {
    let lots = |shuffle: &Shuffle| drop.lots_max().div_ceil(shuffle.seconds.max(1));
    drop.shuffle.as_ref().map_or(drop.slots, lots)
}

/// Write units for as many draws: 1.5 for each (architecture.md 5.1).
fn writes_to_fill(parts: u32) -> u64 {
    u64::from(parts).saturating_mul(3).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filling_a_drop_takes_one_and_a_half_write_units_a_slot() {
        assert_eq!([1, 2, 10_000].map(writes_to_fill), [2, 3, 15_000]);
    }
}
