//! The circuit breakers before money services: one state for all workers.

use std::future::Future;

use largesse_domain::breaker::Breaker;
use largesse_domain::id::ServiceId;

use super::PortResult;

/// A breaker as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredBreaker {
    /// Where it stands.
    pub breaker: Breaker,
    /// How often it was written: 0 when it never was, and is closed.
    pub version: u64,
}

/// What became of writing a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerWritten {
    /// It stands as the caller wished.
    Done(StoredBreaker),
    /// Another worker wrote it since it was read. This is what stands.
    Changed(StoredBreaker),
}

/// The shared state of circuit breakers.
pub trait Breakers: Send + Sync {
    /// Where the breaker stands. Strongly consistent.
    fn breaker(
        &self,
        service: &ServiceId,
    ) -> impl Future<Output = PortResult<StoredBreaker>> + Send;

    /// Writes the breaker, if it is still as it was `seen`. Idempotent: the repeat of a write whose
    /// reply was lost is [`BreakerWritten::Done`], as long as no other write came between.
    fn put_breaker(
        &self,
        service: &ServiceId,
        seen: StoredBreaker,
        breaker: Breaker,
    ) -> impl Future<Output = PortResult<BreakerWritten>> + Send;
}
