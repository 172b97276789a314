//! One queue as a pure model: no clock, no lock, no wire format. Times are parameters, in epoch
//! milliseconds.
//!
//! The file is long because messages, groups, `ready` and `timers` are four views of the same
//! state, and every method must keep all four consistent.
//!
//! Guarantees (the first three are tested in `tests/world/sqs.rs`, the last in `sqs/tests.rs`):
//! * order within a group, also after redelivery;
//! * no message of a group while another of it is in flight;
//! * one message per deduplication id within five minutes;
//! * every message can be received again, even if the times of the calls go backwards.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::message::{BadReceipt, Changed, DeduplicationKey, Message, Remembered, Sending, Sent};
use crate::stack::QueueSpec;

/// How long SQS FIFO remembers a deduplication id, as its documentation states.
pub(crate) const DEDUPLICATION_MS: i64 = 5 * 60 * 1_000;

#[derive(Debug, Default)]
struct Group {
    sequences: BTreeSet<u64>,
    in_flight: u32,
    /// The group's entry in `ready`, if it has one.
    ready: Option<u64>,
}

/// One queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) spec: QueueSpec,
    pub(super) messages: BTreeMap<u64, Message>,
    groups: HashMap<Arc<str>, Group>,
    /// Groups whose first message can be received now, by the sequence of that message.
    ready: BTreeMap<u64, Arc<str>>,
    /// The messages that are not visible, by the time at which they become visible. A message is
    /// visible if and only if it has no timer; no method compares `visible_ms` with the time again.
    timers: BTreeSet<(i64, u64)>,
    pub(super) remembered: HashMap<DeduplicationKey, Remembered>,
    forget: VecDeque<(i64, DeduplicationKey)>,
    pub(super) next_sequence: u64,
    in_flight: usize,
    pub(super) changed: BTreeSet<Changed>,
}

impl Queue {
    pub(crate) fn new(spec: QueueSpec) -> Self {
        Self {
            spec,
            messages: BTreeMap::new(),
            groups: HashMap::new(),
            ready: BTreeMap::new(),
            timers: BTreeSet::new(),
            remembered: HashMap::new(),
            forget: VecDeque::new(),
            next_sequence: 1,
            in_flight: 0,
            changed: BTreeSet::new(),
        }
    }

    /// Adds a message, unless one was sent under the same deduplication id within five minutes.
    pub(crate) fn send(&mut self, sending: Sending, now_ms: i64) -> Sent {
        self.tick(now_ms);
        let key = self.deduplication_key(&sending);
        if let Some(known) = key.and_then(|key| self.remembered.get(&key)) {
            let id = message_id(&self.spec.name, known.sequence);
            return Sent { id, sequence: known.sequence };
        }
        let sequence = self.take_sequence();
        let id = message_id(&self.spec.name, sequence);
        if let Some(key) = key {
            let until_ms = now_ms.saturating_add(DEDUPLICATION_MS);
            self.remember(key, Remembered { sequence, until_ms });
        }
        let delay_ms = sending.delay_ms.unwrap_or(self.spec.delay_ms);
        self.insert(Message {
            sequence,
            id: id.clone(),
            body: sending.body,
            group: sending.group.unwrap_or_else(|| format!("\u{0}{sequence}")),
            deduplication: sending.deduplication,
            attributes: sending.attributes,
            trace_header: sending.trace_header,
            sent_ms: now_ms,
            first_received_ms: 0,
            receive_count: 0,
            visible_ms: now_ms.saturating_add(delay_ms),
            in_flight: false,
            source_arn: None,
        });
        self.tick(now_ms);
        Sent { id, sequence }
    }

    /// Adds a message that another queue moves here. It keeps its id, its count and its send time.
    pub(crate) fn accept(&mut self, mut message: Message, now_ms: i64) {
        message.sequence = self.take_sequence();
        message.visible_ms = now_ms;
        message.in_flight = false;
        self.insert(message);
        self.tick(now_ms);
    }

    /// Gives up to `max` messages, from as few groups as possible, and separately the messages that
    /// were received too often.
    pub(crate) fn receive(
        &mut self,
        max: usize,
        visibility_ms: i64,
        now_ms: i64,
    ) -> (Vec<Message>, Vec<Message>) {
        self.tick(now_ms);
        self.expire(now_ms);
        let (mut given, mut dead) = (Vec::new(), Vec::new());
        while given.len() < max {
            let Some((_, name)) = self.ready.first_key_value() else { break };
            let name = Arc::clone(name);
            let Some(group) = self.groups.get(&name) else { break };
            let room = max.saturating_sub(given.len());
            let visible = group.sequences.iter().copied();
            let visible = visible.take_while(|sequence| self.is_visible(*sequence));
            let visible: Vec<u64> = visible.take(room).collect();
            for sequence in visible {
                let is_dead = self.messages.get(&sequence).is_some_and(|message| {
                    let redrive = self.spec.redrive.as_ref();
                    redrive.is_some_and(|redrive| message.receive_count >= redrive.receives_max)
                });
                if is_dead {
                    dead.extend(self.take(sequence));
                } else {
                    given.extend(self.hand_out(sequence, visibility_ms, now_ms));
                }
            }
            self.refresh(&name);
        }
        (given, dead)
    }

    /// Deletes the message of `receipt`. A message that does not exist counts as deleted.
    pub(crate) fn delete(&mut self, receipt: &str, now_ms: i64) -> Result<(), BadReceipt> {
        self.tick(now_ms);
        let Some(sequence) = self.check(receipt)? else { return Ok(()) };
        self.remove(sequence);
        Ok(())
    }

    /// Makes the message of `receipt` visible in `visibility_ms` from now; `false` when it does not
    /// exist any more.
    pub(crate) fn change_visibility(
        &mut self,
        receipt: &str,
        visibility_ms: i64,
        now_ms: i64,
    ) -> Result<bool, BadReceipt> {
        self.tick(now_ms);
        let Some(sequence) = self.check(receipt)? else { return Ok(false) };
        if let Some(message) = self.messages.get_mut(&sequence) {
            self.timers.remove(&(message.visible_ms, sequence));
            message.visible_ms = now_ms.saturating_add(visibility_ms);
            self.timers.insert((message.visible_ms, sequence));
            self.changed.insert(Changed::Message(sequence));
        }
        self.tick(now_ms);
        Ok(true)
    }

    /// Deletes all messages, those in flight too. Their deduplication ids stay remembered.
    pub(super) fn purge(&mut self, now_ms: i64) {
        self.tick(now_ms);
        while let Some((sequence, _)) = self.messages.first_key_value() {
            let sequence = *sequence;
            self.remove(sequence);
        }
    }

    /// The messages that are not in flight, in order, each with the queue that moved it here.
    pub(super) fn movable(&mut self, now_ms: i64) -> Vec<(u64, Option<String>)> {
        self.tick(now_ms);
        let visible = self.messages.values().filter(|message| !message.in_flight);
        visible.map(|message| (message.sequence, message.source_arn.clone())).collect()
    }

    /// Removes a message and updates its group.
    pub(super) fn remove(&mut self, sequence: u64) -> Option<Message> {
        let message = self.take(sequence)?;
        self.refresh(&Arc::from(message.group.as_str()));
        Some(message)
    }

    /// The time at which the next message becomes visible.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.timers.first().map(|(at_ms, _)| *at_ms)
    }

    /// The numbers of visible, in-flight and delayed messages, as SQS counts them.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let waiting = self.timers.len().saturating_sub(self.in_flight);
        (self.messages.len().saturating_sub(self.timers.len()), self.in_flight, waiting)
    }

    /// Applies the time: messages become visible, old deduplication ids are forgotten.
    pub(crate) fn tick(&mut self, now_ms: i64) {
        while let Some(&(at_ms, sequence)) = self.timers.first() {
            if at_ms > now_ms {
                break;
            }
            self.timers.remove(&(at_ms, sequence));
            let Some(message) = self.messages.get_mut(&sequence) else { continue };
            let was_in_flight = std::mem::take(&mut message.in_flight);
            let name: Arc<str> = Arc::from(message.group.as_str());
            if was_in_flight {
                self.in_flight = self.in_flight.saturating_sub(1);
                if let Some(group) = self.groups.get_mut(&name) {
                    group.in_flight = group.in_flight.saturating_sub(1);
                }
            }
            self.refresh(&name);
        }
        while self.forget.front().is_some_and(|(until_ms, _)| *until_ms <= now_ms) {
            if let Some((_, key)) = self.forget.pop_front() {
                self.remembered.remove(&key);
                self.changed.insert(Changed::Deduplication(key));
            }
        }
    }

    /// Adds a message to all four views. It stays invisible until the next `tick`.
    pub(super) fn insert(&mut self, message: Message) {
        let sequence = message.sequence;
        self.next_sequence = self.next_sequence.max(sequence.saturating_add(1));
        let group = self.groups.entry(Arc::from(message.group.as_str())).or_default();
        group.sequences.insert(sequence);
        if message.in_flight {
            group.in_flight = group.in_flight.saturating_add(1);
            self.in_flight = self.in_flight.saturating_add(1);
        }
        self.timers.insert((message.visible_ms, sequence));
        self.changed.insert(Changed::Message(sequence));
        self.messages.insert(sequence, message);
    }

    pub(super) fn remember(&mut self, key: DeduplicationKey, remembered: Remembered) {
        self.next_sequence = self.next_sequence.max(remembered.sequence.saturating_add(1));
        self.forget.push_back((remembered.until_ms, key));
        self.changed.insert(Changed::Deduplication(key));
        self.remembered.insert(key, remembered);
    }

    fn take_sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        sequence
    }

    fn deduplication_key(&self, sending: &Sending) -> Option<DeduplicationKey> {
        if !self.spec.fifo {
            return None;
        }
        let scope = if self.spec.deduplication_per_group { sending.group.as_deref() } else { None };
        let text = format!("{}\u{0}{}", scope.unwrap_or_default(), sending.deduplication);
        Some(md5::compute(text).0)
    }

    fn hand_out(&mut self, sequence: u64, visibility_ms: i64, now_ms: i64) -> Option<Message> {
        let message = self.messages.get_mut(&sequence)?;
        message.receive_count = message.receive_count.saturating_add(1);
        message.in_flight = true;
        message.visible_ms = now_ms.saturating_add(visibility_ms);
        if message.first_received_ms == 0 {
            message.first_received_ms = now_ms;
        }
        self.timers.insert((message.visible_ms, sequence));
        self.in_flight = self.in_flight.saturating_add(1);
        self.changed.insert(Changed::Message(sequence));
        if let Some(group) = self.groups.get_mut(message.group.as_str()) {
            group.in_flight = group.in_flight.saturating_add(1);
        }
        Some(message.clone())
    }

    fn take(&mut self, sequence: u64) -> Option<Message> {
        let message = self.messages.remove(&sequence)?;
        self.timers.remove(&(message.visible_ms, sequence));
        self.changed.insert(Changed::Message(sequence));
        if message.in_flight {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        if let Some(group) = self.groups.get_mut(message.group.as_str()) {
            group.sequences.remove(&sequence);
            if message.in_flight {
                group.in_flight = group.in_flight.saturating_sub(1);
            }
        }
        Some(message)
    }

    fn is_visible(&self, sequence: u64) -> bool {
        let message = self.messages.get(&sequence);
        message.is_some_and(|message| !self.timers.contains(&(message.visible_ms, sequence)))
    }

    /// Updates a group's entry in `ready`: a group has one while its first message is visible and
    /// none of its messages is in flight.
    fn refresh(&mut self, name: &Arc<str>) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if let Some(sequence) = group.ready.take() {
            self.ready.remove(&sequence);
        }
        let Some(first) = group.sequences.first().copied() else {
            self.groups.remove(name);
            return;
        };
        if group.in_flight > 0 || !self.is_visible(first) {
            return;
        }
        self.ready.insert(first, Arc::clone(name));
        if let Some(group) = self.groups.get_mut(name) {
            group.ready = Some(first);
        }
    }

    /// Deletes messages that are older than the retention period.
    pub(super) fn expire(&mut self, now_ms: i64) {
        while let Some(first) = self.messages.first_entry() {
            let kept_until = first.get().sent_ms.saturating_add(self.spec.retention_ms);
            if first.get().in_flight || kept_until > now_ms {
                break;
            }
            let sequence = *first.key();
            self.remove(sequence);
        }
    }

    /// The message of a valid receipt; `None` when the message does not exist any more.
    fn check(&self, receipt: &str) -> Result<Option<u64>, BadReceipt> {
        let parts = receipt.split_once('.').ok_or(BadReceipt::Malformed)?;
        let number = |text| u64::from_str_radix(text, 16).map_err(|_| BadReceipt::Malformed);
        let (sequence, count) = (number(parts.0)?, number(parts.1)?);
        match self.messages.get(&sequence) {
            None => Ok(None),
            Some(message) if message.in_flight && u64::from(message.receive_count) == count => {
                Ok(Some(sequence))
            }
            Some(_) => Err(BadReceipt::Expired),
        }
    }
}

/// Makes the id from queue and sequence, so that a test run can be repeated byte for byte.
fn message_id(queue: &str, sequence: u64) -> String {
    crate::bus::uuid_of(&format!("{queue}/{sequence}"))
}
