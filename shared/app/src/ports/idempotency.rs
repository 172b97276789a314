//! Requests and their answers, by idempotency key.

use std::future::Future;

use largesse_domain::id::Ulid;
use largesse_domain::time::Timestamp;

use super::PortResult;

/// A stored answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// What an idempotency key stands for when a request with it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is new: run, under this operation id.
    Fresh(Ulid),
    /// An earlier run ended without an answer: run again, under the same operation id.
    Resumed(Ulid),
    /// It was answered.
    Done(StoredAnswer),
    /// An earlier request is still running.
    InFlight,
    /// It was used with another payload.
    OtherPayload,
}

/// How long a key is remembered, and how long its run keeps others off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// For how long the answer is kept, in milliseconds.
    pub kept_ms: u64,
    /// How long a run without an answer keeps others off, in milliseconds. It is longer than the
    /// function may run, so that a second run starts only after the first has ended.
    pub lease_ms: u64,
}

impl Retention {
    /// Of most requests: 24 hours (docs/guarantees.md, G6). Their functions run for at most 10 s.
    pub const DAY: Self = Self { kept_ms: 86_400_000, lease_ms: 15_000 };
    /// Of campaigns: 30 days. Their function runs for at most 30 s.
    pub const MONTH: Self = Self { kept_ms: 2_592_000_000, lease_ms: 35_000 };
}

/// Remembers requests by their idempotency key.
pub trait Idempotency: Send + Sync {
    /// Takes the key for as long as `retention` says, or says what it stands for. `key` names the caller too, so that no caller
    /// sees another's answer.
    fn begin(
        &self,
        key: &str,
        payload_hash: &str,
        op: Ulid,
        now: Timestamp,
        retention: Retention,
    ) -> impl Future<Output = PortResult<Begun>> + Send;

    /// Keeps the answer, unless one is kept: a key is answered once.
    fn finish(
        &self,
        key: &str,
        op: Ulid,
        answer: &StoredAnswer,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Ends the key's lease, so that the next request with it runs again under the same operation
    /// id: for answers that say "try again".
    fn release(&self, key: &str, op: Ulid) -> impl Future<Output = PortResult<()>> + Send;
}
