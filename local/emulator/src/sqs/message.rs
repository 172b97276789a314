//! What lies in a queue, and what goes in and out of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message that lies in a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its place in the queue.
    pub sequence: u64,
    /// The id that SQS gave it.
    pub id: String,
    /// What was sent.
    pub body: String,
    /// Its group; in a standard queue every message is a group of its own.
    pub group: String,
    /// Its deduplication id; empty in a standard queue.
    pub deduplication: String,
    /// The sender's message attributes, as they came.
    pub attributes: Value,
    /// The sender's `AWSTraceHeader`.
    pub trace_header: Option<String>,
    /// When it was sent.
    pub sent_ms: i64,
    /// When it was first received; 0 when it never was.
    pub first_received_ms: i64,
    /// How many times it was received.
    pub receive_count: u32,
    /// Not to be given out before.
    pub visible_ms: i64,
    /// Received, and neither deleted nor visible again.
    pub in_flight: bool,
    /// The queue it was a dead letter of.
    pub source_arn: Option<String>,
}

impl Message {
    /// Names this very receipt: a later receive of the same message makes another one.
    pub(crate) fn receipt(&self) -> String {
        format!("{:x}.{:x}", self.sequence, self.receive_count)
    }
}

/// What a sender gives.
#[derive(Clone, Debug)]
pub(crate) struct Sending {
    pub(crate) body: String,
    pub(crate) group: Option<String>,
    pub(crate) deduplication: String,
    pub(crate) delay_ms: Option<i64>,
    pub(crate) attributes: Value,
    pub(crate) trace_header: Option<String>,
}

/// What a sender gets.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) sequence: u64,
}

/// Why a receipt handle was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadReceipt {
    /// It is not one of ours.
    Malformed,
    /// Its time is over: the message is visible again or was received again.
    Expired,
}

/// A row to write to (or, without a message, to remove from) what outlives the process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Changed {
    Message(u64),
    Deduplication(String),
}

/// A remembered deduplication id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Remembered {
    pub(crate) id: String,
    pub(crate) sequence: u64,
    pub(crate) until_ms: i64,
}
