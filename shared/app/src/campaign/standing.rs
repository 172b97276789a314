//! The rows of a sealed campaign, and where each stands.
//!
//! # Guarantees
//! * A row is found by its member, with its state:
//!   `a_row_is_read_by_its_member_and_rows_by_their_status`.
//! * Every row is on one page: `rows_come_in_pages_each_once`.

use futures::future::try_join_all;
use largesse_domain::campaign::{Campaign, ChunkNumber, Layout, Row, RowState};
use largesse_domain::id::{CampaignId, UserId};

use crate::page::Page;
use crate::ports::{CampaignResults, Campaigns, ChunkSet, PortError, PortResult};

/// The most chunks that one page reads: some 50,000 rows. A page of a rare state may have fewer rows
/// than its limit.
pub const CHUNKS_READ_MAX: u32 = 500;
/// How many chunks are read at once.
const CHUNKS_AT_ONCE: u32 = 16;

/// A row and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The row, as it was sealed.
    pub row: Row,
    /// Where it stands in the campaign's generation.
    pub state: RowState,
    /// How many sends were refused in that generation.
    pub attempts: u32,
}

/// Where a page of rows begins: this many rows into a chunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowCursor {
    /// The chunk.
    pub chunk: u32,
    /// The rows of it that were read before.
    pub rows: u32,
}

/// What is read of a sealed campaign.
struct Sealed {
    campaign: Campaign,
    set: ChunkSet,
    layout: Layout,
}

/// The campaign with its chunks; without them before it is sealed.
async fn sealed<D: Campaigns>(
    deps: &D,
    id: CampaignId,
) -> PortResult<Option<(Campaign, Option<Sealed>)>> {
    let Some(campaign) = deps.campaign(id).await?.map(|read| read.value) else { return Ok(None) };
    let chunks = ChunkSet::of(&campaign).zip(campaign.seal);
    let sealed = chunks.map(|(set, seal)| {
        let campaign = campaign.clone();
        Sealed { campaign, set, layout: seal.layout }
    });
    Ok(Some((campaign, sealed)))
}

impl Sealed {
    /// The rows of a chunk, in the order of their members.
    async fn chunk<D: CampaignResults>(
        &self,
        deps: &D,
        chunk: ChunkNumber,
    ) -> PortResult<Vec<Standing>> {
        let stored = deps.stored_chunk(&self.set, chunk).await?;
        let stored = stored.ok_or(PortError::corrupt("read rows: a sealed chunk is missing"))?;
        let record = stored.record.map(|record| {
            let retries_max = record.retries_max;
            record.in_generation(self.campaign.life.generation, retries_max)
        });
        let rows = stored.rows.into_iter().enumerate();
        let standing = |(position, row)| {
            // A chunk that no worker has leased yet has no record.
            let state = record.as_ref().and_then(|record| record.state(position));
            let known = record.as_ref().and_then(|record| record.rows.get(position));
            let attempts = known.map_or(0, |known| known.outcome.attempts());
            Standing { row, state: state.unwrap_or(RowState::Pending), attempts }
        };
        Ok(rows.map(standing).collect())
    }
}

/// The row of a member, by one read; `None` when there is no such campaign or row, or it is not
/// sealed.
///
/// # Errors
/// [`PortError`].
pub async fn row<D>(deps: &D, id: CampaignId, member: &UserId) -> PortResult<Option<Standing>>
where
    D: Campaigns + CampaignResults,
{
    let Some((_, Some(sealed))) = sealed(deps, id).await? else { return Ok(None) };
    let rows = sealed.chunk(deps, sealed.layout.chunk(member)).await?;
    Ok(rows.into_iter().find(|standing| standing.row.member == *member))
}

/// At most `limit` rows from a place on whose states are wanted, in the order of the chunks. `None`
/// when there is no such campaign; no row before it is sealed.
///
/// # Errors
/// [`PortError`].
pub async fn rows<D>(
    deps: &D,
    id: CampaignId,
    is_wanted: impl Fn(&RowState) -> bool + Send,
    from: RowCursor,
    limit: u32,
) -> PortResult<Option<Page<Standing, RowCursor>>>
where
    D: Campaigns + CampaignResults,
{
    let Some((_, sealed)) = sealed(deps, id).await? else { return Ok(None) };
    let mut page = Page { rows: Vec::new(), next: None };
    let Some(sealed) = sealed else { return Ok(Some(page)) };
    let (limit, chunks) = (usize::try_from(limit).unwrap_or(usize::MAX), sealed.layout.chunks());
    let stop = from.chunk.saturating_add(CHUNKS_READ_MAX).min(chunks);
    let (mut chunk, mut skipped) = (from.chunk, from.rows);
    while chunk < stop {
        let until = chunk.saturating_add(CHUNKS_AT_ONCE).min(stop);
        let reads = (chunk..until).map(|number| sealed.chunk(deps, ChunkNumber(number)));
        for (number, rows) in (chunk..until).zip(try_join_all(reads).await?) {
            for (position, standing) in (0_u32..).zip(rows) {
                if position < skipped || !is_wanted(&standing.state) {
                    continue;
                }
                if page.rows.len() == limit {
                    page.next = Some(RowCursor { chunk: number, rows: position });
                    return Ok(Some(page));
                }
                page.rows.push(standing);
            }
            skipped = 0;
        }
        chunk = until;
    }
    page.next = (stop < chunks).then_some(RowCursor { chunk: stop, rows: 0 });
    Ok(Some(page))
}
