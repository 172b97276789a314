//! The messages of a queue, and what its operations take and give.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message in a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// The position of the message in the queue.
    pub sequence: u64,
    /// The message id.
    pub id: String,
    /// The body.
    pub body: String,
    /// The message group. In a standard queue every message has a group of its own.
    pub group: String,
    /// The deduplication id; empty in a standard queue.
    pub deduplication: String,
    /// The sender's message attributes, as JSON of the request.
    pub attributes: Value,
    /// The sender's `AWSTraceHeader`.
    pub trace_header: Option<String>,
    /// The time of sending, in epoch milliseconds.
    pub sent_ms: i64,
    /// The time of the first receive; 0 before the first receive.
    pub first_received_ms: i64,
    /// The number of receives.
    pub receive_count: u32,
    /// The time at which the message becomes visible.
    pub visible_ms: i64,
    /// The message was received, and is neither deleted nor visible again.
    pub in_flight: bool,
    /// The queue that moved the message to this dead-letter queue.
    pub source_arn: Option<String>,
}

impl Message {
    /// The receipt handle of the latest receive. Every receive makes another one.
    pub(crate) fn receipt(&self) -> String {
        format!("{:x}.{:x}", self.sequence, self.receive_count)
    }
}

/// The parameters of a send.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) body: String,
    pub(crate) group: Option<String>,
    pub(crate) deduplication: String,
    pub(crate) delay_ms: Option<i64>,
    pub(crate) attributes: Value,
    pub(crate) trace_header: Option<String>,
}

/// The result of a send.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) sequence: u64,
}

/// The reason why a receipt handle is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadReceipt {
    /// The handle does not have the form of one.
    Malformed,
    /// The message is visible again or was received again since.
    Expired,
}

/// The hash of a deduplication id and its scope. The id itself (up to 128 characters, twice) would
/// take most of the memory of a busy queue.
pub(crate) type DeduplicationKey = [u8; 16];

/// A row on disk that a queue operation changed. The row is removed when the queue has no value for
/// it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Changed {
    Message(u64),
    Deduplication(DeduplicationKey),
}

/// What a queue knows of a deduplication id.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The message that was sent under it.
    pub(crate) sequence: u64,
    pub(crate) until_ms: i64,
}
