//! The unclaimed rest of a spray is returned to its sender.
//!
//! A refund is one transaction: every bucket is closed as it was read, the sender is credited, the
//! token is freed. It holds only if no share was drawn since the buckets were read and the window is
//! over, so a claim and the refund of the same share can never both win. Repeating it, or running
//! it twice at once, changes nothing: a spray is refunded once, under one transfer id.
//!
//! A sender's wallet that is too full for the refund is an outcome, and no failure: the spray records
//! it, and keeps money and token until the wallet has room ([`super::refused`] lists such sprays).
//!
//! Tables that contradict each other, as after a restore of one of them, are an error at once: the
//! ledger has the transfer or a bucket is closed, but the spray is not refunded. Nothing changes, and
//! every run reports it until the tables agree.
//!
//! # Guarantees
//! * A refused refund fails no run, is tried every hour, and is reported once:
//!   `a_refund_into_a_full_wallet_waits_until_there_is_room_and_fails_no_run`,
//!   `a_refused_refund_is_reported_once_however_often_it_is_tried`.
//! * A refund that was made and is not on the spray is not made again, and is an error at once:
//!   `a_spray_that_was_restored_without_the_other_tables_is_an_error_at_once`.

use futures::StreamExt;
use largesse_domain::id::{PoolId, SprayId};
use largesse_domain::pool::{Bucket, BucketStatus};
use largesse_domain::spray::RefusedRefund;
use largesse_domain::time::Timestamp;

use crate::due::{DuePlace, DueWalk, PAGE, WALLET_FULL_WAIT_MS};
use crate::pool::read::buckets;
use crate::ports::{
    Clock, DueSpray, Freezes, Pools, PortError, PortErrorKind, PortResult, RefundOutcome, Refunds,
    Rng, Sprays,
};

/// How often a spray that changes under the refund is read again. After its window only a claim of
/// a process whose clock is behind can change it.
const TRIES_MAX: u32 = 16;
/// Sprays refunded at the same time by one run.
const CONCURRENCY: usize = 16;

/// What became of one refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refunded {
    /// Refunded by this call.
    Now {
        /// What was returned.
        amount: u64,
    },
    /// Refunded before, or there is no such spray.
    Before,
    /// The window is not over.
    NotDue,
    /// The sender's wallet is too full. The spray keeps the money and is tried again in an hour.
    WalletFull {
        /// What is owed.
        amount: u64,
    },
}

/// Refunds one spray, if it is due.
///
/// # Errors
/// [`PortError`]; it is still in the index, and the next run tries again.
pub async fn refund<D>(deps: &D, id: SprayId) -> PortResult<Refunded>
where
    D: Sprays + Pools + Refunds + Clock,
{
    for _ in 0..TRIES_MAX {
        let Some(spray) = deps.spray(id).await? else { return Ok(Refunded::Before) };
        let now = deps.now();
        if spray.refund.is_some() {
            return Ok(Refunded::Before);
        }
        if !spray.window.is_over(now) {
            return Ok(Refunded::NotDue);
        }
        let buckets = buckets(deps, spray.pool(), spray.recipients).await?;
        // What a bucket holds decides what is returned, so it must be what draws can have written.
        if let Some(error) = buckets.iter().find_map(|bucket| bucket.check().err()) {
            let (operation, kind) = ("refund: a bucket cannot be", PortErrorKind::Corrupt);
            return Err(PortError { operation, kind, cause: Some(std::sync::Arc::new(error)) });
        }
        if buckets.iter().any(|bucket| bucket.status == BucketStatus::Closed) {
            let said = "refund: a bucket is closed, but the spray is not refunded";
            return refunded_meanwhile(deps, id, said).await;
        }
        let amount = buckets.iter().map(Bucket::remainder).fold(0, u64::saturating_add);
        match deps.refund_spray(&spray, &buckets, now).await? {
            RefundOutcome::Done => return Ok(Refunded::Now { amount }),
            RefundOutcome::WalletFull => {
                if spray.refused.is_none() {
                    // infra/alarms.yaml counts this line, once for each refused refund. It comes
                    // before the record, so a run that is killed in between does not hide it.
                    let why = "refund refused: the sender's wallet is full";
                    tracing::error!(spray.id = %id, refund.refused = amount, "{why}");
                }
                let refused = RefusedRefund { amount, since: now };
                deps.refuse_refund(id, refused, now.plus_ms(WALLET_FULL_WAIT_MS)).await?;
                return Ok(Refunded::WalletFull { amount });
            }
            RefundOutcome::AlreadyPosted => {
                let said = "refund: the ledger has its transfer, but the spray is not refunded";
                return refunded_meanwhile(deps, id, said).await;
            }
            RefundOutcome::Changed => {}
        }
    }
    Err(PortError::contended("refund: the spray keeps changing"))
}

/// A refund closes the buckets, posts its transfer and marks the spray in one transaction. So another
/// run did all three since the spray was read, or the tables contradict each other, as `said`.
async fn refunded_meanwhile<D: Sprays>(
    deps: &D,
    id: SprayId,
    said: &'static str,
) -> PortResult<Refunded> {
    match deps.spray(id).await? {
        Some(spray) if spray.refund.is_none() => Err(PortError::corrupt(said)),
        _ => Ok(Refunded::Before),
    }
}

/// What a run of the refund did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchReport {
    /// Sprays refunded.
    pub refunded: u64,
    /// What was returned, in all.
    pub returned: u64,
    /// Sprays whose sender's wallet is too full; each is tried again in an hour.
    pub wallet_full: u64,
    /// Sprays that are frozen, and wait for an operator.
    pub frozen: u64,
    /// Sprays that could not be refunded now, or not even read; the next run tries again.
    pub failed: u64,
    /// Whether time ran out before everything due was looked at.
    pub has_more: bool,
}

/// Refunds what is due until `stop_at`, oldest first in each shard of the index. Repeated runs work
/// off a backlog of any length: each goes on where the index says that something is due.
///
/// # Errors
/// [`PortError`] when the index cannot be read; a spray that fails is counted.
pub async fn run<D>(deps: &D, stop_at: Timestamp) -> PortResult<BatchReport>
where
    D: Sprays + Pools + Refunds + Freezes + Rng + Clock,
{
    let mut report = BatchReport::default();
    let mut walk = DueWalk::until(stop_at, deps);
    while let Some(DuePlace { shard, now, after }) = walk.next(deps) {
        let page = deps.due_sprays(shard, now, after, PAGE).await?;
        report.failed = report.failed.saturating_add(page.log_unreadable("not refunded"));
        let mut due = Vec::new();
        for row in page.rows {
            // It stays in the index until an operator lifts the freeze.
            if deps.is_frozen(PoolId::Spray(row.id)).await? {
                report.frozen = report.frozen.saturating_add(1);
            } else {
                due.push(row);
            }
        }
        refund_page(deps, &due, &mut report).await;
        walk.went_on(page.next);
    }
    report.has_more = walk.has_more();
    Ok(report)
}

async fn refund_page<D>(deps: &D, due: &[DueSpray], report: &mut BatchReport)
where
    D: Sprays + Pools + Refunds + Clock,
{
    let refunds: Vec<_> =
        due.iter().map(async |due| (due.id, refund(deps, due.id).await)).collect();
    let mut refunds = futures::stream::iter(refunds).buffer_unordered(CONCURRENCY);
    while let Some((id, result)) = refunds.next().await {
        match result {
            Ok(Refunded::Now { amount }) => {
                report.refunded = report.refunded.saturating_add(1);
                report.returned = report.returned.saturating_add(amount);
            }
            Ok(Refunded::Before | Refunded::NotDue) => {}
            Ok(Refunded::WalletFull { .. }) => {
                report.wallet_full = report.wallet_full.saturating_add(1);
            }
            Err(error) => {
                tracing::warn!(spray.id = %id, error.cause = error.causes(), "not refunded yet");
                report.failed = report.failed.saturating_add(1);
            }
        }
    }
}
