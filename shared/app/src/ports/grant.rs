//! Grants that were refused, and the queue of grants to pay.

use std::future::Future;

use largesse_domain::grant::{FailedGrant, Grant};
use largesse_domain::id::{PoolId, Ulid, UserId};

use super::PortResult;
use crate::trace::TraceId;

/// What became of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It took effect.
    Done,
    /// The item was no longer as it was read; nothing has changed.
    Changed,
}

/// Some of the failed grants from a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FailedGrants {
    /// The grants.
    pub rows: Vec<FailedGrant>,
    /// The members whose grant has an item that cannot be read: a later version wrote it, or a hand.
    /// It holds up no other.
    pub unreadable: Vec<String>,
    /// Behind which member to read on; `None` at the end.
    pub next: Option<String>,
}

/// The grants that the money service refused. A grant that is pending or paid has no item here.
pub trait Grants: Send + Sync {
    /// The member's failed grant from the source. Strongly consistent.
    fn failed_grant(
        &self,
        source: PoolId,
        member: &UserId,
    ) -> impl Future<Output = PortResult<Option<FailedGrant>>> + Send;

    /// The failed grants from the source, in the order of the members' ids. Strongly consistent.
    fn failed_grants(
        &self,
        source: PoolId,
        after: Option<String>,
        limit: u32,
    ) -> impl Future<Output = PortResult<FailedGrants>> + Send;

    /// Writes a failed grant, if `seen_attempts` refusals are counted on it (0: it has no item) and
    /// it is not voided. A repeat after a lost reply finds it [`Written::Changed`].
    fn put_failed(
        &self,
        failed: &FailedGrant,
        seen_attempts: u32,
    ) -> impl Future<Output = PortResult<Written>> + Send;

    /// Removes the item of a grant that is paid. Idempotent.
    fn remove_failed(&self, paid: &Grant) -> impl Future<Output = PortResult<()>> + Send;
}

/// A message of the queue: all that a payment needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantMessage {
    /// What is to be paid.
    pub grant: Grant,
    /// `Some` when the grant may have failed before: its payment removes the item of the failure.
    /// Each retry of an operator has an id of its own, so that the queue's deduplication does not
    /// drop it; what the sweep sends again has the grant's, so that two sweeps at once send one
    /// message.
    pub retry: Option<Ulid>,
    /// The trace of the request that drew it; `None` where it is not known, as of what the sweep or an
    /// operator sends again.
    pub trace: Option<TraceId>,
}

impl GrantMessage {
    /// The message of a grant that is sent for the first time.
    #[must_use]
    pub const fn first(grant: Grant) -> Self {
        Self { grant, retry: None, trace: None }
    }

    /// The message of a grant that the sweep sends again.
    #[must_use]
    pub const fn resent(grant: Grant) -> Self {
        Self { retry: Some(grant.id.0), grant, trace: None }
    }
}

/// The queue of grants to pay: FIFO, one group per member.
pub trait GrantQueue: Send + Sync {
    /// Sends at most [`SEND_BATCH_MAX`] messages; a grant sent twice within five minutes arrives
    /// once. Returns the positions of those that were not taken.
    fn send(
        &self,
        messages: &[GrantMessage],
    ) -> impl Future<Output = PortResult<Vec<usize>>> + Send;
}

/// What a worker does with messages that it has received.
pub trait Deliveries: Send + Sync {
    /// Makes a received message visible again after `delay_s` seconds.
    fn delay(&self, receipt: &str, delay_s: u32) -> impl Future<Output = PortResult<()>> + Send;

    /// Puts a grant that was given up into the dead-letter queue, at least once.
    fn dead_letter(&self, given_up: &GrantMessage) -> impl Future<Output = PortResult<()>> + Send;
}

/// How many messages one send may hold (Amazon SQS Developer Guide: batches of at most 10).
pub const SEND_BATCH_MAX: usize = 10;
