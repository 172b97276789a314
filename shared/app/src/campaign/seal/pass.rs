//! One pass of a seal: the rows of a range of chunks.

use std::future::Future;

use futures::StreamExt;
use largesse_domain::campaign::{
    CHUNK_ROWS_MAX, ChunkNumber, Duplicate, Duplicates, Fold, Layout, Part, Place, Row, Sum,
    SumTooLarge, Totals, chunk_hash,
};
use largesse_domain::time::Timestamp;
use largesse_input::IdWidths;

use crate::ports::{
    COUNT_SHARDS, CampaignRows, ChunkRange, ChunkSet, Clock, PassRecord, PortError, PortResult,
    StagedRows, Upload,
};

/// The first rows of so many parts are read ahead: a campaign may have 10,000 small parts.
const READ_AHEAD: usize = 4;
/// How many duplicates a pass holds before it writes them.
const DUPLICATES_HELD_MAX: usize = 10_000;
/// How many chunks are written by one call of the port.
const CHUNKS_WRITTEN: usize = 100;

/// A pass.
pub(super) struct Pass {
    pub set: ChunkSet,
    pub layout: Layout,
    /// The first chunk.
    pub first: u32,
    /// How many chunks, if there are so many.
    pub count: u32,
    pub policy: Duplicates,
}

/// How a pass ended.
pub(super) enum PassEnd {
    Done(PassRecord),
    OutOfTime,
    ChunkTooLarge,
    SumTooLarge(SumTooLarge),
}

/// Why a row is not taken.
enum NotTaken {
    ChunkTooLarge,
    SumTooLarge(SumTooLarge),
}

/// What a pass holds.
struct Held {
    folds: Vec<Fold>,
    /// Duplicates that are not written.
    duplicates: Vec<Duplicate>,
    /// How many duplicates there are.
    duplicates_count: u64,
}

impl Pass {
    /// Reads all staged rows and writes the chunks of the range, the duplicates, then the record.
    pub(super) async fn run<D>(
        &self,
        deps: &D,
        parts: &[Part],
        stop_at: Timestamp,
    ) -> PortResult<PassEnd>
    where
        D: CampaignRows + Clock,
    {
        let range = self.range();
        let uploads: Vec<Upload> = parts.iter().map(|part| self.upload(part)).collect();
        let first_pages = uploads.into_iter().map(|upload| first_page(deps, upload));
        let mut first_pages = futures::stream::iter(first_pages).buffered(READ_AHEAD);
        let mut held = self.held(&range);
        while let Some((upload, page)) = first_pages.next().await {
            let mut page = page?;
            loop {
                if deps.now() >= stop_at {
                    return Ok(PassEnd::OutOfTime);
                }
                for (line, row) in page.rows {
                    let place = Place { part: upload.number, line };
                    match self.take(&mut held, place, row) {
                        Ok(()) => {}
                        Err(NotTaken::ChunkTooLarge) => return Ok(PassEnd::ChunkTooLarge),
                        Err(NotTaken::SumTooLarge(sum)) => return Ok(PassEnd::SumTooLarge(sum)),
                    }
                }
                if held.duplicates.len() >= DUPLICATES_HELD_MAX {
                    let duplicates = std::mem::take(&mut held.duplicates);
                    deps.put_duplicates(&self.set, &range, &duplicates).await?;
                }
                let Some(next) = page.next else { break };
                page = deps.staged(&upload, Some(next)).await?;
            }
        }
        deps.put_duplicates(&self.set, &range, &held.duplicates).await?;
        let record = self.write(deps, held).await?;
        deps.put_pass(&self.set, self.first, &record).await?;
        Ok(PassEnd::Done(record))
    }

    fn range(&self) -> ChunkRange {
        let left = self.layout.chunks().saturating_sub(self.first);
        ChunkRange { first: self.first, count: self.count.min(left) }
    }

    fn upload(&self, part: &Part) -> Upload {
        Upload { campaign: self.set.campaign, number: part.number, hash: part.hash }
    }

    fn held(&self, range: &ChunkRange) -> Held {
        let folds = (0..range.count).map(|_| Fold::new(self.policy)).collect();
        Held { folds, duplicates: Vec::new(), duplicates_count: 0 }
    }

    /// Takes a row, unless it lies in a chunk of another pass.
    fn take(&self, held: &mut Held, place: Place, row: Row) -> Result<(), NotTaken> {
        let index = self.layout.chunk(&row.member).0.checked_sub(self.first);
        let index = index.and_then(|index| usize::try_from(index).ok());
        let Some(fold) = index.and_then(|index| held.folds.get_mut(index)) else { return Ok(()) };
        if let Some(duplicate) = fold.take(place, row).map_err(NotTaken::SumTooLarge)? {
            held.duplicates.push(duplicate);
            held.duplicates_count = held.duplicates_count.saturating_add(1);
        }
        if fold.rows_kept() > CHUNK_ROWS_MAX { Err(NotTaken::ChunkTooLarge) } else { Ok(()) }
    }

    /// Writes the chunks, and gives the record of the pass.
    async fn write<D: CampaignRows>(&self, deps: &D, held: Held) -> PortResult<PassRecord> {
        let shards = usize::try_from(COUNT_SHARDS).unwrap_or(0);
        let mut record = PassRecord {
            chunks: Vec::with_capacity(held.folds.len()),
            totals: Totals { duplicates: held.duplicates_count, ..Totals::default() },
            shards: vec![Sum::default(); shards],
            widths: IdWidths::default(),
        };
        let mut chunks = Vec::with_capacity(CHUNKS_WRITTEN);
        for (number, fold) in (self.first..).zip(held.folds) {
            let rows = fold.into_rows();
            count(&mut record, number, &rows)?;
            chunks.push((ChunkNumber(number), rows));
            if chunks.len() >= CHUNKS_WRITTEN {
                deps.put_chunks(&self.set, &chunks).await?;
                chunks.clear();
            }
        }
        deps.put_chunks(&self.set, &chunks).await?;
        Ok(record)
    }
}

/// The first staged rows of a part.
#[expect(clippy::manual_async_fn, reason = "the bound `Send` is needed where pages are buffered")]
fn first_page<D: CampaignRows>(
    deps: &D,
    upload: Upload,
) -> impl Future<Output = (Upload, PortResult<StagedRows>)> + Send {
    async move { (upload, deps.staged(&upload, None).await) }
}

/// Adds a chunk to the record.
fn count(record: &mut PassRecord, number: u32, rows: &[Row]) -> PortResult<()> {
    record.chunks.push(chunk_hash(rows));
    let shard = number.checked_rem(COUNT_SHARDS).and_then(|shard| usize::try_from(shard).ok());
    let mut of_shard = Sum::default();
    for row in rows {
        // The parts together are below the limit, so their rows are.
        let too_large = |_| PortError::corrupt("seal: the rows sum to more than the parts");
        record.totals = record.totals.plus(row.amount).map_err(too_large)?;
        of_shard.rows = of_shard.rows.saturating_add(1);
        of_shard.amount = of_shard.amount.saturating_add(row.amount.get());
        record.widths.add(&row.member);
    }
    if let Some(sum) = shard.and_then(|shard| record.shards.get_mut(shard)) {
        sum.rows = sum.rows.saturating_add(of_shard.rows);
        sum.amount = sum.amount.saturating_add(of_shard.amount);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
