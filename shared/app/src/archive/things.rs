//! Finished things go into objects, are read back, and are removed from their tables.
//!
//! # Why nothing is lost, whatever is killed
//! 1. A thing that is decided to be finished does not change any more, so its items are read as they
//!    stay.
//! 2. They are written to objects, and each member is read back and compared by count and hash.
//! 3. The pass names the things with their members, before the first of them is touched.
//! 4. One transaction for each thing puts its tombstone, with the members, in the place of the
//!    thing itself.
//! 5. The other items are removed by the keys that the members hold.
//!
//! A run that is killed after 3 is followed by one that begins with 4: each step finds what was
//! done. One that is killed before leaves an object that nothing names, which harms nothing.

use std::collections::BTreeSet;

use futures::StreamExt;
use largesse_domain::id::PoolId;
use largesse_domain::product::made_at;

use super::batch::{Added, Batch};
use super::daily::Run;
use super::finished::{Standing, standing};
use super::flight::{archive, remove};
use super::pass::Held;
use super::{Deps, Stop};
use crate::ports::{OwnerRow, PortErrorKind, PortResult, ThingKind};

/// Things looked at at the same time.
const CONCURRENCY: usize = 16;
/// How many members the things that are removed at once may have: the pass names each, in 200 bytes
/// of an item of 400 KB (Amazon DynamoDB Developer Guide, "Item size").
const FLIGHT_PARTS_MAX: usize = 500;
/// Works on the next page of the things of a kind.
///
/// # Errors
/// [`PortError`]: something cannot be read or written now. The next run goes on from what was saved.
pub(super) async fn page<D: Deps>(
    run: &mut Run<'_, D>,
    kind: ThingKind,
) -> PortResult<Result<(), Stop>> {
    // What an earlier run was killed over comes first.
    if let Err(stop) = remove(run).await? {
        return Ok(Err(stop));
    }
    let page = run.deps.scan_things(kind, run.pass.place.clone()).await?;
    let mut found = Found::default();
    let old = old_of(run, page.rows, &mut found).await?;
    let finished = match finished_of(run, old, &mut found).await? {
        Ok(finished) => finished,
        Err(stop) => return Ok(Err(stop)),
    };
    if let Err(stop) = archive_all(run, finished, &mut found).await? {
        return Ok(Err(stop));
    }
    run.has_progress = true;
    let pass = &mut run.pass;
    pass.held = Held::older(pass.held.take(), found.held);
    pass.counts.held = pass.counts.held.saturating_add(found.count);
    pass.too_long.clear();
    match page.next {
        Some(next) => pass.place = Some(next),
        None => pass.advance(run.deps.now()),
    }
    Ok(Ok(()))
}

/// The things of a page that were made before the cutoff and may be looked at.
async fn old_of<D: Deps>(
    run: &Run<'_, D>,
    rows: Vec<OwnerRow<PoolId>>,
    found: &mut Found,
) -> PortResult<Vec<PoolId>> {
    let frozen = run.deps.frozen_pools().await?;
    let frozen: BTreeSet<PoolId> = frozen.into_iter().map(|frozen| frozen.pool).collect();
    let mut old = Vec::new();
    for row in rows {
        match row {
            // Asked once more in the transaction: it may be frozen meanwhile.
            OwnerRow::Whole(pool) if frozen.contains(&pool) => {
                found.hold(Held::of(pool, "it is frozen"));
            }
            OwnerRow::Whole(pool) if run.pass.too_long.contains(&pool) => {
                found.hold(Held::of(pool, "it cannot be archived within one run"));
            }
            OwnerRow::Whole(pool) if made_at(pool.ulid()) < run.pass.cutoff => old.push(pool),
            OwnerRow::Whole(_) | OwnerRow::Other => {}
            OwnerRow::Unreadable(key) => found.hold(Held::unreadable(&key)),
        }
    }
    Ok(old)
}

/// Those that are finished. A page has at most a hundred things, so as many looks are made.
async fn finished_of<D: Deps>(
    run: &Run<'_, D>,
    old: Vec<PoolId>,
    found: &mut Found,
) -> PortResult<Result<Vec<PoolId>, Stop>> {
    let (deps, cutoff) = (run.deps, run.pass.cutoff);
    let looks: Vec<_> =
        old.into_iter().map(async |pool| (pool, standing(deps, pool, cutoff).await)).collect();
    let mut looks = futures::stream::iter(looks).buffered(CONCURRENCY);
    let mut finished = Vec::new();
    while let Some((pool, standing)) = looks.next().await {
        match standing? {
            Standing::Finished => finished.push(pool),
            Standing::Gone => {}
            Standing::Held(why) => found.hold(Held::of(pool, why)),
        }
        // A run that has done nothing yet archives what it has found.
        if run.is_over() && run.has_progress {
            return Ok(Err(Stop::Deadline));
        }
    }
    Ok(Ok(finished))
}

/// Archives finished things. At the deadline the rest is left: the page is read again, and what is
/// archived is not on it any more.
async fn archive_all<D: Deps>(
    run: &mut Run<'_, D>,
    finished: Vec<PoolId>,
    found: &mut Found,
) -> PortResult<Result<(), Stop>> {
    let mut batch = Batch::default();
    let mut late = None;
    for pool in finished {
        if batch.parts >= FLIGHT_PARTS_MAX
            && let Err(stop) = archive(run, std::mem::take(&mut batch), found).await?
        {
            return Ok(Err(stop));
        }
        // A run that has done nothing yet packs one thing at least.
        if run.is_over() && (run.has_progress || !batch.is_empty()) {
            late = Some(pool);
            break;
        }
        match batch.add(run, pool).await {
            Ok(Added::Whole) => {}
            Ok(Added::Late) => {
                late = Some(pool);
                break;
            }
            Ok(Added::Refused(why)) => found.hold(Held::of(pool, why)),
            // It holds up no other thing.
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                found.hold(Held::of(pool, "an item of it cannot be packed"));
            }
            Err(error) => return Err(error),
        }
    }
    if let Err(stop) = archive(run, batch, found).await? {
        return Ok(Err(stop));
    }
    match late {
        Some(pool) => run.leave(pool).await,
        None => Ok(Ok(())),
    }
}

/// What stays of a page.
#[derive(Default)]
pub(super) struct Found {
    held: Option<Held>,
    count: u64,
}

impl Found {
    pub(super) fn hold(&mut self, held: Held) {
        self.held = Held::older(self.held.take(), Some(held));
        self.count = self.count.saturating_add(1);
    }
}
