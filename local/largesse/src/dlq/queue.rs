//! Receiving dead-letter messages, deleting them, and putting the others back.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry,
    MessageSystemAttributeName, QueueAttributeName,
};

use super::{DlqError, failed};

/// Messages of one receive, and entries of one batch (Amazon SQS API reference).
const BATCH_MAX: usize = 10;
/// Messages that one run holds: fewer than a queue may have in flight (Amazon SQS quotas: 120,000).
/// A held message costs its id and its receipt, about 500 bytes.
const HELD_MAX: usize = 100_000;
/// How long a received message stays invisible to others. A run gives back what it holds when it
/// ends; this is for a run that is killed.
const INVISIBLE_S: i32 = 900;
/// How long a receive waits: with a wait, SQS asks all of its servers (Amazon SQS Developer Guide,
/// "Long polling").
const WAIT_S: i32 = 1;

/// A message of a dead-letter queue.
#[derive(Clone, Debug)]
pub struct DeadMessage {
    /// Its id in SQS.
    pub id: String,
    /// Its body.
    pub body: String,
    /// What SQS says about it.
    pub attributes: BTreeMap<String, String>,
    receipt: String,
}

/// One dead-letter queue.
pub(super) struct DeadQueue {
    sqs: aws_sdk_sqs::Client,
    url: String,
}

impl DeadQueue {
    pub(super) const fn new(sqs: aws_sdk_sqs::Client, url: String) -> Self {
        Self { sqs, url }
    }

    pub(super) const fn run(&self) -> Run<'_> {
        Run { queue: self, held: BTreeMap::new() }
    }

    /// How many messages the queue has, in flight or not, as far as SQS knows.
    pub(super) async fn count(&self) -> Result<u64, DlqError> {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesNotVisible as Hidden,
        };
        let request = self.sqs.get_queue_attributes().queue_url(&self.url);
        let got = request.attribute_names(Visible).attribute_names(Hidden).send().await;
        let got = got.map_err(|error| failed("cannot count dead-letter messages", error))?;
        let attributes = got.attributes.unwrap_or_default();
        let number = |name| attributes.get(&name).and_then(|text| text.parse::<u64>().ok());
        Ok(number(Visible).unwrap_or(0).saturating_add(number(Hidden).unwrap_or(0)))
    }

    async fn receive(&self) -> Result<Vec<DeadMessage>, DlqError> {
        let got = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(BATCH_MAX).unwrap_or(1))
            .visibility_timeout(INVISIBLE_S)
            .wait_time_seconds(WAIT_S)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .send()
            .await
            .map_err(|error| failed("cannot receive dead-letter messages", error))?;
        let message = |message: aws_sdk_sqs::types::Message| {
            let attributes = message.attributes.unwrap_or_default().into_iter();
            DeadMessage {
                id: message.message_id.unwrap_or_default(),
                body: message.body.unwrap_or_default(),
                attributes: attributes.map(|(name, v)| (name.as_str().to_owned(), v)).collect(),
                receipt: message.receipt_handle.unwrap_or_default(),
            }
        };
        Ok(got.messages.unwrap_or_default().into_iter().map(message).collect())
    }
}

/// One pass over a queue. Every message that it receives stays invisible to others until the pass
/// deletes it or ends, so the pass meets each message once. Memory is bounded by [`HELD_MAX`].
///
/// SQS FIFO gives no further message of a group while one of it is in flight. A message that is kept
/// therefore hides those of the same member behind it, except for up to nine in the same batch. A
/// second pass meets more of them.
pub(super) struct Run<'a> {
    queue: &'a DeadQueue,
    /// The receipts of messages that were received and not deleted, by message id.
    held: BTreeMap<String, String>,
}

impl Run<'_> {
    /// The next messages that this pass has not met; none at the end.
    pub(super) async fn next(&mut self) -> Result<Vec<DeadMessage>, DlqError> {
        if self.held.len() >= HELD_MAX {
            return Ok(Vec::new());
        }
        let mut messages = self.queue.receive().await?;
        // A message that this pass holds comes again only when the pass outlasts its visibility
        // timeout. Its last receipt counts.
        messages.retain(|message| {
            self.held.insert(message.id.clone(), message.receipt.clone()).is_none()
        });
        Ok(messages)
    }

    /// How many messages the pass holds.
    pub(super) fn held(&self) -> u64 {
        u64::try_from(self.held.len()).unwrap_or(u64::MAX)
    }

    /// Deletes messages of one batch; gives how many were not deleted. Those stay in the queue.
    pub(super) async fn delete(&mut self, messages: &[&DeadMessage]) -> Result<u64, DlqError> {
        let mut not_deleted = 0_u64;
        for batch in messages.chunks(BATCH_MAX) {
            let entry = |(position, message): (usize, &&DeadMessage)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(position.to_string())
                    .receipt_handle(&message.receipt)
                    .build()
            };
            let entries = batch.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
            let entries = entries.map_err(DlqError::unsendable)?;
            let request = self.queue.sqs.delete_message_batch().queue_url(&self.queue.url);
            let sent = request.set_entries(Some(entries)).send().await;
            let sent = sent.map_err(|error| failed("cannot delete dead-letter messages", error))?;
            let failed = |position: usize| {
                sent.failed().iter().any(|entry| entry.id() == position.to_string())
            };
            for (position, message) in batch.iter().enumerate() {
                if failed(position) {
                    not_deleted = not_deleted.saturating_add(1);
                } else {
                    self.held.remove(&message.id);
                }
            }
        }
        Ok(not_deleted)
    }

    /// Ends the pass: what it holds is visible to others again. A message whose visibility timeout
    /// is over is visible by itself.
    pub(super) async fn end(self) -> Result<(), DlqError> {
        let receipts: Vec<String> = self.held.into_values().collect();
        for batch in receipts.chunks(BATCH_MAX) {
            let entry = |(position, receipt): (usize, &String)| {
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(position.to_string())
                    .receipt_handle(receipt)
                    .visibility_timeout(0)
                    .build()
            };
            let entries = batch.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>();
            let entries = entries.map_err(DlqError::unsendable)?;
            let request = self.queue.sqs.change_message_visibility_batch();
            let request = request.queue_url(&self.queue.url).set_entries(Some(entries));
            let sent = request.send().await;
            sent.map_err(|error| failed("cannot put back dead-letter messages", error))?;
        }
        Ok(())
    }
}
