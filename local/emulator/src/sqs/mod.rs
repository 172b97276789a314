//! SQS: all queues behind one lock, written to disk with every change when the world is on disk.

mod api;
mod error;
mod message;
mod queue;
mod shapes;
mod store;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use dynoxide::DynoxideError;

pub(crate) use api::system_attributes;
pub(crate) use error::SqsError;
pub use message::Message;
use message::{BadReceipt, Sending};
use queue::Queue;

use crate::clock::{Clocked, WorldClock};
use crate::dynamo::Database;
use crate::names;
use crate::signals::{Signals, Topic};
use crate::stack::QueueSpec;

/// The content of a queue at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueView {
    /// Messages that are neither in flight nor delayed, including those behind their group.
    pub visible: usize,
    /// Messages received and not yet deleted or visible again.
    pub in_flight: usize,
    /// Messages that were sent with a delay that is not over.
    pub delayed: usize,
    /// All messages in order.
    pub messages: Vec<Message>,
}

impl QueueView {
    /// Whether the queue has no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// All queues. One lock holds them, because a dead letter moves between two queues in one step.
#[derive(Clone, Debug)]
pub(crate) struct Sqs {
    queues: Arc<Clocked<BTreeMap<String, Queue>>>,
    /// Where queues are kept across restarts; `None` in memory.
    disk: Option<Database>,
    signals: Signals,
}

impl Sqs {
    pub(crate) fn open(
        specs: &[QueueSpec],
        disk: Option<Database>,
        clock: &WorldClock,
        signals: &Signals,
    ) -> Result<Self, DynoxideError> {
        let mut queues = BTreeMap::new();
        for spec in specs {
            let mut queue = Queue::new(spec.clone());
            let now_ms = clock.now_ms();
            if let Some(disk) = &disk {
                store::load(&mut queue, disk, now_ms)?;
            }
            queue.tick(now_ms);
            queues.insert(spec.name.clone(), queue);
        }
        let queues = Arc::new(Clocked::new(queues, clock));
        Ok(Self { queues, disk, signals: signals.clone() })
    }

    /// Runs `act` on the queue that a URL, an ARN or a name means, and writes what it changed to
    /// disk in one transaction.
    fn with<T>(
        &self,
        url: &str,
        act: impl FnOnce(&mut Queue, i64) -> Result<T, SqsError>,
    ) -> Result<T, SqsError> {
        let name = names::last_part(url);
        let (mut queues, now_ms) = self.queues.lock();
        let queue = queues.get_mut(name).ok_or_else(SqsError::no_such_queue)?;
        let result = act(queue, now_ms);
        self.flush(&mut [queue])?;
        drop(queues);
        self.signals.raise(&Topic::Queue(name.to_owned()));
        result
    }

    fn name_of(&self, url: &str) -> Result<String, SqsError> {
        let (queues, _) = self.queues.lock();
        let queue = queues.get(names::last_part(url)).ok_or_else(SqsError::no_such_queue)?;
        Ok(queue.spec.name.clone())
    }

    /// Receives messages, and moves the dead letters that it meets in the same write.
    pub(crate) fn receive(
        &self,
        url: &str,
        max: usize,
        visibility_ms: Option<i64>,
    ) -> Result<Vec<Message>, SqsError> {
        let name = names::last_part(url);
        let (mut queues, now_ms) = self.queues.lock();
        let mut queue = queues.remove(name).ok_or_else(SqsError::no_such_queue)?;
        let visibility_ms = visibility_ms.unwrap_or(queue.spec.visibility_ms);
        let (given, dead) = queue.receive(max, visibility_ms, now_ms);
        let redrive = queue.spec.redrive.as_ref().map(|redrive| redrive.queue.clone());
        let has_dead = !dead.is_empty();
        let mut dead_queue = redrive.as_ref().and_then(|redrive| queues.get_mut(redrive));
        for mut message in dead {
            message.source_arn = Some(names::queue_arn(name));
            if let Some(dead_queue) = dead_queue.as_deref_mut() {
                dead_queue.accept(message, now_ms);
            }
        }
        let flushed = match dead_queue {
            Some(dead_queue) => self.flush(&mut [&mut queue, dead_queue]),
            None => self.flush(&mut [&mut queue]),
        };
        queues.insert(name.to_owned(), queue);
        drop(queues);
        if let (true, Some(redrive)) = (has_dead, redrive) {
            self.signals.raise(&Topic::Queue(redrive));
        }
        flushed.map(|()| given)
    }

    /// Deletes the messages of `receipts` with one write to disk, and gives the refused ones.
    pub(crate) fn delete_all<'a>(
        &self,
        url: &str,
        receipts: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<SqsError>, SqsError> {
        self.with(url, |queue, now_ms| {
            let delete = |receipt| queue.delete(receipt, now_ms).err().map(|bad| (receipt, bad));
            let refused = receipts.filter_map(delete);
            Ok(refused.map(|(receipt, bad)| SqsError::bad_receipt(receipt, bad)).collect())
        })
    }

    pub(crate) fn change_visibility(
        &self,
        url: &str,
        receipt: &str,
        ms: i64,
    ) -> Result<(), SqsError> {
        self.with(url, |queue, now_ms| change_visibility(queue, now_ms, receipt, ms))
    }

    /// Moves every visible message of a dead-letter queue back to its source queue (or to
    /// `destination`), in order and with a new receive count. AWS moves them over time; this method
    /// has moved all of them when it returns. Gives the number of messages.
    pub(crate) fn redrive(
        &self,
        source: &str,
        destination: Option<&str>,
    ) -> Result<usize, SqsError> {
        let source = names::last_part(source);
        let (mut queues, now_ms) = self.queues.lock();
        let mut dead_queue = queues.remove(source).ok_or_else(SqsError::no_such_queue)?;
        let mut moved = BTreeMap::<String, usize>::new();
        for (sequence, from) in dead_queue.movable(now_ms) {
            let back = destination.or(from.as_deref()).map(names::last_part);
            let Some(queue) = back.and_then(|name| queues.get_mut(name)) else { continue };
            let Some(mut message) = dead_queue.remove(sequence) else { continue };
            message.receive_count = 0;
            message.source_arn = None;
            queue.accept(message, now_ms);
            let count = moved.entry(queue.spec.name.clone()).or_default();
            *count = count.saturating_add(1);
        }
        let receivers = queues.values_mut().filter(|queue| moved.contains_key(&queue.spec.name));
        let mut changed: Vec<&mut Queue> = receivers.collect();
        changed.push(&mut dead_queue);
        let flushed = self.flush(&mut changed);
        queues.insert(source.to_owned(), dead_queue);
        drop(queues);
        for name in moved.keys() {
            self.signals.raise(&Topic::Queue(name.clone()));
        }
        flushed.map(|()| moved.values().sum())
    }

    /// Sends a message for AWS itself, as an event source mapping does for discarded records.
    pub(crate) fn send_plain(&self, queue: &str, body: String) -> Result<(), SqsError> {
        let sending = Sending {
            body,
            group: None,
            deduplication: String::new(),
            delay_ms: None,
            attributes: serde_json::Value::Null,
            trace_header: None,
        };
        self.with(queue, |queue, now_ms| {
            queue.send(sending, now_ms);
            Ok(())
        })
    }

    pub(crate) fn view(&self, name: &str) -> Option<QueueView> {
        let (mut queues, now_ms) = self.queues.lock();
        let queue = queues.get_mut(name)?;
        queue.tick(now_ms);
        let (visible, in_flight, delayed) = queue.counts();
        let messages = queue.messages.values().cloned().collect();
        Some(QueueView { visible, in_flight, delayed, messages })
    }

    /// The time at which the next message of a queue becomes visible.
    pub(crate) fn next_due_ms(&self, name: &str) -> Option<i64> {
        let (mut queues, now_ms) = self.queues.lock();
        let queue = queues.get_mut(name)?;
        queue.tick(now_ms);
        queue.next_due_ms()
    }

    /// The queues that have messages and are not the dead-letter queue of another queue.
    pub(crate) fn busy(&self) -> Vec<String> {
        let (queues, _) = self.queues.lock();
        let is_dead_queue = |name: &String| {
            queues.values().any(|queue| {
                queue.spec.redrive.as_ref().is_some_and(|redrive| redrive.queue == *name)
            })
        };
        let is_busy =
            |(name, queue): &(&String, &Queue)| !queue.messages.is_empty() && !is_dead_queue(name);
        queues.iter().filter(is_busy).map(|(name, _)| name.clone()).collect()
    }

    /// Writes all changes in one transaction. The caller still holds the lock, so no other call
    /// sees a change that is not on disk.
    fn flush(&self, queues: &mut [&mut Queue]) -> Result<(), SqsError> {
        match &self.disk {
            Some(disk) => store::save(queues, disk),
            None => {
                queues.iter_mut().for_each(|queue| queue.changed.clear());
                Ok(())
            }
        }
    }
}

fn change_visibility(
    queue: &mut Queue,
    now_ms: i64,
    receipt: &str,
    visibility_ms: i64,
) -> Result<(), SqsError> {
    match queue.change_visibility(receipt, visibility_ms, now_ms) {
        Ok(true) => Ok(()),
        Ok(false) => Err(SqsError::not_in_flight(receipt)),
        Err(bad) => Err(SqsError::bad_receipt(receipt, bad)),
    }
}

impl SqsError {
    fn bad_receipt(receipt: &str, bad: BadReceipt) -> Self {
        match bad {
            BadReceipt::Malformed => Self::malformed_receipt(receipt),
            BadReceipt::Expired => Self::expired_receipt(receipt),
        }
    }
}
