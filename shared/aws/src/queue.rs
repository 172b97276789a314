//! The queue of grants to pay: SQS FIFO, one group per member.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use largesse_app::ports::{GrantQueue, GrantRef, PortResult};

use crate::errors::{corrupt, port_error};
use crate::store::Store;

/// The body of a message: which grant.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    source: String,
    member: String,
    grant_id: String,
}

/// A message that names no grant: nobody can pay it, and only an operator can say why it was sent.
#[derive(Debug, thiserror::Error)]
#[error("the message names no grant")]
pub struct BodyError(#[source] Option<serde_json::Error>);

/// Reads the body of a message.
///
/// # Errors
/// [`BodyError`] when it is no JSON of that shape, or a field is no identity.
pub fn read_body(text: &str) -> Result<GrantRef, BodyError> {
    let body: Body = serde_json::from_str(text).map_err(|error| BodyError(Some(error)))?;
    Ok(GrantRef {
        pool: body.source.parse().map_err(|_| BodyError(None))?,
        member: body.member.parse().map_err(|_| BodyError(None))?,
        id: body.grant_id.parse().map_err(|_| BodyError(None))?,
    })
}

fn entry(position: usize, grant: &GrantRef) -> PortResult<SendMessageBatchRequestEntry> {
    let body = Body {
        source: grant.pool.to_string(),
        member: grant.member.to_string(),
        grant_id: grant.id.to_string(),
    };
    let body = serde_json::to_string(&body).map_err(|_| corrupt("grant message"))?;
    SendMessageBatchRequestEntry::builder()
        .id(position.to_string())
        .message_body(body)
        // One member's payments go one after another; different members' do not wait.
        .message_group_id(grant.member.as_str())
        // The stream delivers at least once; within five minutes the queue drops the repeat.
        .message_deduplication_id(grant.id.to_string())
        .build()
        .map_err(|_| corrupt("grant message"))
}

impl GrantQueue for Store {
    async fn send(&self, grants: &[GrantRef]) -> PortResult<Vec<usize>> {
        let entries: PortResult<Vec<_>> =
            grants.iter().enumerate().map(|(position, grant)| entry(position, grant)).collect();
        let sent = self
            .sqs
            .send_message_batch()
            .queue_url(&self.names.queue_grants_url)
            .set_entries(Some(entries?))
            .send()
            .await
            .map_err(|error| port_error("send grants", error))?;
        Ok(sent.failed().iter().filter_map(|failed| failed.id().parse().ok()).collect())
    }

    async fn retry_in(&self, receipt: &str, delay_s: u32) -> PortResult<()> {
        self.sqs
            .change_message_visibility()
            .queue_url(&self.names.queue_grants_url)
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(delay_s).unwrap_or(i32::MAX))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("delay retry", error))
    }
}
