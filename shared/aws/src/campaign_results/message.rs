//! The queues of chunks: FIFO lanes of a campaign, and a standard queue of those that come back.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use largesse_app::ports::{CampaignQueue, ChunkMessage, ChunkWork, PortResult};
use largesse_app::trace::TraceId;
use largesse_domain::campaign::ChunkNumber;
use serde::{Deserialize, Serialize};

use crate::errors::{corrupt, port_error};
use crate::store::Store;

/// The version of the body that this code writes. A field that is added later does not change it,
/// since readers ignore fields that they do not know; a change that an older reader would get wrong
/// does.
const VERSION: u32 = 1;

/// The longest delay of a message (Amazon SQS API Reference, `SendMessage`).
const DELAY_S_MAX: u32 = 900;

/// The body of a message.
#[derive(Serialize, Deserialize)]
struct Body {
    version: u32,
    campaign: String,
    fence: u64,
    chunk: u32,
    work: Work,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Work {
    Pay,
    Reverse,
}

/// A message that this code cannot read. It may be of a newer version, so it waits in the queue.
#[derive(Debug, thiserror::Error)]
pub enum ChunkBodyError {
    /// A newer version wrote it.
    #[error("the message has version {0}, this code reads up to {VERSION}")]
    Newer(u32),
    /// It is no JSON object with the fields of a chunk.
    #[error("the message is no chunk")]
    Shape(#[source] serde_json::Error),
    /// The campaign is no id.
    #[error("the field campaign cannot be read")]
    Campaign,
}

/// Reads the body of a message.
///
/// # Errors
/// [`ChunkBodyError`].
pub fn read_chunk_body(text: &str) -> Result<ChunkMessage, ChunkBodyError> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_str(text).map_err(ChunkBodyError::Shape)?;
    if version > VERSION {
        return Err(ChunkBodyError::Newer(version));
    }
    let body: Body = serde_json::from_str(text).map_err(ChunkBodyError::Shape)?;
    Ok(ChunkMessage {
        campaign: body.campaign.parse().map_err(|_| ChunkBodyError::Campaign)?,
        fence: body.fence,
        chunk: ChunkNumber(body.chunk),
        work: match body.work {
            Work::Pay => ChunkWork::Pay,
            Work::Reverse => ChunkWork::Reverse,
        },
        // A trace only helps to find lines of the log: one that cannot be read holds up no chunk.
        trace: body.trace.as_deref().and_then(TraceId::of_hex),
    })
}

/// Writes the body of a message.
///
/// # Errors
/// Corrupt, never in practice: a chunk is always JSON.
pub fn write_chunk_body(message: &ChunkMessage) -> PortResult<String> {
    let work = match message.work {
        ChunkWork::Pay => Work::Pay,
        ChunkWork::Reverse => Work::Reverse,
    };
    let ChunkMessage { campaign, fence, chunk, .. } = *message;
    let (campaign, trace) = (campaign.to_string(), message.trace_id());
    let body = Body { version: VERSION, campaign, fence, chunk: chunk.0, work, trace };
    serde_json::to_string(&body).map_err(|_| corrupt("chunk message"))
}

fn entry(
    position: usize,
    message: &ChunkMessage,
    lanes: u32,
) -> PortResult<SendMessageBatchRequestEntry> {
    let ChunkMessage { campaign, fence, chunk, .. } = message;
    let lane = chunk.0.checked_rem(lanes).unwrap_or(0);
    SendMessageBatchRequestEntry::builder()
        .id(position.to_string())
        .message_body(write_chunk_body(message)?)
        .message_group_id(format!("{campaign}#{lane}"))
        // A fan-out that is repeated sends the same. Each start and rollback has its own fence.
        .message_deduplication_id(format!("{campaign}-{fence}-{}", chunk.0))
        .build()
        .map_err(|_| corrupt("chunk message"))
}

impl CampaignQueue for Store {
    async fn send_chunks(&self, messages: &[ChunkMessage], lanes: u32) -> PortResult<Vec<usize>> {
        let entries = messages.iter().enumerate().map(|(position, m)| entry(position, m, lanes));
        let entries: Vec<_> = entries.collect::<PortResult<_>>()?;
        let sent = self
            .sqs
            .send_message_batch()
            .queue_url(&self.names.queue_campaigns_url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| port_error("send chunks", error))?;
        Ok(sent.failed().iter().filter_map(|failed| failed.id().parse().ok()).collect())
    }

    async fn send_retry(&self, message: &ChunkMessage, delay_s: u32) -> PortResult<()> {
        self.sqs
            .send_message()
            .queue_url(&self.names.queue_campaign_retries_url)
            .message_body(write_chunk_body(message)?)
            .delay_seconds(i32::try_from(delay_s.min(DELAY_S_MAX)).unwrap_or(0))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("send chunk again", error))
    }

    async fn delay_chunk(&self, receipt: &str, delay_s: u32) -> PortResult<()> {
        self.delay_in(&self.names.queue_campaigns_url, receipt, delay_s).await
    }

    async fn delay_retry(&self, receipt: &str, delay_s: u32) -> PortResult<()> {
        self.delay_in(&self.names.queue_campaign_retries_url, receipt, delay_s).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;

    /// The body as version 1 writes it. Messages of this shape lie in queues: it never changes.
    const GOLDEN: &str = r#"{"version":1,"campaign":"01ARZ3NDEKTSV4RRFFQ69G5FAV","fence":7,"chunk":42,"work":"pay"}"#;

    #[test]
    fn a_chunk_of_version_1_is_read_and_written_for_ever() {
        let message = read_chunk_body(GOLDEN).unwrap();
        assert_eq!(write_chunk_body(&message).unwrap(), GOLDEN);
        assert_eq!((message.fence, message.chunk.0, message.work), (7, 42, ChunkWork::Pay));
        let reverse = ChunkMessage { work: ChunkWork::Reverse, ..message };
        assert_eq!(read_chunk_body(&write_chunk_body(&reverse).unwrap()).unwrap(), reverse);
        let trace = TraceId::of_hex("5759e988bd862e3fe1be46a994272793");
        let traced = ChunkMessage { trace, ..message };
        assert_eq!(read_chunk_body(&write_chunk_body(&traced).unwrap()).unwrap(), traced);
    }

    #[test]
    fn a_trace_that_cannot_be_read_holds_up_no_chunk() {
        let odd = GOLDEN.replace("\"work\"", "\"trace\":\"odd\",\"work\"");
        assert_eq!(read_chunk_body(&odd).unwrap(), read_chunk_body(GOLDEN).unwrap());
    }

    #[test]
    fn a_later_field_is_tolerated_and_a_newer_version_is_not_guessed() {
        let more = GOLDEN.replace("\"fence\"", "\"speed\":1,\"fence\"");
        assert_eq!(read_chunk_body(&more).unwrap(), read_chunk_body(GOLDEN).unwrap());
        let newer = GOLDEN.replace("\"version\":1", "\"version\":2");
        assert!(matches!(read_chunk_body(&newer), Err(ChunkBodyError::Newer(2))));
    }

    #[test]
    fn a_body_that_is_no_chunk_says_why() {
        for text in ["", "[]", "{}", r#"{"version":1}"#, &GOLDEN.replace("pay", "keep")] {
            assert!(matches!(read_chunk_body(text), Err(ChunkBodyError::Shape(_))), "{text}");
        }
        let error = read_chunk_body(&GOLDEN.replace("FAV", "F")).unwrap_err();
        assert!(matches!(error, ChunkBodyError::Campaign));
    }
}
