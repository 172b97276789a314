//! Drops: their terms, their creation, what was passed on, and what is returned.

use std::future::Future;
use std::sync::Arc;

use largesse_domain::drop::{Drawn, Drop, DropRecord, Place, WaitingList};
use largesse_domain::grant::FailedGrant;
use largesse_domain::id::DropId;
use largesse_domain::ledger::{PostRefused, TransferOrder};
use largesse_domain::pool::Bucket;
use largesse_domain::time::Timestamp;

use super::{Once, PortResult};
use crate::page::{DueKey, DuePage, Page};

/// The terms of drops.
pub trait Drops: Send + Sync {
    /// The drop of that id. Strongly consistent. Its terms never change, so a process that has read
    /// them once keeps them.
    fn drop_terms(&self, id: DropId) -> impl Future<Output = PortResult<Option<Arc<Drop>>>> + Send;
}

/// Making drops.
pub trait DropsMade: Send + Sync {
    /// Writes buckets that are not there yet; one that is there stays as it is. In any order.
    fn put_buckets(&self, buckets: &[Bucket]) -> impl Future<Output = PortResult<()>> + Send;

    /// Makes the drop, debits the funder and writes the transfer: all or nothing, at most once for the
    /// drop's id. Its buckets are there before.
    fn create_drop(
        &self,
        drop: &Drop,
        order: &TransferOrder,
    ) -> impl Future<Output = PortResult<Result<Once<Drop>, PostRefused>>> + Send;

    /// How many write units a second the table of buckets takes at once; `None` when the store does
    /// not say.
    fn warm_writes_per_s(&self) -> impl Future<Output = PortResult<Option<u64>>> + Send;
}

/// What a drop has given so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropFigures {
    /// How many slots are taken.
    pub taken: u64,
    /// How many payments were paid, also of slots that were passed on.
    pub paid: u64,
    /// How many members were given up.
    pub failed: u64,
    /// How many wait.
    pub waiting: u64,
    /// When the latest of the payments was counted; `None` before any was.
    pub counted_at: Option<Timestamp>,
    /// How many lots are taken; 0 without a shuffle.
    pub lots: u64,
}

/// Reading drops. What is remembered is remembered by one process, for a moment.
pub trait DropReads: Send + Sync {
    /// The drop of that id, and what became of its lots and of its remainder. Strongly consistent.
    fn drop_record(
        &self,
        id: DropId,
    ) -> impl Future<Output = PortResult<Option<DropRecord>>> + Send;

    /// All drops, newest first. May lag behind by a second.
    fn list_drops(
        &self,
        after: Option<DropId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<DropRecord, DropId>>> + Send;
}

/// What one process remembers of drops for a moment.
pub trait DropCache: Send + Sync {
    /// The waiting list, if it was read a moment ago.
    fn known_list(&self, id: DropId) -> Option<Arc<WaitingList>>;

    /// Remembers a waiting list until then.
    fn remember_list(&self, id: DropId, list: Arc<WaitingList>, until: Timestamp);

    /// The figures, if they were read a moment ago.
    fn known_figures(&self, id: DropId) -> Option<DropFigures>;

    /// Remembers figures until then.
    fn remember_figures(&self, id: DropId, figures: DropFigures, until: Timestamp);

    /// Whether the drop waited for its shuffle a moment ago.
    fn is_known_to_wait(&self, id: DropId) -> bool;

    /// Remembers until then that the drop waits for its shuffle.
    fn remember_waits(&self, id: DropId, until: Timestamp);
}

/// What became of passing a slot on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promoted {
    /// Passed on by this call.
    Now,
    /// The grant is no longer given up: it was passed on or voided before, or is sent again. Nothing
    /// has changed.
    NotGivenUp,
    /// The member of the place was given another slot meanwhile. Nothing has changed.
    PlaceTaken,
}

/// Passing slots on.
pub trait Promotions: Send + Sync {
    /// Voids a grant that was given up, and gives its slot (from 0) to the member of a place, who is
    /// then paid: one transaction. A grant passes on at most one slot, and a place gets at most one,
    /// for ever.
    fn promote(
        &self,
        drop: &Drop,
        given_up: &FailedGrant,
        slot: u64,
        place: &Place,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<Promoted>> + Send;
}

/// Drawing the lots of a drop.
pub trait Shuffles: Send + Sync {
    /// Writes these entries into buckets that wait for the shuffle, and opens them; one that is open or
    /// closed stays as it is. In any order.
    fn place_lots(
        &self,
        buckets: &[Bucket],
        now: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Marks the drop as drawn, and moves it in the index of what is due to the time when it closes. All
    /// its buckets are open. Does nothing when it is marked.
    fn mark_drawn(&self, drop: &Drop, drawn: Drawn) -> impl Future<Output = PortResult<()>> + Send;
}

/// A drop in the index of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueDrop {
    /// Which.
    pub id: DropId,
    /// Since when.
    pub due: Timestamp,
}

/// What became of returning the remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropReturned {
    /// Done by this call.
    Done,
    /// It was returned before. Nothing has changed.
    Before,
    /// The ledger has the transfer, though the drop is not marked: one table was restored without the
    /// other. Nothing has changed.
    AlreadyPosted,
    /// The funder's wallet would hold more than a wallet may. Nothing has changed.
    WalletFull,
}

/// Closing drops whose window is over.
pub trait DropsClosed: Send + Sync {
    /// Drops of one shard of the index that are due at `now`, to be drawn or closed, the oldest first. May
    /// lag behind by a second.
    fn due_drops(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueKey>,
        limit: u32,
    ) -> impl Future<Output = PortResult<DuePage<DueDrop>>> + Send;

    /// Closes a bucket whose window is over, if it is as it was read; else does nothing.
    fn close_bucket(
        &self,
        as_read: &Bucket,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Marks the drop, credits the funder and writes the transfer: all or nothing, once. All its
    /// buckets are full or closed.
    fn return_remainder(
        &self,
        drop: &Drop,
        remainder: u64,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<DropReturned>> + Send;

    /// Records on a drop that its funder's wallet refuses the remainder, and moves it to a later time
    /// in the index. Does nothing when it was returned.
    fn refuse_return(
        &self,
        id: DropId,
        remainder: u64,
        until: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;
}
