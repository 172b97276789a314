//! Finished things on their way into the archive: sprays, drops, products and campaigns, item by item
//! as they are stored.

use std::future::Future;

use largesse_domain::id::PoolId;
use largesse_domain::time::Timestamp;

use super::{MemberRef, OwnerRow, PortResult, ScanKey, Scanned, Versioned, Written};
use crate::archive::Pass;

/// A kind of thing. The archive goes through them in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ThingKind {
    /// Sprays.
    Spray,
    /// Drops.
    Drop,
    /// Products.
    Product,
    /// Campaigns.
    Campaign,
}

impl ThingKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Spray, Self::Drop, Self::Product, Self::Campaign];
}

/// A thing that is in the archive, or on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// Which.
    pub pool: PoolId,
    /// Where its items are. The first line of the first part is the thing itself.
    pub parts: Vec<MemberRef>,
    /// When it was archived.
    pub at: Timestamp,
}

/// Some items of one table that belong to a thing, packed as a member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// From which table, as it stands in names of objects.
    pub table: &'static str,
    /// The member.
    pub bytes: Vec<u8>,
    /// How many items it holds.
    pub lines: u64,
    /// The SHA-256 of its lines, uncompressed.
    pub hash: [u8; 32],
}

/// Behind which items of a thing to read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemsKey {
    /// The number of the set of items: a partition, or some keys of one table.
    pub set: u32,
    /// Behind which item of it; `None` at its start.
    pub after: Option<ScanKey>,
}

/// What became of a thing whose items are in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It has its tombstone, with these parts: now or before.
    Done,
    /// It was frozen, changed, or archived under other parts meanwhile: nothing of it is removed.
    Changed,
}

/// Things, as they are stored.
pub trait Things: Send + Sync {
    /// Where the items of one thing are.
    type Sets: Send + Sync;

    /// A page of the things of a kind, in any order. Strongly consistent.
    fn scan_things(
        &self,
        kind: ThingKind,
        after: Option<ScanKey>,
    ) -> impl Future<Output = PortResult<Scanned<OwnerRow<PoolId>>>> + Send;

    /// Where the items of a thing are. Reads the thing, and of a campaign its parts. Strongly
    /// consistent.
    fn sets(&self, pool: PoolId) -> impl Future<Output = PortResult<Self::Sets>> + Send;

    /// Some items of a thing, the thing itself first, and behind which to read on. A page without
    /// items packs nothing; a thing that is gone has none. Reads one page of one set. Strongly
    /// consistent.
    fn pack(
        &self,
        sets: &Self::Sets,
        after: Option<ItemsKey>,
    ) -> impl Future<Output = PortResult<(Option<Packed>, Option<ItemsKey>)>> + Send;

    /// Reads a member back. Whether it is there and holds what the part says, by count and hash.
    fn is_stored(&self, part: &MemberRef) -> impl Future<Output = PortResult<bool>> + Send;

    /// Puts the tombstone in the place of the thing itself: one transaction, if the thing is still as
    /// it stands in its first part, and not frozen. A repeat finds it [`Replaced::Done`].
    ///
    /// # Errors
    /// [`super::PortErrorKind::Corrupt`] when the first part does not hold what it says.
    fn put_tombstone(
        &self,
        tombstone: &Tombstone,
    ) -> impl Future<Output = PortResult<Replaced>> + Send;

    /// Removes the items that a part holds. A repeat removes what is left.
    ///
    /// # Errors
    /// [`super::PortErrorKind::Corrupt`] when it does not hold what it says; then nothing of it is
    /// removed.
    fn remove_items(&self, part: &MemberRef) -> impl Future<Output = PortResult<()>> + Send;
}

/// Which things are in the archive.
pub trait Tombstones: Send + Sync {
    /// The tombstone of a thing. Strongly consistent.
    fn tombstone(&self, pool: PoolId)
    -> impl Future<Output = PortResult<Option<Tombstone>>> + Send;
}

/// How far the archive has come.
pub trait ArchivePasses: Send + Sync {
    /// The latest pass, and how often it was written; `None` and 0 before the first. Strongly
    /// consistent.
    fn latest_archive_pass(
        &self,
    ) -> impl Future<Output = PortResult<Versioned<Option<Pass>>>> + Send;

    /// Writes the pass, if the stored one was written as often as `seen_version` says: of two runs
    /// at once one goes on. A repeat after a lost reply finds it [`Written::Changed`].
    fn save_archive_pass(
        &self,
        pass: &Pass,
        seen_version: u64,
    ) -> impl Future<Output = PortResult<Written>> + Send;
}
