//! What became of the rows of campaigns, chunk by chunk, and the queues of chunks.

use std::future::Future;

use largesse_domain::campaign::{ChunkNumber, ChunkRecord, Delta, Lease, Row, Tally};
use largesse_domain::id::{CampaignId, Ulid};
use largesse_domain::time::Timestamp;

use super::{ChunkSet, PortResult, Written};
use crate::trace::TraceId;

/// A sealed chunk, and what became of its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChunk {
    /// The sealed rows, in the order of their members.
    pub rows: Vec<Row>,
    /// What became of them; `None` when no worker ever leased the chunk.
    pub record: Option<ChunkRecord>,
}

/// A commit of a chunk.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    /// Of which campaign.
    pub set: &'a ChunkSet,
    /// Which chunk.
    pub chunk: ChunkNumber,
    /// The worker that holds the lease.
    pub owner: Ulid,
    /// The record as it becomes. Its revision is one above the delta's; it has no lease.
    pub record: &'a ChunkRecord,
    /// What becomes of the counters.
    pub delta: &'a Delta,
    /// Whether a rollback is done with the chunk by this commit.
    pub closes: bool,
}

/// How far a campaign had come at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredSnapshot {
    /// When.
    pub at: Timestamp,
    /// Its rows by their states.
    pub tally: Tally,
}

/// What became of the rows of campaigns.
pub trait CampaignResults: Send + Sync {
    /// The rows of a chunk and what became of them, by one read; `None` when the seal did not write
    /// it. Strongly consistent.
    fn stored_chunk(
        &self,
        set: &ChunkSet,
        chunk: ChunkNumber,
    ) -> impl Future<Output = PortResult<Option<StoredChunk>>> + Send;

    /// Leases a chunk whose record was read as `seen`, under the next number of a send, if its
    /// record is still so and no other lease lasts at `now`. A repeat after a lost reply is
    /// [`Written::Done`]. The work of the lease may then begin: before it, nothing may be sent.
    fn lease_chunk(
        &self,
        set: &ChunkSet,
        chunk: ChunkNumber,
        seen: Option<&ChunkRecord>,
        lease: Lease,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<Written>> + Send;

    /// Writes the record and changes the counters in one transaction, and ends the lease, if the
    /// worker still has it. A repeat after a lost reply is [`Written::Done`].
    ///
    /// # Errors
    /// Also corrupt, when the counters do not hold the rows that move.
    fn commit_chunk(&self, commit: &Commit<'_>)
    -> impl Future<Output = PortResult<Written>> + Send;

    /// How many chunks a rollback is done with. Strongly consistent.
    fn closed_chunks(&self, id: CampaignId) -> impl Future<Output = PortResult<u64>> + Send;

    /// Whether there is a snapshot under a time slot. May miss one that was just made.
    fn has_snapshot(
        &self,
        id: CampaignId,
        slot: Timestamp,
    ) -> impl Future<Output = PortResult<bool>> + Send;

    /// Keeps a snapshot under a time slot, unless there is one.
    fn put_snapshot(
        &self,
        id: CampaignId,
        slot: Timestamp,
        snapshot: &StoredSnapshot,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Snapshots of the slots from `from` on, in order: `limit` at most.
    fn snapshots(
        &self,
        id: CampaignId,
        from: Timestamp,
        limit: u32,
    ) -> impl Future<Output = PortResult<Vec<StoredSnapshot>>> + Send;

    /// The last snapshots, newest first: `limit` at most.
    fn last_snapshots(
        &self,
        id: CampaignId,
        limit: u32,
    ) -> impl Future<Output = PortResult<Vec<StoredSnapshot>>> + Send;
}

/// What is to be done with a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkWork {
    /// Its rows are paid.
    Pay,
    /// Its payments are taken back.
    Reverse,
}

/// A message of the queues: a chunk to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMessage {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Under which start or rollback.
    pub fence: u64,
    /// Which chunk.
    pub chunk: ChunkNumber,
    /// What is done with it.
    pub work: ChunkWork,
    /// The trace of the request that started it; `None` where it is not known.
    pub trace: Option<TraceId>,
}

impl ChunkMessage {
    /// The trace as it stands in lines of the log.
    #[must_use]
    pub fn trace_id(&self) -> Option<String> {
        self.trace.map(|trace| trace.to_string())
    }
}

/// The queues of chunks: FIFO lanes, and a standard queue of those that come back later, so that a
/// lane never waits for a row.
pub trait CampaignQueue: Send + Sync {
    /// Sends at most [`SEND_BATCH_MAX`](super::SEND_BATCH_MAX) chunks to their lanes, of which there
    /// are `lanes`. One that is sent twice within five minutes under one fence arrives once. Returns
    /// the positions of those that were not taken.
    fn send_chunks(
        &self,
        messages: &[ChunkMessage],
        lanes: u32,
    ) -> impl Future<Output = PortResult<Vec<usize>>> + Send;

    /// Has a chunk come back after a delay, beside its lane. It arrives at least once.
    fn send_retry(
        &self,
        message: &ChunkMessage,
        delay_s: u32,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Makes a received message of the lanes visible again after `delay_s` seconds.
    fn delay_chunk(
        &self,
        receipt: &str,
        delay_s: u32,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Makes a received message of those that came back visible again after `delay_s` seconds.
    fn delay_retry(
        &self,
        receipt: &str,
        delay_s: u32,
    ) -> impl Future<Output = PortResult<()>> + Send;
}
