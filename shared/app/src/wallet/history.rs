//! A wallet's history: by cursor, or by numbered pages for existing clients.

use largesse_domain::id::{TransferId, UserId};
use largesse_domain::ledger::{Transfer, Wallet};

use crate::page::{PAGE_LIMIT_MAX, Page};
use crate::ports::{HistoryFilter, PortResult, Wallets};

/// One page, newest first.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn page<D: Wallets>(
    deps: &D,
    user: &UserId,
    filter: &HistoryFilter,
    after: Option<TransferId>,
    limit: u32,
) -> PortResult<Page<Transfer, TransferId>> {
    deps.history(user, filter, after, limit.clamp(1, PAGE_LIMIT_MAX)).await
}

/// A numbered page, with the count of all rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedPage {
    /// The rows of this page, newest first.
    pub rows: Vec<Transfer>,
    /// How many rows there are on all pages.
    pub total: u64,
}

/// Page `number` (from 1) of `per_page` rows, of a wallet that was just read. The cursor form costs
/// only what it shows; this one also counts all rows.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn numbered<D: Wallets>(
    deps: &D,
    wallet: &Wallet,
    filter: &HistoryFilter,
    number: u64,
    per_page: u32,
) -> PortResult<NumberedPage> {
    let user = &wallet.user;
    let total = total(deps, wallet, filter).await?;
    let mut page = NumberedPage { rows: Vec::new(), total };
    let skip = number.saturating_sub(1).saturating_mul(u64::from(per_page));
    let mut after = None;
    if skip > 0 {
        // A page behind the last is empty, and costs no counting.
        if skip >= total {
            return Ok(page);
        }
        after = deps.count(user, filter, skip).await?.next;
        if after.is_none() {
            return Ok(page);
        }
    }
    let wanted = usize::try_from(per_page).unwrap_or(usize::MAX);
    loop {
        let missing = wanted.saturating_sub(page.rows.len());
        let step = deps.history(user, filter, after, u32::try_from(missing).unwrap_or(per_page));
        let step = step.await?;
        page.rows.extend(step.rows);
        after = step.next;
        if page.rows.len() >= wanted || after.is_none() {
            return Ok(page);
        }
    }
}

/// How many transfers the filter selects.
///
/// A wallet's `seq` is the number of all its transfers. So those of all kinds, up to now, are that
/// number without the older ones; and of the two sides, the one that looks shorter is counted.
async fn total<D: Wallets>(deps: &D, wallet: &Wallet, filter: &HistoryFilter) -> PortResult<u64> {
    let user = &wallet.user;
    let HistoryFilter { kinds, from, to } = filter;
    let (from, to) = (*from, *to);
    let direct = async || Ok(deps.count(user, filter, u64::MAX).await?.rows);
    if !kinds.is_empty() {
        return direct().await;
    }
    if to.is_some() {
        let newer = HistoryFilter { from: to, ..HistoryFilter::default() };
        if deps.count(user, &newer, 1).await?.rows > 0 {
            return direct().await;
        }
    }
    if from.is_none() {
        return Ok(wallet.seq);
    }
    let older = HistoryFilter { to: from, ..HistoryFilter::default() };
    let newest = deps.history(user, &older, None, 1).await?;
    // Payments may be late, so the older rows need not be the first ones. This is only a guess of
    // their number; the count is exact.
    let guess = match newest.rows.first() {
        Some(row) => row.seq,
        None if newest.next.is_none() => return Ok(wallet.seq),
        None => 0,
    };
    if guess > wallet.seq.saturating_sub(guess) {
        return direct().await;
    }
    let older = deps.count(user, &older, u64::MAX).await?.rows;
    Ok(wallet.seq.saturating_sub(older))
}

#[cfg(test)]
mod tests;
