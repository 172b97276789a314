//! What nobody claimed goes back to the sender.
//!
//! A refund is one transaction that holds only if the spray is as it was read and its window is
//! over, so a claim and the refund can never both win. Repeating it, or running it twice at once,
//! changes nothing: the pool is closed once, under one transfer id.

use futures::StreamExt;
use largesse_domain::id::{SprayId, Token};
use largesse_domain::pool::PoolStatus;
use largesse_domain::time::Timestamp;

use super::token;
use crate::grant::settle;
use crate::ports::{
    Clock, DueSpray, Grants, INDEX_SHARDS, Pools, PortError, PortErrorKind, PortResult,
    RefundOutcome, Refunds, Rng, Sprays, TokenSpace,
};

/// How often a spray that changes under the refund is read again. After its window only settling
/// can change it, at most once for each note.
const TRIES_MAX: u32 = 16;
/// Sprays refunded at the same time by one run.
const CONCURRENCY: usize = 16;
/// Rows of the index read at a time.
const PAGE: u32 = 100;

/// What became of one refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refunded {
    /// Refunded by this call.
    Now {
        /// What went back.
        amount: u64,
        /// The token that is free again.
        token: Token,
    },
    /// Refunded before, or there is no such spray.
    Before,
    /// The window is not over.
    NotDue,
}

/// Refunds one spray, if it is due.
///
/// # Errors
/// [`PortError`]; it is still in the index, and the next run tries again.
pub async fn refund<D>(deps: &D, id: SprayId) -> PortResult<Refunded>
where
    D: Sprays + Pools + Grants + Refunds + Clock,
{
    for _ in 0..TRIES_MAX {
        let Some(spray) = deps.spray(id).await? else { return Ok(Refunded::Before) };
        let now = deps.now();
        if spray.pool.status == PoolStatus::Closed {
            return Ok(Refunded::Before);
        }
        if !spray.pool.window.is_over(now) {
            return Ok(Refunded::NotDue);
        }
        let settled = settle::settle_pending(deps, &spray.pool, &spray.sender, |_| true).await?;
        if settled.released > 0 {
            continue;
        }
        let amount = spray.pool.supply.remainder();
        match deps.refund_spray(&spray, amount, now).await? {
            RefundOutcome::Done => return Ok(Refunded::Now { amount, token: spray.token }),
            RefundOutcome::Changed => {}
        }
    }
    let kind = PortErrorKind::Contended;
    Err(PortError { operation: "refund: the spray keeps changing", kind, cause: None })
}

/// What a run of the refund did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// Sprays refunded.
    pub refunded: u64,
    /// What went back, in all.
    pub returned: u64,
    /// Sprays that could not be refunded now; the next run tries again.
    pub failed: u64,
    /// Whether time ran out before everything due was looked at.
    pub has_more: bool,
}

/// Refunds what is due until `stop_at`, oldest first in each part of the index, and hints at the
/// tokens that are free again. A backlog of any length is worked off by repeated runs: each takes
/// up where the index says that something is due. Each begins with another part, so that neither
/// runs that overlap nor sprays that keep failing hold up the rest.
///
/// # Errors
/// [`PortError`] when the index cannot be read; a spray that fails is counted, not raised.
pub async fn run<D>(deps: &D, stop_at: Timestamp) -> PortResult<BatchReport>
where
    D: Sprays + Pools + Grants + Refunds + TokenSpace + Rng + Clock,
{
    let mut report = BatchReport::default();
    let first = deps.below(INDEX_SHARDS);
    for shard in (first..INDEX_SHARDS).chain(0..first) {
        let mut after = None;
        loop {
            if deps.now() >= stop_at {
                report.has_more = true;
                return Ok(report);
            }
            let page = deps.due_sprays(shard, deps.now(), after, PAGE).await?;
            let mut freed = refund_page(deps, &page.rows, &mut report).await;
            token::shuffle(deps, &mut freed);
            // Only a hint: what is lost here, a survey finds.
            let _ = token::offer(deps, &freed).await;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(report)
}

async fn refund_page<D>(deps: &D, due: &[DueSpray], report: &mut BatchReport) -> Vec<Token>
where
    D: Sprays + Pools + Grants + Refunds + Clock,
{
    let refunds: Vec<_> =
        due.iter().map(async |due| (due.id, refund(deps, due.id).await)).collect();
    let mut refunds = futures::stream::iter(refunds).buffer_unordered(CONCURRENCY);
    let mut freed = Vec::new();
    while let Some((id, result)) = refunds.next().await {
        match result {
            Ok(Refunded::Now { amount, token }) => {
                freed.push(token);
                report.refunded = report.refunded.saturating_add(1);
                report.returned = report.returned.saturating_add(amount);
            }
            Ok(Refunded::Before | Refunded::NotDue) => {}
            Err(error) => {
                tracing::warn!(spray.id = %id, error.cause = error.causes(), "not refunded yet");
                report.failed = report.failed.saturating_add(1);
            }
        }
    }
    freed
}
