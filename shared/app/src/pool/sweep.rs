//! The sweep settles draws that whoever made them left pending: a process that was killed between
//! its draw and the record.
//!
//! Drawing puts a pool into a sparse index, under the time a minute later; the sweep takes it out
//! again once every note on it has its record.

use futures::StreamExt;
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::pool::{Drawn, Pool};
use largesse_domain::time::Timestamp;

use crate::grant::settle;
use crate::ports::{Clock, Grants, INDEX_SHARDS, Pools, PortResult, Rng, Sprays, Sweepable};

/// Pools swept at the same time by one run.
const CONCURRENCY: usize = 16;
/// Pools read from the index at a time.
const PAGE: u32 = 100;

/// What a run of the sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Pools looked at.
    pub pools: u64,
    /// Stale draws that were settled or found settled.
    pub settled: u64,
    /// Pools that could not be swept now; the next run tries again.
    pub failed: u64,
    /// Whether time ran out before everything was looked at.
    pub has_more: bool,
}

/// Sweeps what is to be swept until `stop_at`, longest waiting first in each part of the index.
/// Each run begins with another part, and a pool that fails is passed by, so that none holds up
/// the rest.
///
/// # Errors
/// [`crate::ports::PortError`] when the index cannot be read; a pool that fails is counted.
pub async fn run<D>(deps: &D, stop_at: Timestamp) -> PortResult<SweepReport>
where
    D: Pools + Grants + Sprays + Rng + Clock,
{
    let mut report = SweepReport::default();
    let first = deps.below(INDEX_SHARDS);
    for shard in (first..INDEX_SHARDS).chain(0..first) {
        let mut after = None;
        loop {
            if deps.now() >= stop_at {
                report.has_more = true;
                return Ok(report);
            }
            let page = deps.sweepable(shard, deps.now(), after, PAGE).await?;
            sweep_page(deps, &page.rows, &mut report).await;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    Ok(report)
}

async fn sweep_page<D>(deps: &D, pools: &[Sweepable], report: &mut SweepReport)
where
    D: Pools + Grants + Sprays + Clock,
{
    let sweeps: Vec<_> =
        pools.iter().map(async |pool| (pool.id, sweep(deps, pool.id).await)).collect();
    let mut sweeps = futures::stream::iter(sweeps).buffer_unordered(CONCURRENCY);
    while let Some((pool, result)) = sweeps.next().await {
        report.pools = report.pools.saturating_add(1);
        match result {
            Ok(settled) => report.settled = report.settled.saturating_add(settled),
            Err(error) => {
                tracing::warn!(pool.id = %pool, error.cause = error.causes(), "not swept yet");
                report.failed = report.failed.saturating_add(1);
            }
        }
    }
}

/// Sweeps one pool; returns how many stale draws have their record now.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn sweep<D>(deps: &D, pool: PoolId) -> PortResult<u64>
where
    D: Pools + Grants + Sprays + Clock,
{
    let PoolId::Spray(spray) = pool;
    let Some(spray) = deps.spray(spray).await? else { return Ok(0) };
    let (head, sender): (Pool, UserId) = (spray.pool, spray.sender);
    let now = deps.now();
    let is_stale = |drawn: Drawn| Pool::is_stale(drawn, now);
    let settled = settle::settle_pending(deps, &head, &sender, is_stale).await?;
    let count = u64::try_from(settled.recorded.len()).unwrap_or(u64::MAX);
    let young = head.pending.values().filter(|drawn| !is_stale(**drawn));
    let next = young.map(|drawn| Pool::sweep_at(drawn.at)).max();
    if head.keeps_notes() {
        // The notes stay (ADR 0001): they are all recorded now, but for the young ones.
        deps.swept(&head, next).await?;
    } else {
        deps.trim(pool, &settled.recorded).await?;
        if let Some(trimmed) = deps.pool(pool).await? {
            let left = trimmed.pending.values().map(|drawn| Pool::sweep_at(drawn.at)).max();
            deps.swept(&trimmed, left).await?;
        }
    }
    Ok(count)
}
