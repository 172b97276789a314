//! The event bus.

use std::future::Future;

use largesse_domain::grant::FailedGrant;

use super::PortResult;

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A grant was refused for the last time.
    GrantPermanentlyFailed(FailedGrant),
}

/// The event bus.
pub trait Events: Send + Sync {
    /// Publishes an event, at least once.
    fn publish(&self, event: &Event) -> impl Future<Output = PortResult<()>> + Send;
}
