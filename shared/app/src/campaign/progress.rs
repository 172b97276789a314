//! How far a campaign is: its end, the snapshots, and the series of them.

use largesse_domain::campaign::{Counts, Refused, Snapshot, eta_s, rows_per_1000_s};
use largesse_domain::id::CampaignId;
use largesse_domain::time::Timestamp;

use super::act::{self, ActError};
use super::{PayPorts, read};
use crate::ports::{
    CampaignResults, Campaigns, ChunkMessage, PortError, PortResult, StoredSnapshot,
};

/// The most points of a series.
pub const SERIES_MAX: u32 = 1_000;
/// How many snapshots the rate is measured over: some thirty seconds.
const RATE_OVER: u32 = 7;

/// Ends the campaign when no row is open.
pub(super) async fn end_if_done<D: PayPorts>(deps: &D, message: &ChunkMessage) -> PortResult<()> {
    let counts = Counts::of_shards(&deps.counts(message.campaign).await?);
    let counts = counts.ok_or(PortError::corrupt("the counters do not sum up"))?;
    if counts.tally.open() > 0 {
        return Ok(());
    }
    settled(act::end(deps, message.campaign, message.fence).await)
}

/// Ends the rollback when it is done with all chunks.
pub(super) async fn roll_back_if_done<D: PayPorts>(
    deps: &D,
    message: &ChunkMessage,
) -> PortResult<()> {
    let campaign = deps.campaign(message.campaign).await?;
    let chunks = campaign.and_then(|campaign| campaign.value.seal).map(|seal| seal.layout.chunks());
    let closed = deps.closed_chunks(message.campaign).await?;
    if chunks.is_none_or(|chunks| closed < u64::from(chunks)) {
        return Ok(());
    }
    settled(act::rolled_back(deps, message.campaign, message.fence).await)
}

/// An end that is refused is another's: another worker ended the campaign, or an operator stopped
/// it.
fn settled(acted: Result<act::Acted, ActError>) -> PortResult<()> {
    match acted {
        Ok(_) => Ok(()),
        // No end will ever be taken.
        Err(ActError::Refused(Refused::CountsDiffer)) => {
            Err(PortError::corrupt("the counters do not have the rows that were sealed"))
        }
        Err(ActError::Refused(why)) => {
            tracing::warn!(%why, "the campaign was not ended");
            Ok(())
        }
        Err(ActError::Port(error)) => Err(error),
        Err(ActError::Busy) => Err(PortError::contended("end campaign")),
        Err(ActError::NotFound | ActError::AgendaFull(_)) => {
            Err(PortError::corrupt("end campaign: it is not there"))
        }
    }
}

/// Keeps a snapshot for the present time slot, unless there is one. A failure is only logged: it
/// costs a point of a plot.
pub(super) async fn snapshot<D: PayPorts>(deps: &D, id: CampaignId, slot_s: u32) {
    if let Err(error) = try_snapshot(deps, id, slot_s).await {
        tracing::warn!(campaign.id = %id, error.cause = error.causes(), "no snapshot was kept");
    }
}

async fn try_snapshot<D: PayPorts>(deps: &D, id: CampaignId, slot_s: u32) -> PortResult<()> {
    let now = deps.now();
    let slot_ms = i64::from(slot_s).saturating_mul(1_000);
    let within = now.ms().checked_rem(slot_ms).unwrap_or(0);
    let slot = Timestamp::from_ms(now.ms().saturating_sub(within));
    if deps.has_snapshot(id, slot).await? {
        return Ok(());
    }
    let counts = Counts::of_shards(&deps.counts(id).await?);
    let tally = counts.ok_or(PortError::corrupt("the counters do not sum up"))?.tally;
    deps.put_snapshot(id, slot, &StoredSnapshot { at: now, tally }).await
}

/// How far a campaign is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The campaign and its counters.
    pub view: read::View,
    /// The series of snapshots, in order.
    pub series: Vec<StoredSnapshot>,
    /// Rows per 1,000 seconds, over the last half minute; `None` when nothing moved.
    pub rows_per_1000_s: Option<u64>,
    /// Seconds until no row is open, at that rate.
    pub eta_s: Option<u64>,
}

fn point(snapshot: &StoredSnapshot) -> Snapshot {
    let done = snapshot.tally.success.rows.saturating_add(snapshot.tally.failed.rows);
    Snapshot { at: snapshot.at, done }
}

/// The progress of a campaign with the snapshots from `from` on, [`SERIES_MAX`] at most; `None` when
/// there is no such campaign.
///
/// # Errors
/// [`PortError`].
pub async fn progress<D: Campaigns + CampaignResults>(
    deps: &D,
    id: CampaignId,
    from: Timestamp,
    limit: u32,
) -> PortResult<Option<Progress>> {
    let Some(view) = read::show(deps, id).await? else { return Ok(None) };
    let series = deps.snapshots(id, from, limit.min(SERIES_MAX)).await?;
    let last = deps.last_snapshots(id, RATE_OVER).await?;
    let ends = last.last().zip(last.first()).map(|(earlier, later)| (point(earlier), point(later)));
    let open = view.counts.map_or(0, |counts| counts.tally.open());
    Ok(Some(Progress {
        view,
        series,
        rows_per_1000_s: ends.and_then(|(earlier, later)| rows_per_1000_s(earlier, later)),
        eta_s: ends.and_then(|(earlier, later)| eta_s(earlier, later, open)),
    }))
}
