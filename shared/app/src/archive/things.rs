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

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, TryStreamExt};
use largesse_domain::id::PoolId;
use largesse_domain::product::made_at;

use super::daily::Run;
use super::finished::{Standing, standing};
use super::pass::Held;
use super::{Deps, Stop};
use crate::ports::{
    Ids, ItemsKey, MemberRef, OwnerRow, Packed, PortError, PortErrorKind, PortResult, Replaced,
    ThingKind, Tombstone,
};

/// Things looked at, or removed, at the same time.
const CONCURRENCY: usize = 16;
/// How large an object may become before another one is begun, in bytes (docs/limits.md).
const OBJECT_LEN_MAX: usize = 4_194_304;
/// How many members an object may have.
const OBJECT_PARTS_MAX: usize = 1_000;
/// How many members the things that are removed at once may have: the pass names each, in 200 bytes
/// of an item of 400 KB (Amazon DynamoDB Developer Guide, "Item size").
const FLIGHT_PARTS_MAX: usize = 500;
/// How many members one thing may have, for the same reason: 4 GB of items.
const THING_PARTS_MAX: usize = 1_500;

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
    let (deps, cutoff) = (run.deps, run.pass.cutoff);
    let page = deps.scan_things(kind, run.pass.place.clone()).await?;
    let frozen: BTreeSet<PoolId> =
        deps.frozen_pools().await?.into_iter().map(|frozen| frozen.pool).collect();
    let mut found = Found::default();
    let mut old = Vec::new();
    for row in page.rows {
        match row {
            // Asked once more in the transaction: it may be frozen meanwhile.
            OwnerRow::Whole(pool) if frozen.contains(&pool) => {
                found.hold(Held::of(pool, "it is frozen"));
            }
            OwnerRow::Whole(pool) if made_at(pool.ulid()) < cutoff => old.push(pool),
            OwnerRow::Whole(_) | OwnerRow::Other => {}
            OwnerRow::Unreadable(key) => found.hold(Held::unreadable(&key)),
        }
    }
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
    }
    drop(looks);
    let mut batch = Batch::default();
    for pool in finished {
        if batch.parts >= FLIGHT_PARTS_MAX {
            if let Err(stop) = archive(run, std::mem::take(&mut batch), &mut found).await? {
                return Ok(Err(stop));
            }
            if deps.now() >= run.stop_at {
                // The page is read again: what is archived is not on it any more.
                return Ok(Err(Stop::Deadline));
            }
        }
        match batch.add(run, pool).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => found.hold(Held::of(pool, why)),
            // It holds up no other thing.
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                found.hold(Held::of(pool, "an item of it cannot be packed"));
            }
            Err(error) => return Err(error),
        }
    }
    if let Err(stop) = archive(run, batch, &mut found).await? {
        return Ok(Err(stop));
    }
    let pass = &mut run.pass;
    pass.held = Held::older(pass.held.take(), found.held);
    pass.counts.held = pass.counts.held.saturating_add(found.count);
    match page.next {
        Some(next) => pass.place = Some(next),
        None => pass.advance(deps.now()),
    }
    Ok(Ok(()))
}

/// What stays of a page.
#[derive(Default)]
struct Found {
    held: Option<Held>,
    count: u64,
}

impl Found {
    fn hold(&mut self, held: Held) {
        self.held = Held::older(self.held.take(), Some(held));
        self.count = self.count.saturating_add(1);
    }
}

/// Things whose items are being put into objects, one object for each table at a time.
#[derive(Default)]
struct Batch {
    things: Vec<Tombstone>,
    parts: usize,
    open: BTreeMap<&'static str, Object>,
}

/// An object that is not written yet.
struct Object {
    name: String,
    bytes: Vec<u8>,
    parts: usize,
}

impl Batch {
    /// Adds all items of a thing; `Err` says why it cannot be archived.
    async fn add<D: Deps>(
        &mut self,
        run: &Run<'_, D>,
        pool: PoolId,
    ) -> PortResult<Result<(), &'static str>> {
        let mut parts = Vec::new();
        let mut next: Option<ItemsKey> = None;
        loop {
            let (packed, behind) = run.deps.pack(pool, next.take()).await?;
            if let Some(packed) = packed {
                parts.push(self.put(run, packed).await?);
            }
            if parts.len() > THING_PARTS_MAX {
                return Ok(Err("it has too many items"));
            }
            match behind {
                Some(behind) => next = Some(behind),
                None => break,
            }
        }
        if parts.is_empty() {
            return Err(PortError::corrupt("archive a thing: it has no items"));
        }
        self.parts = self.parts.saturating_add(parts.len());
        self.things.push(Tombstone { pool, parts, at: run.deps.now() });
        Ok(Ok(()))
    }

    /// Puts a member behind those of its table.
    async fn put<D: Deps>(&mut self, run: &Run<'_, D>, packed: Packed) -> PortResult<MemberRef> {
        let Packed { table, bytes, lines, hash } = packed;
        let fits = |object: &Object| {
            object.bytes.len().saturating_add(bytes.len()) <= OBJECT_LEN_MAX
                && object.parts < OBJECT_PARTS_MAX
        };
        if let Some(object) = self.open.remove(table) {
            if fits(&object) {
                self.open.insert(table, object);
            } else {
                run.deps.put(&object.name, object.bytes.into()).await?;
            }
        }
        let object = self.open.entry(table).or_insert_with(|| Object {
            name: format!("things/{table}/{}/{}.json.gz", run.pass.id, Ids::ulid(run.deps)),
            bytes: Vec::new(),
            parts: 0,
        });
        let long = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let (offset, length) = (long(object.bytes.len()), long(bytes.len()));
        object.bytes.extend_from_slice(&bytes);
        object.parts = object.parts.saturating_add(1);
        Ok(MemberRef { object: object.name.clone(), offset, length, lines, hash })
    }
}

/// Writes what is open, reads all members back, and removes the things.
async fn archive<D: Deps>(
    run: &mut Run<'_, D>,
    batch: Batch,
    found: &mut Found,
) -> PortResult<Result<(), Stop>> {
    if batch.things.is_empty() {
        return Ok(Ok(()));
    }
    for object in batch.open.into_values() {
        run.deps.put(&object.name, object.bytes.into()).await?;
    }
    let deps = run.deps;
    let reads: Vec<_> = batch
        .things
        .into_iter()
        .map(async |thing| {
            for part in &thing.parts {
                if !deps.is_stored(part).await? {
                    return Ok(Err(thing.pool));
                }
            }
            Ok(Ok(thing))
        })
        .collect();
    let reads = futures::stream::iter(reads).buffered(CONCURRENCY);
    let reads: Vec<Result<Tombstone, PoolId>> = reads.try_collect().await?;
    for read in reads {
        match read {
            Ok(thing) => run.pass.in_flight.push(thing),
            Err(pool) => {
                // infra/alarms.yaml counts `archive.damaged`.
                tracing::error!(archive.damaged = 1, pool.id = %pool, "an object is damaged");
                found.hold(Held::of(pool, "what was archived of it could not be read back"));
            }
        }
    }
    if let Err(stop) = run.save().await? {
        return Ok(Err(stop));
    }
    let changed = match remove(run).await? {
        Ok(changed) => changed,
        Err(stop) => return Ok(Err(stop)),
    };
    for pool in changed {
        found.hold(Held::of(pool, "it is frozen, or it changed while it was archived"));
    }
    Ok(Ok(()))
}

/// Removes the things that the pass names from their tables. Gives those that have changed: they
/// stay.
async fn remove<D: Deps>(run: &mut Run<'_, D>) -> PortResult<Result<Vec<PoolId>, Stop>> {
    if run.pass.in_flight.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let deps = run.deps;
    let things = run.pass.in_flight.clone();
    let removals: Vec<_> = things.iter().map(|thing| remove_one(deps, thing)).collect();
    let removals = futures::stream::iter(removals).buffer_unordered(CONCURRENCY);
    let removed: Vec<(PoolId, Option<u64>)> = removals.try_collect().await?;
    let mut changed = Vec::new();
    let counts = &mut run.pass.counts;
    for (pool, items) in removed {
        match items {
            Some(items) => {
                counts.things = counts.things.saturating_add(1);
                counts.items = counts.items.saturating_add(items);
            }
            None => changed.push(pool),
        }
    }
    run.pass.in_flight.clear();
    Ok(run.save().await?.map(|()| changed))
}

/// How many items were removed; `None` when the thing has changed.
async fn remove_one<D: Deps>(deps: &D, thing: &Tombstone) -> PortResult<(PoolId, Option<u64>)> {
    if deps.put_tombstone(thing).await? == Replaced::Changed {
        return Ok((thing.pool, None));
    }
    let mut items = 0_u64;
    for part in &thing.parts {
        deps.remove_items(part).await?;
        items = items.saturating_add(part.lines);
    }
    Ok((thing.pool, Some(items)))
}
