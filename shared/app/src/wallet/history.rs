//! A wallet's history: by cursor, or by numbered pages for existing clients.

use largesse_domain::id::{TransferId, UserId};
use largesse_domain::ledger::Transfer;

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

/// Rows read at a time while counting: some 256 KB. A page of a query holds 1 MB (docs/limits.md).
const COUNT_STEP: u32 = 1_000;

/// Page `number` (from 1) of `per_page` rows. Reads the whole range to count it, as the numbered
/// form demands; the cursor form costs only what it shows.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn numbered<D: Wallets>(
    deps: &D,
    user: &UserId,
    filter: &HistoryFilter,
    number: u64,
    per_page: u32,
) -> PortResult<NumberedPage> {
    let skip = number.saturating_sub(1).saturating_mul(u64::from(per_page));
    let end = skip.saturating_add(u64::from(per_page));
    let mut result = NumberedPage { rows: Vec::new(), total: 0 };
    let mut after = None;
    loop {
        let step = deps.history(user, filter, after, COUNT_STEP).await?;
        for row in step.rows {
            if (skip..end).contains(&result.total) {
                result.rows.push(row);
            }
            result.total = result.total.saturating_add(1);
        }
        match step.next {
            Some(next) => after = Some(next),
            None => return Ok(result),
        }
    }
}
