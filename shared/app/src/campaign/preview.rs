//! What a rollback would do.

use largesse_domain::campaign::{ChunkNumber, RowState};
use largesse_domain::id::CampaignId;

use super::{read, rows};
use crate::ports::{CampaignResults, Campaigns, PortError, PortResult, Wallets};

/// How many paid rows are examined at most.
const EXAMINED_MAX: u64 = 2_000;
/// How many chunks are read: some 2,000 rows.
const CHUNKS_MAX: u32 = 20;

/// What could not be taken back, as far as a sample says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Rows of which something is missing.
    pub rows: u64,
    /// How much is missing, in minor units.
    pub amount: u64,
    /// Of how many paid rows the wallets were read; the sums are scaled up from these.
    pub examined: u64,
}

/// What a rollback would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// Rows that are paid.
    pub rows: u64,
    /// What they sum to, in minor units.
    pub amount: u64,
    /// What could not be taken back; `None` where the wallets are not ours to read.
    pub expected_shortfall: Option<Expected>,
}

/// Tells what a rollback would do now; `None` before the campaign is sealed. `reads_wallets` when the
/// ledger pays.
///
/// # Errors
/// [`PortError`].
pub async fn preview<D: Campaigns + CampaignResults + Wallets>(
    deps: &D,
    id: CampaignId,
    reads_wallets: bool,
) -> PortResult<Option<Preview>> {
    let Some(view) = read::show(deps, id).await? else { return Ok(None) };
    let Some((counts, seal)) = view.counts.zip(view.campaign.seal) else { return Ok(None) };
    let success = counts.tally.success;
    let (rows, amount) = (success.rows, success.amount);
    let expected_shortfall = if reads_wallets {
        Some(sample(deps, id, seal.layout.chunks(), rows).await?)
    } else {
        None
    };
    Ok(Some(Preview { rows, amount, expected_shortfall }))
}

/// Reads the wallets of paid rows of chunks that are spread evenly. Members lie in chunks by a hash,
/// so the chunks are a random sample.
async fn sample<D: Campaigns + CampaignResults + Wallets>(
    deps: &D,
    id: CampaignId,
    chunks: u32,
    paid: u64,
) -> PortResult<Expected> {
    let step = chunks.div_ceil(CHUNKS_MAX).max(1);
    let (mut examined, mut short, mut missing) = (0_u64, 0_u64, 0_u64);
    let mut number = 0;
    while number < chunks && examined < EXAMINED_MAX {
        // A limit of one row: the page is this one chunk, unless it has no row at all.
        let page = rows::rows(deps, id, None, ChunkNumber(number), 1).await?;
        for view in page.map(|page| page.rows).unwrap_or_default() {
            if view.state != RowState::Success || examined >= EXAMINED_MAX {
                continue;
            }
            let wallet = deps.wallet(&view.row.member).await?;
            let lacks = view.row.amount.get().saturating_sub(wallet.balance.get());
            examined = examined.saturating_add(1);
            short = short.saturating_add(u64::from(lacks > 0));
            missing = missing.saturating_add(lacks);
        }
        number = number.saturating_add(step);
    }
    // Rounded up: a shortfall that was seen is never told as none.
    let scaled = |seen: u64| -> PortResult<u64> {
        let product = u128::from(seen).saturating_mul(u128::from(paid));
        let scaled = product.div_ceil(u128::from(examined.max(1)));
        u64::try_from(scaled).map_err(|_| PortError::corrupt("the sample does not fit"))
    };
    Ok(Expected { rows: scaled(short)?, amount: scaled(missing)?, examined })
}
