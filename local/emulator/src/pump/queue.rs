//! The event source mapping from a queue to a function.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use serde_json::Value;
use tokio::sync::{Notify, watch};

use super::{Activity, BoxError, Handler, Pump, Slots, invoke};
use crate::connector::Services;
use crate::names;
use crate::signals::Topic;
use crate::sqs::{Message, system_attributes};
use crate::stack::QueueTrigger;

/// The largest number of messages of one receive, as SQS limits it.
const RECEIVE_MAX: usize = 10;

pub(crate) struct QueuePump {
    trigger: QueueTrigger,
    services: Arc<Services>,
    handler: Handler<SqsEvent, SqsBatchResponse>,
    activity: Activity,
    slots: Arc<Slots>,
    ended: Notify,
}

impl QueuePump {
    pub(crate) fn new(
        trigger: QueueTrigger,
        services: Arc<Services>,
        handler: Handler<SqsEvent, SqsBatchResponse>,
        activity: Activity,
    ) -> Self {
        let slots = Arc::new(Slots::new(trigger.concurrency_max));
        Self { trigger, services, handler, activity, slots, ended: Notify::new() }
    }

    async fn invoke(
        &self,
        event: SqsEvent,
        receipts: &HashMap<String, String>,
    ) -> Result<SqsBatchResponse, BoxError> {
        let QueueTrigger { queue, timeout, .. } = &self.trigger;
        let show = || {
            for receipt in receipts.values() {
                // A deleted message has no visibility to change.
                drop(self.services.sqs.change_visibility(queue, receipt, 0));
            }
            self.activity.wake();
        };
        invoke(&self.services, queue, &self.handler, event, *timeout, show).await
    }

    /// Runs the handler and deletes the messages that succeeded. The others stay invisible until
    /// their visibility timeout, which the handler may have changed.
    async fn run(&self, batch: Vec<Message>) {
        let queue = &self.trigger.queue;
        let receipts: HashMap<String, String> =
            batch.iter().map(|message| (message.id.clone(), message.receipt())).collect();
        let mut event = SqsEvent::default();
        event.records = batch.into_iter().map(|message| record(queue, message)).collect();
        let order: Vec<String> =
            event.records.iter().filter_map(|record| record.message_id.clone()).collect();
        let failed = match self.invoke(event, &receipts).await {
            Ok(response) => failures(response, &order),
            Err(error) => {
                tracing::warn!(queue.name = %queue, error = %error, "a batch failed");
                order.iter().cloned().collect()
            }
        };
        let succeeded = order.iter().filter(|id| !failed.contains(*id));
        let receipts = succeeded.filter_map(|id| receipts.get(id)).map(String::as_str);
        match self.services.sqs.delete_all(queue, receipts) {
            // The handler took longer than the visibility timeout: the message is delivered again.
            Ok(refused) => refused.iter().for_each(|error| {
                tracing::warn!(queue.name = %queue, %error, "a message is visible again");
            }),
            Err(error) => tracing::error!(queue.name = %queue, %error, "cannot delete messages"),
        }
    }
}

/// The failed messages. A report that names an unknown message fails the whole batch, as on Lambda.
fn failures(response: SqsBatchResponse, order: &[String]) -> HashSet<String> {
    let named = response.batch_item_failures.into_iter().map(|failure| failure.item_identifier);
    let named: HashSet<String> = named.collect();
    if named.iter().all(|id| order.contains(id)) {
        return named;
    }
    order.iter().cloned().collect()
}

impl Pump for QueuePump {
    fn begin(self: Arc<Self>) -> bool {
        let Some(slot) = self.slots.take() else { return false };
        let taking = self.activity.taking();
        let max = self.trigger.batch_size.min(RECEIVE_MAX);
        let batch = match self.services.sqs.receive(&self.trigger.queue, max, None) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::error!(queue.name = %self.trigger.queue, error = %error, "cannot receive");
                return false;
            }
        };
        if batch.is_empty() {
            return false;
        }
        let active = self.activity.enter();
        drop(taking);
        tokio::spawn(async move {
            self.run(batch).await;
            drop(slot);
            self.ended.notify_one();
            drop(active);
        });
        true
    }

    fn next_due_ms(&self) -> Option<i64> {
        self.services.sqs.next_due_ms(&self.trigger.queue)
    }

    fn listen(&self) -> watch::Receiver<u64> {
        self.services.signals.listen(Topic::Queue(self.trigger.queue.clone()))
    }

    fn ended(&self) -> &Notify {
        &self.ended
    }
}

fn record(queue: &str, message: Message) -> SqsMessage {
    let mut record = SqsMessage::default();
    record.message_id = Some(message.id.clone());
    record.receipt_handle = Some(message.receipt());
    record.md5_of_body = Some(format!("{:x}", md5::compute(&message.body)));
    let text = |value: Value| value.as_str().map(ToOwned::to_owned).unwrap_or_default();
    record.attributes =
        system_attributes(&message).into_iter().map(|(name, value)| (name, text(value))).collect();
    record.message_attributes = lambda_attributes(&message.attributes);
    record.event_source_arn = Some(names::queue_arn(queue));
    record.event_source = Some("aws:sqs".to_owned());
    record.aws_region = Some(names::REGION.to_owned());
    record.body = Some(message.body);
    record
}

/// Message attributes in Lambda's spelling, with a small first letter.
fn lambda_attributes(
    sent: &Value,
) -> HashMap<String, aws_lambda_events::event::sqs::SqsMessageAttribute> {
    let Some(sent) = sent.as_object() else { return HashMap::new() };
    sent.iter()
        .map(|(name, value)| {
            let mut attribute = aws_lambda_events::event::sqs::SqsMessageAttribute::default();
            attribute.string_value = value["StringValue"].as_str().map(ToOwned::to_owned);
            attribute.data_type = value["DataType"].as_str().map(ToOwned::to_owned);
            (name.clone(), attribute)
        })
        .collect()
}
