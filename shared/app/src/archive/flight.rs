//! Packed things are put, read back, named by the pass, and removed from their tables.

use futures::{StreamExt, TryStreamExt};
use largesse_domain::id::PoolId;

use super::batch::Batch;
use super::daily::Run;
use super::pass::Held;
use super::things::Found;
use super::{Deps, Stop};
use crate::ports::{PortResult, Replaced, Tombstone};

/// Things read back, or removed, at the same time.
const CONCURRENCY: usize = 16;
/// How long what was packed is read back behind the moment at which a run stops: what was packed
/// until then is not packed again (docs/limits.md).
pub const READ_BACK_MS: u64 = 20_000;

/// What was read back of a thing.
enum ReadBack {
    Sound(Tombstone),
    Damaged(PoolId),
    /// The time is over.
    Late(PoolId),
}

async fn read_back<D: Deps>(run: &Run<'_, D>, thing: Tombstone) -> PortResult<ReadBack> {
    let until = run.stop_at.plus_ms(READ_BACK_MS);
    for part in &thing.parts {
        if run.deps.now() >= until {
            return Ok(ReadBack::Late(thing.pool));
        }
        if !run.deps.is_stored(part).await? {
            return Ok(ReadBack::Damaged(thing.pool));
        }
    }
    Ok(ReadBack::Sound(thing))
}

/// Writes what is open, reads all members back, and removes the things. A thing that is not read
/// back in time is left for the next run.
pub(super) async fn archive<D: Deps>(
    run: &mut Run<'_, D>,
    batch: Batch,
    found: &mut Found,
) -> PortResult<Result<(), Stop>> {
    if batch.is_empty() {
        return Ok(Ok(()));
    }
    for object in batch.open.into_values() {
        run.deps.put(&object.name, object.bytes.into()).await?;
    }
    let reads: Vec<_> = {
        let run = &*run;
        batch.things.into_iter().map(|thing| read_back(run, thing)).collect()
    };
    let reads = futures::stream::iter(reads).buffered(CONCURRENCY);
    let reads: Vec<ReadBack> = reads.try_collect().await?;
    let mut late = None;
    for read in reads {
        match read {
            ReadBack::Sound(thing) => {
                run.pass.in_flight.push(thing);
                run.has_progress = true;
            }
            ReadBack::Damaged(pool) => {
                // infra/alarms.yaml counts `archive.damaged`.
                tracing::error!(archive.damaged = 1, pool.id = %pool, "an object is damaged");
                found.hold(Held::of(pool, "what was archived of it could not be read back"));
            }
            ReadBack::Late(pool) => late = late.or(Some(pool)),
        }
    }
    if let Err(stop) = run.save().await? {
        return Ok(Err(stop));
    }
    match remove(run).await? {
        Ok(changed) => {
            for pool in changed {
                found.hold(Held::of(pool, "it is frozen, or it changed while it was archived"));
            }
        }
        Err(stop) => return Ok(Err(stop)),
    }
    match late {
        Some(pool) => run.leave(pool).await,
        None => Ok(Ok(())),
    }
}

/// What became of a thing in flight.
enum Removal {
    /// So many items were removed.
    Done(u64),
    /// The thing has changed: it stays.
    Changed,
    /// The time is over; the next run goes on.
    Late,
}

/// Removes the things that the pass names from their tables. Gives those that have changed: they
/// stay. Looks at the clock before each member: what is not removed stays named.
pub(super) async fn remove<D: Deps>(run: &mut Run<'_, D>) -> PortResult<Result<Vec<PoolId>, Stop>> {
    if run.pass.in_flight.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let things = std::mem::take(&mut run.pass.in_flight);
    let removals: Vec<_> = {
        let run = &*run;
        things.iter().map(|thing| remove_one(run, thing)).collect()
    };
    let removals = futures::stream::iter(removals).buffered(CONCURRENCY);
    let removed: Vec<Removal> = removals.try_collect().await?;
    let mut changed = Vec::new();
    let counts = &mut run.pass.counts;
    for (thing, removal) in things.into_iter().zip(removed) {
        match removal {
            Removal::Late => {
                run.pass.in_flight.push(thing);
                continue;
            }
            Removal::Done(items) => {
                counts.things = counts.things.saturating_add(1);
                counts.items = counts.items.saturating_add(items);
            }
            Removal::Changed => changed.push(thing.pool),
        }
        run.has_progress = true;
    }
    if let Err(stop) = run.save().await? {
        return Ok(Err(stop));
    }
    let is_late = !run.pass.in_flight.is_empty();
    Ok(if is_late { Err(Stop::Deadline) } else { Ok(changed) })
}

async fn remove_one<D: Deps>(run: &Run<'_, D>, thing: &Tombstone) -> PortResult<Removal> {
    if run.is_over() {
        return Ok(Removal::Late);
    }
    if run.deps.put_tombstone(thing).await? == Replaced::Changed {
        return Ok(Removal::Changed);
    }
    let mut items = 0_u64;
    for part in &thing.parts {
        if run.is_over() {
            return Ok(Removal::Late);
        }
        run.deps.remove_items(part).await?;
        items = items.saturating_add(part.lines);
    }
    Ok(Removal::Done(items))
}
