//! Pools: buckets that are drawn from by one conditional write.

use std::future::Future;
use std::sync::Arc;

use largesse_domain::id::{PoolId, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Bucket, BucketId, Draw, Entry, PaymentCounts};
use largesse_domain::time::Timestamp;

use super::PortResult;
use crate::page::{DueKey, DuePage};

/// How many shards the indexes of due sprays and sweepable buckets have. One partition takes 1,000
/// writes a second (Amazon DynamoDB Developer Guide, "Burst and adaptive capacity"), so eight take
/// 8,000 new sprays.
pub const INDEX_SHARDS: u32 = 8;

/// A part that a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Won {
    /// The entry that says so.
    pub entry: Entry,
    /// The part's number in its pool, from 0.
    pub part: u64,
    /// What it is worth; `None` for a place on a waiting list.
    pub amount: Option<Amount>,
}

impl Won {
    /// The part that `entry` is, in its bucket.
    #[must_use]
    pub fn of(bucket: &Bucket, entry: Entry) -> Self {
        Self { entry, part: bucket.part(entry.index), amount: bucket.amount(entry.index) }
    }
}

/// Why a bucket gave nothing, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDrawn {
    /// There is no such bucket.
    NoSuchBucket,
    /// The window has not opened.
    Ahead,
    /// The window is over.
    Over,
    /// Another request of the member drew before.
    Already(Won),
    /// All parts are drawn, none by this member.
    Full,
}

/// A bucket that is to be swept, as the index names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweepable {
    /// Which.
    pub id: BucketId,
    /// Since when.
    pub since: Timestamp,
}

/// Buckets of pools.
pub trait Pools: Send + Sync {
    /// Draws from one bucket by one conditional write: it adds the member's entry, or changes
    /// nothing. The store's own repeat of a write, after a lost reply, gets the first answer.
    ///
    /// # Errors
    /// [`super::PortErrorKind::Corrupt`] when the store answers with an entry that it cannot have
    /// made: an index outside the bucket or of another entry, another time or nonce.
    fn draw(
        &self,
        bucket: BucketId,
        draw: &Draw,
    ) -> impl Future<Output = PortResult<Result<Won, NotDrawn>>> + Send;

    /// The buckets with those numbers, in any order; those that do not exist are left out. Each is
    /// read strongly consistent, and the entries of each are checked.
    fn buckets(
        &self,
        pool: PoolId,
        numbers: &[u32],
    ) -> impl Future<Output = PortResult<Vec<Bucket>>> + Send;

    /// A bucket that this process has seen full, by a draw or a read: it never changes again but to
    /// be closed. `None` says nothing.
    fn full_bucket(&self, id: BucketId) -> Option<Arc<Bucket>>;

    /// Buckets of one shard of the index whose time to be swept has come; the longest waiting
    /// first. May lag behind by a second.
    fn sweepable(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueKey>,
        limit: u32,
    ) -> impl Future<Output = PortResult<DuePage<Sweepable>>> + Send;

    /// Takes a swept bucket out of the index, or moves it to `next`, and writes on it what was counted.
    /// Does nothing when it was drawn from since it was read.
    fn swept(
        &self,
        as_read: &Bucket,
        next: Option<Timestamp>,
        counts: Option<PaymentCounts>,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// A stream record with an entry that cannot be read, or that no draw can have written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRecord {
    /// What is wrong with it.
    pub problem: String,
    /// The members whose entries cannot be; empty when the whole record cannot be read.
    pub members: Vec<UserId>,
    /// The record as the stream gave it, in JSON.
    pub record: String,
}

/// The dead-letter queue of the outbox.
pub trait DeadRecords: Send + Sync {
    /// Keeps a record there, at least once. What the queue cannot hold of it is left out; its keys
    /// never are.
    fn dead_letter_record(
        &self,
        record: &UnreadableRecord,
    ) -> impl Future<Output = PortResult<()>> + Send;
}
