//! The rows of campaigns: staged by uploads, and sealed in chunks.

use std::future::Future;

use largesse_domain::campaign::{
    Campaign, ChunkNumber, Duplicate, Hash, PartNumber, Place, Row, Sum, Totals,
};
use largesse_domain::id::CampaignId;
use largesse_input::{IdWidths, Problem};

use super::PortResult;

/// One upload, by its content: what another content left under the number is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Under which number.
    pub number: PartNumber,
    /// The hash of its bytes.
    pub hash: Hash,
}

/// A row and its line, from 1.
pub type Line = (u64, Row);

/// Some staged rows, in the order of their lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StagedRows {
    /// The rows.
    pub rows: Vec<Line>,
    /// Behind which item to read on; `None` at the end.
    pub next: Option<u32>,
}

/// What the caller of an upload was told, so that a repeat is told the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartReport {
    /// Rows that are not blank: `accepted` + `refused`.
    pub rows: u64,
    /// Rows that count.
    pub accepted: u64,
    /// Rows that were left out.
    pub refused: u64,
    /// Blank rows, skipped.
    pub blank: u64,
    /// The first problems, in the order of the file.
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: u64,
}

/// The chunks that one seal makes in one layout. A seal that was given up leaves chunks under an
/// earlier attempt, and a layout with a chunk too large leaves them under an earlier round: so a
/// slow worker of either never writes over chunks that are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkSet {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Which seal.
    pub attempt: u32,
    /// Which layout.
    pub round: u8,
}

impl ChunkSet {
    /// The chunks of a sealed campaign; `None` before it is sealed.
    #[must_use]
    pub fn of(campaign: &Campaign) -> Option<Self> {
        let round = campaign.seal?.layout.round();
        Some(Self { campaign: campaign.id, attempt: campaign.life.seal_attempt, round })
    }
}

/// The chunks of one pass of a seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkRange {
    /// The first.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// What one pass of a seal made of its chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassRecord {
    /// The hash of each chunk, in the order of their numbers.
    pub chunks: Vec<Hash>,
    /// What the chunks hold. The reader's refused rows are not in it.
    pub totals: Totals,
    /// The rows of the chunks by the shard of the counters that they are counted in.
    pub shards: Vec<Sum>,
    /// The widths of the ids that look like numbers.
    pub widths: IdWidths,
}

/// The rows of campaigns. Everything here is written under the identity of its content, so a repeat
/// writes what is there.
pub trait CampaignRows: Send + Sync {
    /// Stages the rows of an upload, in the order of their lines, with what its caller is told. The
    /// report is written last: where it is, the rows are. Nothing of it counts before the part is
    /// added to the campaign.
    fn stage_part(
        &self,
        upload: &Upload,
        rows: &[Line],
        report: &PartReport,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// What the caller of an upload was told. Strongly consistent.
    fn part_report(
        &self,
        upload: &Upload,
    ) -> impl Future<Output = PortResult<Option<PartReport>>> + Send;

    /// Some thousand staged rows behind the item `after`. Strongly consistent.
    fn staged(
        &self,
        upload: &Upload,
        after: Option<u32>,
    ) -> impl Future<Output = PortResult<StagedRows>> + Send;

    /// Writes chunks, each of at most [`CHUNK_ROWS_MAX`](largesse_domain::campaign::CHUNK_ROWS_MAX)
    /// rows in the order of their members.
    fn put_chunks(
        &self,
        set: &ChunkSet,
        chunks: &[(ChunkNumber, Vec<Row>)],
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// The rows of a chunk, in the order of their members; `None` when the seal did not write it.
    /// Strongly consistent.
    fn chunk(
        &self,
        set: &ChunkSet,
        chunk: ChunkNumber,
    ) -> impl Future<Output = PortResult<Option<Vec<Row>>>> + Send;

    /// Writes duplicates that the pass over a range found: the next in the order (part, line), any
    /// number of them. A repeat of the pass writes the same in the same steps.
    fn put_duplicates(
        &self,
        set: &ChunkSet,
        range: &ChunkRange,
        duplicates: &[Duplicate],
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Some of the duplicates that the pass over a range found behind the place `after`, in the
    /// order (part, line); none at the end. Strongly consistent.
    fn duplicates(
        &self,
        set: &ChunkSet,
        range: &ChunkRange,
        after: Option<Place>,
    ) -> impl Future<Output = PortResult<Vec<Duplicate>>> + Send;

    /// Writes what the pass made whose first chunk is `first`, after its chunks and duplicates:
    /// where the record is, they are.
    fn put_pass(
        &self,
        set: &ChunkSet,
        first: u32,
        record: &PassRecord,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// What the pass made whose first chunk is `first`; `None` until it is done. Strongly
    /// consistent.
    fn pass(
        &self,
        set: &ChunkSet,
        first: u32,
    ) -> impl Future<Output = PortResult<Option<PassRecord>>> + Send;
}
