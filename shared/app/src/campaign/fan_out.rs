//! Sends the chunks of a campaign to their lanes.
//!
//! It goes on where it was when it runs out of time. What it sends twice is dropped by the queue or
//! finds its rows done. It reads the campaign's life before each step, so a campaign that is stopped
//! meanwhile is sent no further.
//!
//! # Guarantees
//! * Every chunk is sent, also when it is cut off, and none after a stop:
//!   `a_fan_out_sends_every_chunk_and_none_after_a_stop`.
//! * What the queue does not take is sent again:
//!   `exactly_the_messages_that_the_queue_did_not_take_are_sent_again`.

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
        let (campaign, trace) = (campaign.value, campaign.trace);
        let seal = campaign.seal.ok_or(PortError::corrupt("the campaign is not sealed"))?;
        if from >= seal.layout.chunks() {
            return Ok(FannedOut::All);
        }
        if deps.now() >= stop_at {
            return Ok(FannedOut::Rest(ChunkNumber(from)));
        }
        let message = |chunk| ChunkMessage { chunk: ChunkNumber(chunk), trace, ..*first };
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use std::sync::Mutex;

    use largesse_domain::campaign::ChunkNumber;
    use largesse_domain::id::{CampaignId, Ulid};

    use super::*;
    use crate::ports::ChunkWork;

    /// A queue that does not take the messages at these positions, call by call, and then takes all.
    struct Queue {
        failed: Mutex<Vec<Vec<usize>>>,
        sent: Mutex<Vec<Vec<u32>>>,
    }

    impl CampaignQueue for Queue {
        async fn send_chunks(&self, messages: &[ChunkMessage], _: u32) -> PortResult<Vec<usize>> {
            let chunks = messages.iter().map(|message| message.chunk.0).collect();
            self.sent.lock().unwrap().push(chunks);
            Ok(self.failed.lock().unwrap().pop().unwrap_or_default())
        }

        async fn send_retry(&self, _: &ChunkMessage, _: u32) -> PortResult<()> {
            Ok(())
        }

        async fn delay_chunk(&self, _: &str, _: u32) -> PortResult<()> {
            Ok(())
        }

        async fn delay_retry(&self, _: &str, _: u32) -> PortResult<()> {
            Ok(())
        }
    }

    fn batch() -> Vec<ChunkMessage> {
        let campaign = CampaignId(Ulid(1));
        let (fence, work, trace) = (1, ChunkWork::Pay, None);
        let message = |n| ChunkMessage { campaign, fence, chunk: ChunkNumber(n), work, trace };
        (0..4).map(message).collect()
    }

    #[tokio::test]
    async fn exactly_the_messages_that_the_queue_did_not_take_are_sent_again() {
        let failed = Mutex::new(vec![vec![1], vec![1, 3]]);
        let queue = Queue { failed, sent: Mutex::default() };
        send(&queue, &batch(), 8).await.unwrap();
        assert_eq!(*queue.sent.lock().unwrap(), [vec![0, 1, 2, 3], vec![1, 3], vec![3]]);
    }

    #[tokio::test]
    async fn a_queue_that_takes_a_message_at_no_try_fails_the_step() {
        let failed = Mutex::new(vec![vec![0]; TRIES_MAX]);
        let queue = Queue { failed, sent: Mutex::default() };
        let error = send(&queue, &batch(), 8).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Throttled);
        assert_eq!(queue.sent.lock().unwrap().len(), TRIES_MAX);
    }
}
