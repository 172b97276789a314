//! The queue of notices: events that a person is to hear of.

use std::future::Future;

use super::PortResult;

/// What a worker does with notices that it has received.
pub trait Notices: Send + Sync {
    /// Makes a received notice visible again after `delay_s` seconds.
    fn delay_notice(
        &self,
        receipt: &str,
        delay_s: u32,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Puts a notice that the webhook refused into the dead-letter queue, at least once.
    fn dead_letter_notice(&self, body: &str) -> impl Future<Output = PortResult<()>> + Send;
}
