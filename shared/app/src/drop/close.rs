//! A drop whose window is over is closed, and what was not taken returns to its funder.
//!
//! A drop may have thousands of buckets, so they do not fit into one transaction. Each bucket that is
//! not full is closed by itself, as it was read; from then on it gives nothing, and its remainder is
//! fixed. When all are full or closed, one transaction marks the drop and credits the funder. A run
//! that ends in between is resumed by the next one. A drop that begins with lots is due first when these
//! are to be drawn ([`super::shuffle`]).
//!
//! # Guarantees
//! * The slots that were not drawn are returned, once, wherever a run ends:
//!   `a_close_that_is_killed_at_any_step_returns_the_remainder_once`.
//! * A wallet that is too full fails no run, and gets the remainder when it has room:
//!   `a_remainder_waits_for_a_wallet_that_is_too_full`.

use futures::StreamExt;
use largesse_domain::id::{DropId, PoolId};
use largesse_domain::pool::{Bucket, BucketStatus};
use largesse_domain::time::Timestamp;

use super::shuffle::shuffle;
use crate::due::{DuePlace, DueWalk, PAGE, WALLET_FULL_WAIT_MS};
use crate::pool::read::buckets;
use crate::ports::{
    Clock, DropReads, DropReturned, DropsClosed, Freezes, Pools, PortError, PortErrorKind,
    PortResult, Rng, Shuffles,
};

/// Buckets closed at the same time.
const CONCURRENCY: usize = 32;
/// How often buckets are read again that changed before they were closed. After the window only a draw
/// of a process whose clock is behind can change one.
const TRIES_MAX: u32 = 16;

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

/// Closes one drop, if it is due. Before that, its lots are drawn, if it is time for them.
///
/// # Errors
/// [`PortError`]; it is still in the index, and the next run goes on.
pub async fn close<D>(deps: &D, id: DropId) -> PortResult<Closed>
where
    D: DropReads + DropsClosed + Shuffles + Pools + Clock,
{
    let Some(record) = deps.drop_record(id).await? else { return Ok(Closed::Before) };
    let (drop, now) = (record.drop, deps.now());
    if record.refund.is_some() {
        return Ok(Closed::Before);
    }
    if record.drawn.is_none() && drop.shuffling().is_some_and(|lots| lots.is_over(now)) {
        shuffle(deps, &drop, now).await?;
    }
    if !drop.window.is_over(now) {
        return Ok(Closed::NotDue);
    }
    let slots = close_buckets(deps, drop.pool(), drop.slots, now).await?;
    let amount = slots.iter().map(Bucket::remainder).fold(0, u64::saturating_add);
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

/// Closes what is not full of a pool of `parts` parts. Gives its buckets, which never change again.
///
/// # Errors
/// [`PortError`]; corrupt for a bucket that draws cannot have led to, or that waits for its shuffle.
pub(super) async fn close_buckets<D>(
    deps: &D,
    pool: PoolId,
    parts: u32,
    now: Timestamp,
) -> PortResult<Vec<Bucket>>
where
    D: DropsClosed + Pools,
{
    for _ in 0..TRIES_MAX {
        let all = buckets(deps, pool, parts).await?;
        // What a bucket holds decides what is returned, so it must be what draws can have written.
        if let Some(error) = all.iter().find_map(|bucket| bucket.check().err()) {
            let (operation, kind) = ("close drop: a bucket cannot be", PortErrorKind::Corrupt);
            return Err(PortError { operation, kind, cause: Some(std::sync::Arc::new(error)) });
        }
        // The shuffle comes before, so that it gives no slot whose worth was returned.
        if all.iter().any(|bucket| bucket.status == BucketStatus::Awaiting) {
            return Err(PortError::corrupt("close drop: a bucket waits for the shuffle"));
        }
        let is_open = |bucket: &&Bucket| bucket.status == BucketStatus::Open && !bucket.is_full();
        let open: Vec<_> = all.iter().filter(is_open).collect();
        if open.is_empty() {
            return Ok(all);
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
    D: DropReads + DropsClosed + Shuffles + Pools + Freezes + Rng + Clock,
{
    let mut report = CloseReport::default();
    let mut walk = DueWalk::until(stop_at, deps);
    while let Some(DuePlace { shard, now, after }) = walk.next(deps) {
        let page = deps.due_drops(shard, now, after, PAGE).await?;
        report.failed = report.failed.saturating_add(page.log_unreadable("not closed"));
        for due in &page.rows {
            if walk.is_over(deps) {
                break;
            }
            // It stays in the index until an operator lifts the freeze.
            if deps.is_frozen(PoolId::Drop(due.id)).await? {
                report.frozen = report.frozen.saturating_add(1);
                continue;
            }
            count(&mut report, due.id, close(deps, due.id).await);
        }
        walk.went_on(page.next);
    }
    report.has_more = walk.has_more();
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
