//! Sends the chunks of a campaign to their lanes.
//!
//! It goes on where it was when it runs out of time. What it sends twice is dropped by the queue or
//! finds its rows done. It reads the campaign's life before each step, so a campaign that is stopped
//! meanwhile is sent no further.
//!
//! # Guarantees
//! * Every chunk is sent, also when it is cut off, and none after a stop:
//!   `a_fan_out_sends_every_chunk_and_none_after_a_stop`.

use futures::future::join_all;
use largesse_domain::campaign::ChunkNumber;
use largesse_domain::time::Timestamp;

use super::session::allowed;
use crate::ports::{
    CampaignQueue, Campaigns, ChunkMessage, Clock, PortError, PortErrorKind, PortResult,
    SEND_BATCH_MAX,
};

/// Sends side by side. With ten messages each a step is a hundred chunks, and a million rows are a
/// hundred steps.
const SENDS: usize = 10;
/// How often a message that the queue does not take is sent.
const TRIES_MAX: usize = 4;

/// What became of a fan-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FannedOut {
    /// All chunks are sent.
    All,
    /// The start or rollback is over.
    Dropped,
    /// Time ran out before this chunk.
    Rest(ChunkNumber),
}

/// Sends the chunks from `first` on, which is a message of the first one, until `stop_at`.
///
/// # Errors
/// [`PortError`]; the job is then done again from its beginning.
pub async fn fan_out<D>(
    deps: &D,
    first: &ChunkMessage,
    lanes: u32,
    stop_at: Timestamp,
) -> PortResult<FannedOut>
where
    D: Campaigns + CampaignQueue + Clock,
{
    let mut from = first.chunk.0;
    loop {
        let Some(campaign) = allowed(deps, first).await? else { return Ok(FannedOut::Dropped) };
        let seal = campaign.seal.ok_or(PortError::corrupt("the campaign is not sealed"))?;
        if from >= seal.layout.chunks() {
            return Ok(FannedOut::All);
        }
        if deps.now() >= stop_at {
            return Ok(FannedOut::Rest(ChunkNumber(from)));
        }
        let message = |chunk| ChunkMessage { chunk: ChunkNumber(chunk), ..*first };
        let step: Vec<ChunkMessage> = (from..seal.layout.chunks())
            .take(SENDS.saturating_mul(SEND_BATCH_MAX))
            .map(message)
            .collect();
        let sends = step.chunks(SEND_BATCH_MAX).map(|batch| send(deps, batch, lanes));
        join_all(sends).await.into_iter().collect::<PortResult<()>>()?;
        from = from.saturating_add(u32::try_from(step.len()).unwrap_or(u32::MAX));
    }
}

async fn send<D: CampaignQueue>(deps: &D, batch: &[ChunkMessage], lanes: u32) -> PortResult<()> {
    let mut rest = batch.to_vec();
    for _ in 0..TRIES_MAX {
        let failed = deps.send_chunks(&rest, lanes).await?;
        rest = failed.iter().filter_map(|position| rest.get(*position).copied()).collect();
        if rest.is_empty() {
            return Ok(());
        }
    }
    Err(PortError { operation: "send chunks", kind: PortErrorKind::Throttled, cause: None })
}
