//! A drop whose window is over is closed, and what was not taken returns to its funder.
//!
//! A drop may have thousands of buckets, so they do not fit into one transaction. Each bucket that is
//! not full is closed by itself, as it was read; from then on it gives nothing, and its remainder is
//! fixed. When all are full or closed, one transaction marks the drop and credits the funder. A run
//! that ends in between is resumed by the next one.
//!
//! # Guarantees
//! * The slots that were not drawn are returned, once, wherever a run ends:
//!   `a_close_that_is_killed_at_any_step_returns_the_remainder_once`.
//! * A wallet that is too full fails no run, and gets the remainder when it has room:
//!   `a_remainder_waits_for_a_wallet_that_is_too_full`.

use futures::StreamExt;
use largesse_domain::drop::Drop;
use largesse_domain::id::{DropId, PoolId};
use largesse_domain::pool::{Bucket, BucketStatus};
use largesse_domain::time::Timestamp;

use crate::pool::read::buckets;
use crate::ports::{
    Clock, DropReads, DropReturned, DropsClosed, Freezes, INDEX_SHARDS, Pools, PortError,
    PortErrorKind, PortResult, Rng,
};

/// Buckets closed at the same time.
const CONCURRENCY: usize = 32;
/// How often buckets are read again that changed before they were closed. After the window only a draw
/// of a process whose clock is behind can change one.
const TRIES_MAX: u32 = 16;
/// Rows of the index read at a time.
const PAGE: u32 = 100;
/// How long a drop waits whose funder's wallet is too full: an hour.
const WALLET_FULL_WAIT_MS: u64 = 3_600_000;

/// What became of one drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// Closed by this call.
    Now {
        /// What was returned.
        amount: u64,
    },
    /// Closed before, or there is no such drop.
    Before,
    /// The window is not over.
    NotDue,
    /// The funder's wallet is too full. The drop keeps the money and is tried again in an hour.
    WalletFull {
        /// What is owed.
        amount: u64,
    },
}

/// Closes one drop, if it is due.
///
/// # Errors
/// [`PortError`]; it is still in the index, and the next run goes on.
pub async fn close<D>(deps: &D, id: DropId) -> PortResult<Closed>
where
    D: DropReads + DropsClosed + Pools + Clock,
{
    let Some(record) = deps.drop_record(id).await? else { return Ok(Closed::Before) };
    let (drop, now) = (record.drop, deps.now());
    if record.refund.is_some() {
        return Ok(Closed::Before);
    }
    if !drop.window.is_over(now) {
        return Ok(Closed::NotDue);
    }
    let amount = close_buckets(deps, &drop, now).await?;
    match deps.return_remainder(&drop, amount, now).await? {
        DropReturned::Done => Ok(Closed::Now { amount }),
        DropReturned::Before => Ok(Closed::Before),
        DropReturned::AlreadyPosted => {
            let said = "close drop: the ledger has the transfer, but the drop is not marked";
            Err(PortError::corrupt(said))
        }
        DropReturned::WalletFull => {
            if record.refused.is_none() {
                // infra/alarms.yaml counts this line, once for each drop.
                let why = "refund refused: the funder's wallet is full";
                tracing::error!(drop.id = %id, refund.refused = amount, "{why}");
            }
            deps.refuse_return(id, amount, now.plus_ms(WALLET_FULL_WAIT_MS)).await?;
            Ok(Closed::WalletFull { amount })
        }
    }
}

/// Closes what is not full, and says what is left.
async fn close_buckets<D>(deps: &D, drop: &Drop, now: Timestamp) -> PortResult<u64>
where
    D: DropsClosed + Pools,
{
    for _ in 0..TRIES_MAX {
        let all = buckets(deps, drop.pool(), drop.slots).await?;
        // What a bucket holds decides what is returned, so it must be what draws can have written.
        if let Some(error) = all.iter().find_map(|bucket| bucket.check().err()) {
            let (operation, kind) = ("close drop: a bucket cannot be", PortErrorKind::Corrupt);
            return Err(PortError { operation, kind, cause: Some(std::sync::Arc::new(error)) });
        }
        let is_open = |bucket: &&Bucket| bucket.status == BucketStatus::Open && !bucket.is_full();
        let open: Vec<_> = all.iter().filter(is_open).collect();
        if open.is_empty() {
            return Ok(all.iter().map(Bucket::remainder).fold(0, u64::saturating_add));
        }
        let closings: Vec<_> =
            open.into_iter().map(|bucket| deps.close_bucket(bucket, now)).collect();
        let closings = futures::stream::iter(closings).buffer_unordered(CONCURRENCY);
        closings.collect::<Vec<_>>().await.into_iter().collect::<PortResult<()>>()?;
    }
    Err(PortError::contended("close drop: its buckets keep changing"))
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CloseReport {
    /// Drops closed.
    pub closed: u64,
    /// What was returned, in all.
    pub returned: u64,
    /// Drops whose funder's wallet is too full; each is tried again in an hour.
    pub wallet_full: u64,
    /// Drops that are frozen, and wait for an operator.
    pub frozen: u64,
    /// Drops that could not be closed now, or not even read; the next run tries again.
    pub failed: u64,
    /// Whether time ran out before everything due was looked at.
    pub has_more: bool,
}

/// Closes what is due until `stop_at`, oldest first in each shard of the index, one drop after the
/// other: each has up to thousands of buckets.
///
/// # Errors
/// [`PortError`] when the index cannot be read; a drop that fails is counted.
pub async fn run<D>(deps: &D, stop_at: Timestamp) -> PortResult<CloseReport>
where
    D: DropReads + DropsClosed + Pools + Freezes + Rng + Clock,
{
    let mut report = CloseReport::default();
    let first = deps.below(INDEX_SHARDS);
    for shard in (first..INDEX_SHARDS).chain(0..first) {
        // One `now` for a shard: what becomes due while it is read waits for the next run.
        let now = deps.now();
        let mut after = None;
        loop {
            let page = deps.due_drops(shard, now, after, PAGE).await?;
            for name in &page.unreadable {
                tracing::error!(index.row = name, "not closed: the row cannot be read");
                report.failed = report.failed.saturating_add(1);
            }
            for due in &page.rows {
                if deps.now() >= stop_at {
                    report.has_more = true;
                    return Ok(report);
                }
                if deps.is_frozen(PoolId::Drop(due.id)).await? {
                    report.frozen = report.frozen.saturating_add(1);
                    continue;
                }
                count(&mut report, due.id, close(deps, due.id).await);
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(report)
}

fn count(report: &mut CloseReport, id: DropId, closed: PortResult<Closed>) {
    match closed {
        Ok(Closed::Now { amount }) => {
            report.closed = report.closed.saturating_add(1);
            report.returned = report.returned.saturating_add(amount);
        }
        Ok(Closed::Before | Closed::NotDue) => {}
        Ok(Closed::WalletFull { .. }) => {
            report.wallet_full = report.wallet_full.saturating_add(1);
        }
        Err(error) => {
            tracing::warn!(drop.id = %id, error.cause = error.causes(), "not closed yet");
            report.failed = report.failed.saturating_add(1);
        }
    }
}
