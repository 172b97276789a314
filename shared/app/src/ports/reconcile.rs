//! Reading whole tables, a part at a time, to prove that the money is where it should be; and
//! freezing what does not add up.

use std::future::Future;

use largesse_domain::audit::Run;
use largesse_domain::id::{PoolId, ProductId, TransferId, UserId};
use largesse_domain::ledger::{Posted, Transfer, Wallet};
use largesse_domain::pool::BucketId;
use largesse_domain::stats::Stats;
use largesse_domain::time::Timestamp;

use super::{PortResult, Versioned, Written};
use crate::reconcile::Pass;

/// One of the segments of a table that are scanned side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Its number, from 0.
    pub number: u32,
    /// How many there are.
    pub total: u32,
}

/// A place in a table, behind which a scan goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanKey {
    /// The partition key.
    pub pk: String,
    /// The sort key; `None` in a table without one.
    pub sk: Option<String>,
}

/// Some rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scanned<T> {
    /// The rows, those of one partition key together and in the order of their sort keys.
    pub rows: Vec<T>,
    /// Behind which place to read on; `None` at the end.
    pub next: Option<ScanKey>,
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerRow {
    /// A wallet. It comes before its transfers.
    Wallet(Wallet),
    /// A run of archived transfers. It comes after the wallet, and before the transfers.
    Run(UserId, Run),
    /// A transfer.
    Posted(Transfer),
    /// A payment that was voided.
    Voided(UserId, TransferId),
    /// An item that cannot be read, by its key.
    Unreadable(String),
}

/// A row of the tables of pools and of products.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerRow<T> {
    /// The item that stands for the whole: the first bucket of a spray or of a drop, or a product.
    Whole(T),
    /// Another item of it.
    Other,
    /// An item that cannot be read, by its key.
    Unreadable(String),
}

/// Scans for a proof of the ledger. Every read is strongly consistent for the item; together they
/// are no snapshot.
pub trait Scans: Send + Sync {
    /// A page of a segment of the ledger: 1 MB.
    fn scan_ledger(
        &self,
        segment: Segment,
        after: Option<ScanKey>,
    ) -> impl Future<Output = PortResult<Scanned<LedgerRow>>> + Send;

    /// The place in the ledger behind a wallet and all of its transfers, also those that come
    /// later.
    fn behind_wallet(&self, user: &UserId) -> ScanKey;

    /// A page of one wallet and its transfers.
    fn wallet_rows(
        &self,
        user: &UserId,
        after: Option<ScanKey>,
    ) -> impl Future<Output = PortResult<Scanned<LedgerRow>>> + Send;

    /// What lies under transfers' ids; those that do not exist are left out. No key may be named
    /// twice.
    fn postings(
        &self,
        keys: &[(UserId, TransferId)],
    ) -> impl Future<Output = PortResult<Vec<(UserId, TransferId, Posted)>>> + Send;

    /// A page of a segment of the buckets: 1 MB. Sprays and drops are named, waiting lists are not.
    fn scan_pools(
        &self,
        segment: Segment,
        after: Option<ScanKey>,
    ) -> impl Future<Output = PortResult<Scanned<OwnerRow<PoolId>>>> + Send;

    /// A page of a segment of the products: 1 MB.
    fn scan_products(
        &self,
        segment: Segment,
        after: Option<ScanKey>,
    ) -> impl Future<Output = PortResult<Scanned<OwnerRow<ProductId>>>> + Send;
}

/// How far the daily proof has come.
pub trait Passes: Send + Sync {
    /// The latest pass, and how often it was written; `None` and 0 before the first. Strongly
    /// consistent.
    fn latest_pass(&self) -> impl Future<Output = PortResult<Versioned<Option<Pass>>>> + Send;

    /// Writes the pass, if the stored one was written as often as `seen_version` says: of two runs
    /// at once one goes on. A repeat after a lost reply finds it [`Written::Changed`].
    fn save_pass(
        &self,
        pass: &Pass,
        seen_version: u64,
    ) -> impl Future<Output = PortResult<Written>> + Send;
}

/// The figures of each feature, by days of UTC.
pub trait DailyStats: Send + Sync {
    /// The figures of days, each named by its first moment, and until when figures are complete;
    /// `None` before the first pass.
    fn daily_stats(
        &self,
        days: &[Timestamp],
    ) -> impl Future<Output = PortResult<(Option<Timestamp>, Stats)>> + Send;

    /// Writes the figures of days over what is there, and then until when they are complete.
    fn put_stats(
        &self,
        days: &[Timestamp],
        stats: &Stats,
        complete_until: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// A pool from which nothing is drawn, paid, refunded or settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrozenPool {
    /// Which.
    pub pool: PoolId,
    /// Since when.
    pub since: Timestamp,
    /// Why, in a sentence.
    pub why: String,
}

/// Pools that are frozen until an operator lifts it.
pub trait Freezes: Send + Sync {
    /// Whether the pool is frozen: at most one second old. One read a second for a process,
    /// whatever it pays.
    fn is_frozen(&self, pool: PoolId) -> impl Future<Output = PortResult<bool>> + Send;

    /// All of them. Strongly consistent.
    fn frozen_pools(&self) -> impl Future<Output = PortResult<Vec<FrozenPool>>> + Send;

    /// Marks a pool as frozen. One that is keeps its time and reason. Whether this call did.
    fn mark_frozen(&self, frozen: &FrozenPool) -> impl Future<Output = PortResult<bool>> + Send;

    /// Takes the mark away. Whether there was one.
    fn clear_frozen(&self, pool: PoolId) -> impl Future<Output = PortResult<bool>> + Send;

    /// Makes an open bucket give nothing, or gives again what was made so. Its entries stay, and it
    /// counts as open to all who read it. Does nothing to a bucket that is closed or not there.
    fn hold_bucket(
        &self,
        bucket: BucketId,
        is_held: bool,
    ) -> impl Future<Output = PortResult<()>> + Send;
}
