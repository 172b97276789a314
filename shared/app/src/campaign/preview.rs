//! What a rollback would do.
//!
//! Where the ledger pays, the wallets of paid rows are read: a payment that its wallet does not hold
//! is not taken back. The rows are read in the order of their chunks, in which they lie by a hash of
//! the member, so the first ones are a fair sample of all. Where few rows were paid before a stop,
//! they are in the first chunks.
//!
//! # Guarantees
//! * Nothing is written, and the state that forbids a rollback forbids its preview:
//!   `a_rollback_tells_beforehand_what_it_would_do_and_does_nothing`.
//! * The shortfall is exact for up to [`WALLETS_READ_MAX`] rows, and scaled up from as many for more:
//!   `a_shortfall_is_exact_while_all_rows_are_read_and_scaled_up_beyond`.
//! * No wallet is read where another service keeps the money:
//!   `no_wallet_is_read_where_a_service_behind_http_keeps_them`.

use std::collections::BTreeMap;

use futures::future::try_join_all;
use largesse_domain::campaign::{Action, RowState, Sum};
use largesse_domain::id::{CampaignId, UserId};

use super::act::ActError;
use super::read::{View, show};
use super::standing::{self, RowCursor, Standing};
use crate::ports::{Balances, CampaignResults, Campaigns, PortError, PortResult};

/// The most rows whose wallets are read: 10,000 read units, less than a new table gives at once
/// (12,000 a second: Amazon DynamoDB Developer Guide, "DynamoDB on-demand capacity mode"), in some
/// 200 calls within a few seconds.
pub const WALLETS_READ_MAX: u32 = 10_000;
/// The wallets of one read: as many as one call to AWS may name.
const WALLETS_AT_ONCE: usize = 100;
/// How many such reads are under way at once.
const READS_AT_ONCE: usize = 16;

/// What the preview needs.
pub trait PreviewPorts: Campaigns + CampaignResults + Balances {}

impl<T: Campaigns + CampaignResults + Balances> PreviewPorts for T {}

/// What could not be taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shortfall {
    /// Payments whose wallets hold less. Nothing of them is taken back.
    pub rows: u64,
    /// What these payments sum to, in minor units.
    pub amount: u64,
    /// What their wallets lack, in minor units.
    pub missing: u64,
    /// Of how many rows the wallets were read. If that is fewer than all, the rest is estimated.
    pub sampled_rows: u64,
}

/// Why the shortfall is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShortfallUnknown {
    /// The wallets are not ours to read.
    #[error("an HTTP money service keeps the wallets")]
    WalletsElsewhere,
    /// The chunks that one request reads have no paid row, and others do.
    #[error("none of the rows that were read is paid")]
    NoneSampled,
}

/// What a rollback would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preview {
    /// How many payments it takes back. Rows whose outcome is not known may be among them.
    pub rows: u64,
    /// What they sum to, in minor units.
    pub amount: u64,
    /// Which of them it could not take back.
    pub shortfall: Result<Shortfall, ShortfallUnknown>,
}

/// What a rollback would do now, if it is allowed. The wallets of at most `wallets_max` rows are
/// read: [`WALLETS_READ_MAX`], and `None` where another service keeps them.
///
/// # Errors
/// [`ActError`], as the rollback itself.
pub async fn preview<D: PreviewPorts>(
    deps: &D,
    id: CampaignId,
    wallets_max: Option<u32>,
) -> Result<Preview, ActError> {
    let View { mut campaign, counts } = show(deps, id).await?.ok_or(ActError::NotFound)?;
    let fence = campaign.life.fence.saturating_add(1);
    campaign.life.apply(&Action::Rollback { fence })?;
    let tally = counts.map(|counts| counts.tally).unwrap_or_default();
    let rows = tally.success.rows.saturating_add(tally.unknown.rows);
    let amount = tally.success.amount.saturating_add(tally.unknown.amount);
    let shortfall = match wallets_max {
        Some(max) => shortfall(deps, id, Sum { rows, amount }, max).await?,
        None => Err(ShortfallUnknown::WalletsElsewhere),
    };
    Ok(Preview { rows, amount, shortfall })
}

/// What could not be taken back of what is paid.
async fn shortfall<D: PreviewPorts>(
    deps: &D,
    id: CampaignId,
    paid: Sum,
    wallets_max: u32,
) -> PortResult<Result<Shortfall, ShortfallUnknown>> {
    if paid.rows == 0 {
        return Ok(Ok(Shortfall::default()));
    }
    let is_paid = |state: &RowState| matches!(state, RowState::Success | RowState::Unknown);
    let page = standing::rows(deps, id, is_paid, RowCursor::default(), wallets_max).await?;
    let page = page.ok_or(PortError::corrupt("preview: a campaign is gone"))?;
    let (mut sample, mut short) = (Sum::default(), Shortfall::default());
    for some in page.rows.chunks(WALLETS_AT_ONCE.saturating_mul(READS_AT_ONCE)) {
        let reads = some.chunks(WALLETS_AT_ONCE).map(|rows| balances(deps, rows));
        let balances: BTreeMap<UserId, u64> =
            try_join_all(reads).await?.into_iter().flatten().collect();
        for Standing { row, .. } in some {
            let held = balances.get(&row.member).copied().unwrap_or(0);
            let amount = row.amount.get();
            sample.rows = sample.rows.saturating_add(1);
            sample.amount = sample.amount.saturating_add(amount);
            if held < amount {
                short.rows = short.rows.saturating_add(1);
                short.amount = short.amount.saturating_add(amount);
                short.missing = short.missing.saturating_add(amount.saturating_sub(held));
            }
        }
    }
    short.sampled_rows = sample.rows;
    Ok(match page.next {
        None => Ok(short),
        Some(_) if sample.rows == 0 => Err(ShortfallUnknown::NoneSampled),
        Some(_) => Ok(Shortfall {
            rows: scaled(short.rows, paid.rows, sample.rows),
            // By amount: a few large payments weigh in the sample as they do in all.
            amount: scaled(short.amount, paid.amount, sample.amount),
            missing: scaled(short.missing, paid.amount, sample.amount),
            ..short
        }),
    })
}

/// What the wallets of some rows hold, of those that hold anything.
async fn balances<D: Balances>(deps: &D, rows: &[Standing]) -> PortResult<Vec<(UserId, u64)>> {
    let members: Vec<UserId> = rows.iter().map(|standing| standing.row.member.clone()).collect();
    let wallets = deps.wallets(&members).await?;
    Ok(wallets.into_iter().map(|wallet| (wallet.user, wallet.balance.get())).collect())
}

/// What was seen of a sample, of all. Rounded up: a shortfall that was seen is never told as none.
fn scaled(seen: u64, all: u64, sample: u64) -> u64 {
    let product = u128::from(seen).saturating_mul(u128::from(all));
    u64::try_from(product.div_ceil(u128::from(sample.max(1)))).unwrap_or(u64::MAX)
}
