//! The queue of grants to pay: SQS FIFO, one group per member.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use largesse_app::ports::{Deliveries, GrantMessage, GrantQueue, PortResult};
use largesse_app::trace::TraceId;
use largesse_domain::grant::{Grant, Reason};
use largesse_domain::id::{PoolId, Ulid};
use largesse_domain::money::Amount;
use serde::{Deserialize, Serialize};

use crate::errors::{corrupt, port_error};
use crate::store::Store;

/// The version of the body that this code writes. A field that is added later does not change it,
/// since readers ignore fields that they do not know; a change that an older reader would get wrong
/// does.
const VERSION: u32 = 1;

/// The body of a message: all that a payment needs.
#[derive(Serialize, Deserialize)]
struct Body {
    version: u32,
    grant_id: String,
    source: String,
    member: String,
    amount: u64,
    reason: String,
    funder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
}

/// A message that this code cannot read. It may be of a newer version, so it waits in the queue.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// A newer version wrote it.
    #[error("the message has version {0}, this code reads up to {VERSION}")]
    Newer(u32),
    /// It is no JSON object with the fields of a grant.
    #[error("the message is no grant")]
    Shape(#[source] serde_json::Error),
    /// A field holds no such value.
    #[error("the field {0} cannot be read")]
    Field(&'static str),
}

/// Reads the body of a message.
///
/// # Errors
/// [`BodyError`].
pub fn read_body(text: &str) -> Result<GrantMessage, BodyError> {
    /// What every version has.
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = serde_json::from_str(text).map_err(BodyError::Shape)?;
    if version > VERSION {
        return Err(BodyError::Newer(version));
    }
    let body: Body = serde_json::from_str(text).map_err(BodyError::Shape)?;
    let field = BodyError::Field;
    // The rows of a campaign are paid from its chunks: a message about one is no grant.
    let source: PoolId = body.source.parse().map_err(|_| field("source"))?;
    if !matches!(source, PoolId::Spray(_) | PoolId::Drop(_)) {
        return Err(field("source"));
    }
    let grant = Grant {
        id: body.grant_id.parse().map_err(|_| field("grant_id"))?,
        source,
        member: body.member.parse().map_err(|_| field("member"))?,
        amount: Amount::new(body.amount).map_err(|_| field("amount"))?,
        reason: Reason::from_name(&body.reason).ok_or(field("reason"))?,
        funder: body.funder.parse().map_err(|_| field("funder"))?,
        memo: None,
    };
    let retry = body.retry.map(|id| Ulid::from_string(&id)).transpose();
    let retry = retry.map_err(|_| field("retry"))?;
    // A trace only helps to find lines of the log: one that cannot be read holds up no payment.
    let trace = body.trace.as_deref().and_then(TraceId::of_hex);
    Ok(GrantMessage { grant, retry, trace })
}

/// Writes the body of a message.
///
/// # Errors
/// Corrupt, never in practice: a grant is always JSON.
pub fn write_body(message: &GrantMessage) -> PortResult<String> {
    let grant = &message.grant;
    let body = Body {
        version: VERSION,
        grant_id: grant.id.to_string(),
        source: grant.source.to_string(),
        member: grant.member.to_string(),
        amount: grant.amount.get(),
        reason: grant.reason.as_str().to_owned(),
        funder: grant.funder.to_string(),
        retry: message.retry.map(|id| id.to_string()),
        trace: message.trace.map(|id| id.to_string()),
    };
    serde_json::to_string(&body).map_err(|_| corrupt("grant message"))
}

/// Within five minutes the queue drops a message with the same id: what the stream or the sweep
/// delivers twice. An operator's retry is another message.
fn deduplication_id(message: &GrantMessage) -> String {
    match message.retry {
        None => message.grant.id.to_string(),
        Some(retry) => format!("{}-{retry}", message.grant.id),
    }
}

fn entry(position: usize, message: &GrantMessage) -> PortResult<SendMessageBatchRequestEntry> {
    SendMessageBatchRequestEntry::builder()
        .id(position.to_string())
        .message_body(write_body(message)?)
        // One member's payments go one after another; different members' do not wait.
        .message_group_id(message.grant.member.as_str())
        .message_deduplication_id(deduplication_id(message))
        .build()
        .map_err(|_| corrupt("grant message"))
}

impl GrantQueue for Store {
    async fn send(&self, messages: &[GrantMessage]) -> PortResult<Vec<usize>> {
        let entries = messages.iter().enumerate().map(|(position, m)| entry(position, m));
        let entries: Vec<_> = entries.collect::<PortResult<_>>()?;
        let sent = self
            .sqs
            .send_message_batch()
            .queue_url(&self.names.queue_grants_url)
            .set_entries(Some(entries))
            .send()
            .await
            .map_err(|error| port_error("send grants", error))?;
        Ok(sent.failed().iter().filter_map(|failed| failed.id().parse().ok()).collect())
    }
}

impl Deliveries for Store {
    async fn delay(&self, receipt: &str, delay_s: u32) -> PortResult<()> {
        self.delay_in(&self.names.queue_grants_url, receipt, delay_s).await
    }

    async fn dead_letter(&self, given_up: &GrantMessage) -> PortResult<()> {
        self.sqs
            .send_message()
            .queue_url(&self.names.queue_grants_dlq_url)
            .message_body(write_body(given_up)?)
            .message_group_id(given_up.grant.member.as_str())
            .message_deduplication_id(deduplication_id(given_up))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("dead-letter grant", error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "these are tests")]
mod tests {
    use super::*;

    /// The body as version 1 writes it. Messages of this shape lie in queues: it never changes.
    const GOLDEN: &str = r#"{"version":1,"grant_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV","source":"SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAW","member":"bob","amount":5,"reason":"share","funder":"alice"}"#;

    #[test]
    fn a_body_of_version_1_is_read_and_written_for_ever() {
        let message = read_body(GOLDEN).unwrap();
        assert_eq!(write_body(&message).unwrap(), GOLDEN);
        assert_eq!(message.grant.amount.get(), 5);
        let trace = Some(TraceId::of_ulid(Ulid::from_parts(3, 4)));
        let retry = GrantMessage { retry: Some(Ulid::from_parts(1, 2)), trace, ..message };
        assert_eq!(read_body(&write_body(&retry).unwrap()).unwrap(), retry);
    }

    #[test]
    fn a_field_that_a_later_version_adds_is_tolerated_and_a_newer_version_is_not_guessed() {
        let more = GOLDEN.replace("\"amount\"", "\"currency\":\"KRW\",\"amount\"");
        assert_eq!(read_body(&more).unwrap(), read_body(GOLDEN).unwrap());
        let newer = GOLDEN.replace("\"version\":1", "\"version\":2");
        assert!(matches!(read_body(&newer), Err(BodyError::Newer(2))));
        assert!(matches!(read_body(r#"{"version":2}"#), Err(BodyError::Newer(2))));
    }

    #[test]
    fn a_trace_that_cannot_be_read_holds_up_no_payment() {
        let odd = GOLDEN.replace("\"amount\"", "\"trace\":\"odd\",\"amount\"");
        assert_eq!(read_body(&odd).unwrap(), read_body(GOLDEN).unwrap());
    }

    #[test]
    fn a_body_that_is_no_grant_says_why() {
        for text in ["", "nonsense", "[]", "{}", r#"{"version":1}"#, r#"{"version":"1"}"#] {
            assert!(matches!(read_body(text), Err(BodyError::Shape(_))), "{text}");
        }
        for (from, to, name) in [
            ("FAV\"", "FA\"", "grant_id"),
            ("SPRAY#", "SPRAY", "source"),
            ("SPRAY#", "CAMPAIGN#", "source"),
            ("bob", "b b", "member"),
            (":5", ":0", "amount"),
            ("share", "gift", "reason"),
            ("alice", "", "funder"),
        ] {
            let error = read_body(&GOLDEN.replace(from, to)).unwrap_err();
            assert!(matches!(error, BodyError::Field(field) if field == name), "{name}: {error}");
        }
    }
}
