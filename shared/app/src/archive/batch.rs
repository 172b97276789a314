//! Finished things on their way into objects: packed, one object for each table at a time.

use std::collections::BTreeMap;

use largesse_domain::id::PoolId;

use super::Deps;
use super::daily::Run;
use crate::ports::{Ids, ItemsKey, MemberRef, Packed, PortError, PortResult, Tombstone};

/// How large an object may become before another one is begun, in bytes (docs/limits.md).
const OBJECT_LEN_MAX: usize = 4_194_304;
/// How many members an object may have.
const OBJECT_PARTS_MAX: usize = 1_000;
/// How many members one thing may have: the pass names each, in 200 bytes of an item of 400 KB
/// (Amazon DynamoDB Developer Guide, "Item size"). They hold 4 GB of items.
const THING_PARTS_MAX: usize = 1_500;

/// Things whose items are being put into objects, one object for each table at a time.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) things: Vec<Tombstone>,
    /// How many members they have.
    pub(super) parts: usize,
    pub(super) open: BTreeMap<&'static str, Object>,
}

/// An object that is not written yet.
pub(super) struct Object {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    parts: usize,
}

/// What became of a thing that was to be packed.
pub(super) enum Added {
    /// All of it is packed.
    Whole,
    /// The time of the run is over before it is.
    Late,
    /// It is not archived, for this reason.
    Refused(&'static str),
}

impl Batch {
    pub(super) const fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// Adds all items of a thing. Looks at the clock behind each member but the last.
    pub(super) async fn add<D: Deps>(
        &mut self,
        run: &Run<'_, D>,
        pool: PoolId,
    ) -> PortResult<Added> {
        let mut parts = Vec::new();
        let mut next: Option<ItemsKey> = None;
        let sets = run.deps.sets(pool).await?;
        loop {
            let (packed, behind) = run.deps.pack(&sets, next.take()).await?;
            if let Some(packed) = packed {
                parts.push(self.put(run, packed).await?);
            }
            if parts.len() > THING_PARTS_MAX {
                return Ok(Added::Refused("it has too many items"));
            }
            match behind {
                Some(_) if run.is_over() => return Ok(Added::Late),
                Some(behind) => next = Some(behind),
                None => break,
            }
        }
        if parts.is_empty() {
            return Err(PortError::corrupt("archive a thing: it has no items"));
        }
        self.parts = self.parts.saturating_add(parts.len());
        self.things.push(Tombstone { pool, parts, at: run.deps.now() });
        Ok(Added::Whole)
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
