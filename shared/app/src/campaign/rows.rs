//! The rows of a sealed campaign, and what became of them.

use largesse_domain::campaign::{Campaign, ChunkNumber, ChunkRecord, Row, RowKey, RowState};
use largesse_domain::id::{CampaignId, TransferId, UserId};

use crate::page::Page;
use crate::ports::{CampaignResults, Campaigns, ChunkSet, PortError, PortResult};

/// How many chunks one page reads at most, however few rows match.
const CHUNKS_MAX: u32 = 50;

/// A row, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowView {
    /// The sealed row.
    pub row: Row,
    /// Where it stands. A row that failed before a retry is pending.
    pub state: RowState,
    /// How many of its sends were refused in the present generation.
    pub attempts: u32,
    /// Why the last one was.
    pub failure: Option<String>,
    /// The transfer that pays it, or would.
    pub transfer: TransferId,
}

/// Which rows are wanted: the name of a state, or all.
pub type StateFilter<'a> = Option<&'a str>;

/// The record of a chunk as the campaign has it. Without one, all rows are pending.
fn record_of(campaign: &Campaign, rows: &[Row], stored: Option<ChunkRecord>) -> ChunkRecord {
    let record = stored.unwrap_or_else(|| ChunkRecord::new(rows, 0));
    let retries_max = record.retries_max;
    record.in_generation(campaign.life.generation, retries_max)
}

fn view(campaign: &Campaign, row: &Row, record: &ChunkRecord, position: usize) -> Option<RowView> {
    let outcome = &record.rows.get(position)?.outcome;
    let (member, generation) = (row.member.clone(), outcome.generation());
    let key = RowKey { campaign: campaign.id, member, generation };
    Some(RowView {
        row: row.clone(),
        state: record.state(position)?,
        attempts: outcome.attempts(),
        failure: outcome.last_refusal().map(|failure| failure.as_str().to_owned()),
        transfer: key.payment(),
    })
}

async fn chunk<D: CampaignResults>(
    deps: &D,
    campaign: &Campaign,
    set: &ChunkSet,
    chunk: ChunkNumber,
) -> PortResult<Vec<RowView>> {
    let stored = deps.stored_chunk(set, chunk).await?;
    let stored = stored.ok_or(PortError::corrupt("the chunk is not there"))?;
    let record = record_of(campaign, &stored.rows, stored.record);
    let rows = stored.rows.iter().enumerate();
    Ok(rows.filter_map(|(position, row)| view(campaign, row, &record, position)).collect())
}

/// The row of a member; `None` when the campaign is not sealed or has none. One read finds it.
///
/// # Errors
/// [`PortError`].
pub async fn row<D: Campaigns + CampaignResults>(
    deps: &D,
    id: CampaignId,
    member: &UserId,
) -> PortResult<Option<RowView>> {
    let Some(campaign) = deps.campaign(id).await? else { return Ok(None) };
    let campaign = campaign.value;
    let Some((set, seal)) = ChunkSet::of(&campaign).zip(campaign.seal) else { return Ok(None) };
    let rows = chunk(deps, &campaign, &set, seal.layout.chunk(member)).await?;
    Ok(rows.into_iter().find(|view| view.row.member == *member))
}

/// Rows in the order of their chunks, from a chunk on. A page has whole chunks: it ends with the one
/// that brings it to `limit` rows, or after [`CHUNKS_MAX`] of them, and may have none. `None` when
/// there is no such campaign; an empty page before it is sealed.
///
/// # Errors
/// [`PortError`].
pub async fn rows<D: Campaigns + CampaignResults>(
    deps: &D,
    id: CampaignId,
    wanted: StateFilter<'_>,
    from: ChunkNumber,
    limit: usize,
) -> PortResult<Option<Page<RowView, ChunkNumber>>> {
    let is_wanted = |view: &RowView| wanted.is_none_or(|name| view.state.as_str() == name);
    page(deps, id, from, limit, is_wanted).await
}

/// The rows that failed or could not be taken back whole, as [`rows`].
///
/// # Errors
/// [`PortError`].
pub async fn failures<D: Campaigns + CampaignResults>(
    deps: &D,
    id: CampaignId,
    from: ChunkNumber,
    limit: usize,
) -> PortResult<Option<Page<RowView, ChunkNumber>>> {
    let is_failure =
        |view: &RowView| matches!(view.state, RowState::Failed { .. } | RowState::Shortfall { .. });
    page(deps, id, from, limit, is_failure).await
}

async fn page<D: Campaigns + CampaignResults>(
    deps: &D,
    id: CampaignId,
    from: ChunkNumber,
    limit: usize,
    is_wanted: impl Fn(&RowView) -> bool,
) -> PortResult<Option<Page<RowView, ChunkNumber>>> {
    let Some(campaign) = deps.campaign(id).await? else { return Ok(None) };
    let campaign = campaign.value;
    let mut page = Page { rows: Vec::new(), next: None };
    let Some((set, seal)) = ChunkSet::of(&campaign).zip(campaign.seal) else {
        return Ok(Some(page));
    };
    let chunks = seal.layout.chunks();
    let last = chunks.min(from.0.saturating_add(CHUNKS_MAX));
    for number in from.0..last {
        let views = chunk(deps, &campaign, &set, ChunkNumber(number)).await?;
        page.rows.extend(views.into_iter().filter(&is_wanted));
        let next = number.saturating_add(1);
        if page.rows.len() >= limit || next == last {
            page.next = (next < chunks).then_some(ChunkNumber(next));
            break;
        }
    }
    Ok(Some(page))
}
