//! SQS: the queues behind one lock, written through to disk when the world is on disk.

mod api;
mod error;
mod message;
mod queue;
mod shapes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dynoxide::DynoxideError;

pub(crate) use api::system_attributes;
pub(crate) use error::SqsError;
pub use message::Message;
use message::{BadReceipt, Changed, Remembered, Sending, Sent};
use queue::Queue;

use crate::clock::WorldClock;
use crate::dynamo::Database;
use crate::names;
use crate::signals::{Signals, Topic};
use crate::stack::QueueSpec;

/// What lies in a queue at this moment.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueView {
    /// Messages that are neither in flight nor delayed, those behind their group included.
    pub visible: usize,
    /// Messages received and not yet deleted or visible again.
    pub in_flight: usize,
    /// Messages that were sent with a delay that is not over.
    pub delayed: usize,
    /// All messages in order.
    pub messages: Vec<Message>,
}

impl QueueView {
    /// Nothing lies in the queue.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }
}

/// All queues. One lock holds them, because a dead letter moves between two of them at once.
#[derive(Clone, Debug)]
pub(crate) struct Sqs {
    queues: Arc<Mutex<BTreeMap<String, Queue>>>,
    /// Where queues outlive the process; `None` in memory.
    disk: Option<Database>,
    clock: WorldClock,
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
            if let Some(disk) = &disk {
                load(&mut queue, disk, clock.now_ms())?;
            }
            queue.tick(clock.now_ms());
            queues.insert(spec.name.clone(), queue);
        }
        let queues = Arc::new(Mutex::new(queues));
        Ok(Self { queues, disk, clock: clock.clone(), signals: signals.clone() })
    }

    /// The queue that a URL, an ARN or a name means.
    fn with<T>(
        &self,
        url: &str,
        act: impl FnOnce(&mut Queue, i64) -> Result<T, SqsError>,
    ) -> Result<T, SqsError> {
        let name = names::last_part(url);
        let mut queues = self.lock();
        let queue = queues.get_mut(name).ok_or_else(SqsError::no_such_queue)?;
        let result = act(queue, self.clock.now_ms());
        self.flush(&mut [queue])?;
        drop(queues);
        self.signals.raise(&Topic::Queue(name.to_owned()));
        result
    }

    fn spec(&self, url: &str) -> Result<QueueSpec, SqsError> {
        let queues = self.lock();
        let queue = queues.get(names::last_part(url)).ok_or_else(SqsError::no_such_queue)?;
        Ok(queue.spec.clone())
    }

    /// Receives, and moves the dead letters found on the way in the same write.
    pub(crate) fn receive(
        &self,
        url: &str,
        max: usize,
        visibility_ms: Option<i64>,
    ) -> Result<Vec<Message>, SqsError> {
        let name = names::last_part(url);
        let now_ms = self.clock.now_ms();
        let mut queues = self.lock();
        let mut queue = queues.remove(name).ok_or_else(SqsError::no_such_queue)?;
        let visibility_ms = visibility_ms.unwrap_or(queue.spec.visibility_ms);
        let (given, dead) = queue.receive(max, visibility_ms, now_ms);
        let redrive = queue.spec.redrive.as_ref().map(|redrive| redrive.queue.clone());
        let mut grave = redrive.as_ref().and_then(|redrive| queues.get_mut(redrive));
        for mut message in dead.iter().cloned() {
            message.source_arn = Some(names::queue_arn(name));
            if let Some(grave) = grave.as_deref_mut() {
                grave.bury(message, now_ms);
            }
        }
        let flushed = match grave {
            Some(grave) => self.flush(&mut [&mut queue, grave]),
            None => self.flush(&mut [&mut queue]),
        };
        queues.insert(name.to_owned(), queue);
        drop(queues);
        if let (false, Some(redrive)) = (dead.is_empty(), redrive) {
            self.signals.raise(&Topic::Queue(redrive));
        }
        flushed.map(|()| given)
    }

    pub(crate) fn send(&self, url: &str, sending: Sending) -> Result<Sent, SqsError> {
        self.with(url, |queue, now_ms| Ok(queue.send(sending, now_ms)))
    }

    pub(crate) fn delete(&self, url: &str, receipt: &str) -> Result<(), SqsError> {
        self.with(url, |queue, now_ms| {
            queue.delete(receipt, now_ms).map_err(|bad| SqsError::bad_receipt(receipt, bad))
        })
    }

    pub(crate) fn change_visibility(
        &self,
        url: &str,
        receipt: &str,
        ms: i64,
    ) -> Result<(), SqsError> {
        self.with(url, |queue, now_ms| match queue.change_visibility(receipt, ms, now_ms) {
            Ok(true) => Ok(()),
            Ok(false) => Err(SqsError::not_in_flight(receipt)),
            Err(bad) => Err(SqsError::bad_receipt(receipt, bad)),
        })
    }

    /// Moves every visible message of a dead-letter queue back to the queue that it came from (or
    /// to `destination`), in order and with a new count. AWS does it over time; here it is done
    /// when this returns. Gives the number of messages.
    pub(crate) fn redrive(
        &self,
        source: &str,
        destination: Option<&str>,
    ) -> Result<usize, SqsError> {
        let source = names::last_part(source);
        let mut queues = self.lock();
        let mut grave = queues.remove(source).ok_or_else(SqsError::no_such_queue)?;
        let now_ms = self.clock.now_ms();
        let mut moved = BTreeMap::<String, usize>::new();
        for (sequence, from) in grave.movable(now_ms) {
            let back = destination.or(from.as_deref()).map(names::last_part);
            let Some(queue) = back.and_then(|name| queues.get_mut(name)) else { continue };
            let Some(mut message) = grave.give_up(sequence, now_ms) else { continue };
            message.receive_count = 0;
            message.source_arn = None;
            queue.bury(message, now_ms);
            let count = moved.entry(queue.spec.name.clone()).or_default();
            *count = count.saturating_add(1);
        }
        let receivers = queues.values_mut().filter(|queue| moved.contains_key(&queue.spec.name));
        let mut touched: Vec<&mut Queue> = receivers.collect();
        touched.push(&mut grave);
        let flushed = self.flush(&mut touched);
        queues.insert(source.to_owned(), grave);
        drop(queues);
        for name in moved.keys() {
            self.signals.raise(&Topic::Queue(name.clone()));
        }
        flushed.map(|()| moved.values().sum())
    }

    /// Sends to a queue on AWS's own behalf, as a mapping does with what it gave up on.
    pub(crate) fn send_plain(&self, queue: &str, body: String) -> Result<(), SqsError> {
        let sending = Sending {
            body,
            group: None,
            deduplication: String::new(),
            delay_ms: None,
            attributes: serde_json::Value::Null,
            trace_header: None,
        };
        self.send(queue, sending).map(|_| ())
    }

    pub(crate) fn view(&self, name: &str) -> Option<QueueView> {
        let mut queues = self.lock();
        let queue = queues.get_mut(name)?;
        queue.tick(self.clock.now_ms());
        let (visible, in_flight, delayed) = queue.counts();
        let messages = queue.messages.values().cloned().collect();
        Some(QueueView { visible, in_flight, delayed, messages })
    }

    /// When the next message of a queue becomes visible by itself.
    pub(crate) fn next_due_ms(&self, name: &str) -> Option<i64> {
        let mut queues = self.lock();
        let queue = queues.get_mut(name)?;
        queue.tick(self.clock.now_ms());
        queue.next_due_ms()
    }

    /// Names of the queues that no other queue sends its dead letters to and that hold messages.
    pub(crate) fn busy(&self) -> Vec<String> {
        let queues = self.lock();
        let is_grave = |name: &String| {
            queues.values().any(|queue| {
                queue.spec.redrive.as_ref().is_some_and(|redrive| redrive.queue == *name)
            })
        };
        let holds =
            |(name, queue): &(&String, &Queue)| !queue.messages.is_empty() && !is_grave(name);
        queues.iter().filter(holds).map(|(name, _)| name.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what changed, in one transaction, before anybody hears of it.
    fn flush(&self, queues: &mut [&mut Queue]) -> Result<(), SqsError> {
        let Some(disk) = &self.disk else {
            queues.iter_mut().for_each(|queue| queue.changed.clear());
            return Ok(());
        };
        let mut rows = Vec::new();
        for queue in queues {
            for change in std::mem::take(&mut queue.changed) {
                rows.push(row(queue, &change)?);
            }
        }
        disk.save_rows(&rows).map_err(|error| SqsError::internal(&error.to_string()))
    }
}

fn row(queue: &Queue, change: &Changed) -> Result<(String, Option<String>), SqsError> {
    let name = &queue.spec.name;
    let (key, value) = match change {
        Changed::Message(sequence) => (
            format!("message/{name}/{sequence:020}"),
            queue.messages.get(sequence).map(serde_json::to_string),
        ),
        Changed::Deduplication(id) => (
            format!("deduplication/{name}/{id}"),
            queue.remembered.get(id).map(serde_json::to_string),
        ),
    };
    let value = value.transpose().map_err(|error| SqsError::internal(&error.to_string()))?;
    Ok((key, value))
}

/// Reads a queue back. What was in flight is visible at once: whoever had received it has ended
/// with the process that is gone. AWS cannot know that and waits; here nobody has to.
fn load(queue: &mut Queue, disk: &Database, now_ms: i64) -> Result<(), DynoxideError> {
    let broken = |error: serde_json::Error| DynoxideError::InternalServerError(error.to_string());
    for (_, value) in disk.load_rows(&format!("message/{}/", queue.spec.name))? {
        let mut message: Message = serde_json::from_str(&value).map_err(broken)?;
        if message.in_flight {
            message.visible_ms = message.visible_ms.min(now_ms);
        }
        queue.insert(message);
    }
    let prefix = format!("deduplication/{}/", queue.spec.name);
    let mut remembered = Vec::new();
    for (key, value) in disk.load_rows(&prefix)? {
        let one: Remembered = serde_json::from_str(&value).map_err(broken)?;
        remembered.push((key[prefix.len()..].to_owned(), one));
    }
    remembered.sort_by_key(|(_, one)| one.until_ms);
    for (key, one) in remembered {
        queue.remember(key, one);
    }
    queue.changed.clear();
    Ok(())
}

impl SqsError {
    fn bad_receipt(receipt: &str, bad: BadReceipt) -> Self {
        match bad {
            BadReceipt::Malformed => Self::malformed_receipt(receipt),
            BadReceipt::Expired => Self::expired_receipt(receipt),
        }
    }
}
