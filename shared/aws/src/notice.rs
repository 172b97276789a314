//! The queue of notices: SQS standard.

use largesse_app::ports::{Notices, PortResult};

use crate::errors::port_error;
use crate::store::Store;

impl Notices for Store {
    async fn delay_notice(&self, receipt: &str, delay_s: u32) -> PortResult<()> {
        self.delay_in(&self.names.queue_notify_url, receipt, delay_s).await
    }

    async fn dead_letter_notice(&self, body: &str) -> PortResult<()> {
        self.sqs
            .send_message()
            .queue_url(&self.names.queue_notify_dlq_url)
            .message_body(body)
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("dead-letter notice", error))
    }
}

impl Store {
    /// Makes a received message of a queue visible again after `delay_s` seconds.
    pub(crate) async fn delay_in(
        &self,
        queue_url: &str,
        receipt: &str,
        delay_s: u32,
    ) -> PortResult<()> {
        self.sqs
            .change_message_visibility()
            .queue_url(queue_url)
            .receipt_handle(receipt)
            .visibility_timeout(i32::try_from(delay_s).unwrap_or(i32::MAX))
            .send()
            .await
            .map(drop)
            .map_err(|error| port_error("delay message", error))
    }
}
