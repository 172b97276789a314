//! One queue as a pure model: no clock, no lock, no wire format. Times come in as epoch
//! milliseconds.
//!
//! One file although it is a long one: messages, groups, `ready` and `timers` are four views of the
//! same thing, and every method must leave all of them right.
//!
//! Guarantees (each named by its test in `tests/world/sqs.rs`):
//! * order within a group, whatever fails in between;
//! * no message of a group while another of it is in flight;
//! * one message per deduplication id within five minutes.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::message::{BadReceipt, Changed, Message, Remembered, Sending, Sent};
use crate::stack::QueueSpec;

/// How long SQS FIFO remembers a deduplication id, as its documentation states.
pub(crate) const DEDUPLICATION_MS: i64 = 5 * 60 * 1_000;

#[derive(Debug, Default)]
struct Group {
    sequences: BTreeSet<u64>,
    in_flight: u32,
    /// Its entry in `ready`, if it has one.
    ready: Option<u64>,
}

/// One queue.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) spec: QueueSpec,
    pub(super) messages: BTreeMap<u64, Message>,
    groups: HashMap<Arc<str>, Group>,
    /// Groups whose first message can be received now, by that message's place.
    ready: BTreeMap<u64, Arc<str>>,
    /// When messages in flight or delayed become visible.
    timers: BTreeSet<(i64, u64)>,
    pub(super) remembered: HashMap<String, Remembered>,
    forget: VecDeque<(i64, String)>,
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

    /// Adds a message, or recognises one that was sent within the last five minutes.
    pub(crate) fn send(&mut self, sending: Sending, now_ms: i64) -> Sent {
        self.tick(now_ms);
        let key = self.deduplication_key(&sending);
        if let Some(known) = key.as_ref().and_then(|key| self.remembered.get(key)) {
            return Sent { id: known.id.clone(), sequence: known.sequence };
        }
        let sequence = self.take_sequence();
        let id = message_id(&self.spec.name, sequence);
        if let Some(key) = key {
            let until_ms = now_ms.saturating_add(DEDUPLICATION_MS);
            self.remember(key, Remembered { id: id.clone(), sequence, until_ms });
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

    /// Adds a message that another queue gave up on. It keeps its id, its count and its time.
    pub(crate) fn bury(&mut self, mut message: Message, now_ms: i64) {
        message.sequence = self.take_sequence();
        message.visible_ms = now_ms;
        message.in_flight = false;
        self.insert(message);
        self.tick(now_ms);
    }

    /// Up to `max` messages, from as few groups as possible, and the dead letters found on the way.
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
            let is_due = |sequence: &&u64| {
                self.messages.get(sequence).is_some_and(|message| message.visible_ms <= now_ms)
            };
            let due: Vec<u64> =
                group.sequences.iter().take_while(is_due).copied().take(room).collect();
            for sequence in due {
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
            self.refresh(&name, now_ms);
        }
        (given, dead)
    }

    /// Deletes what `receipt` names. A message that is gone counts as deleted.
    pub(crate) fn delete(&mut self, receipt: &str, now_ms: i64) -> Result<(), BadReceipt> {
        self.tick(now_ms);
        let Some(sequence) = self.check(receipt)? else { return Ok(()) };
        if let Some(message) = self.take(sequence) {
            self.refresh(&Arc::from(message.group), now_ms);
        }
        Ok(())
    }

    /// Makes what `receipt` names visible in `visibility_ms` from now; `false` when it is gone.
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

    /// Messages that are not in flight, in order, each with the queue it was a dead letter of.
    pub(super) fn movable(&mut self, now_ms: i64) -> Vec<(u64, Option<String>)> {
        self.tick(now_ms);
        let visible = self.messages.values().filter(|message| !message.in_flight);
        visible.map(|message| (message.sequence, message.source_arn.clone())).collect()
    }

    /// Takes a message out for good.
    pub(super) fn give_up(&mut self, sequence: u64, now_ms: i64) -> Option<Message> {
        let message = self.take(sequence)?;
        self.refresh(&Arc::from(message.group.as_str()), now_ms);
        Some(message)
    }

    /// When the next message becomes visible by itself.
    pub(crate) fn next_due_ms(&self) -> Option<i64> {
        self.timers.first().map(|(at_ms, _)| *at_ms)
    }

    /// Messages that could be received, in flight, and delayed, as AWS counts them.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let waiting = self.timers.len().saturating_sub(self.in_flight);
        (self.messages.len().saturating_sub(self.timers.len()), self.in_flight, waiting)
    }

    /// Lets time take effect: what is due becomes visible, old deduplication ids are forgotten.
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
            self.refresh(&name, now_ms);
        }
        while self.forget.front().is_some_and(|(until_ms, _)| *until_ms <= now_ms) {
            if let Some((_, key)) = self.forget.pop_front() {
                self.remembered.remove(&key);
                self.changed.insert(Changed::Deduplication(key));
            }
        }
    }

    /// Puts a message where it belongs, also one that was read back from disk.
    pub(super) fn insert(&mut self, message: Message) {
        let sequence = message.sequence;
        self.next_sequence = self.next_sequence.max(sequence.saturating_add(1));
        let group = self.groups.entry(Arc::from(message.group.as_str())).or_default();
        group.sequences.insert(sequence);
        if message.in_flight {
            group.in_flight = group.in_flight.saturating_add(1);
            self.in_flight = self.in_flight.saturating_add(1);
        }
        // Its timer makes it visible at the next tick, even when that is at once.
        self.timers.insert((message.visible_ms, sequence));
        self.changed.insert(Changed::Message(sequence));
        self.messages.insert(sequence, message);
    }

    pub(super) fn remember(&mut self, key: String, remembered: Remembered) {
        self.next_sequence = self.next_sequence.max(remembered.sequence.saturating_add(1));
        self.forget.push_back((remembered.until_ms, key.clone()));
        self.changed.insert(Changed::Deduplication(key.clone()));
        self.remembered.insert(key, remembered);
    }

    fn take_sequence(&mut self) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.saturating_add(1);
        sequence
    }

    fn deduplication_key(&self, sending: &Sending) -> Option<String> {
        if !self.spec.fifo {
            return None;
        }
        let scope = if self.spec.deduplication_per_group { sending.group.as_deref() } else { None };
        Some(format!("{}\u{0}{}", scope.unwrap_or_default(), sending.deduplication))
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

    /// Brings a group's entry in `ready` up to date: it has one while its first message can be
    /// received and none of it is in flight.
    fn refresh(&mut self, name: &Arc<str>, now_ms: i64) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if let Some(sequence) = group.ready.take() {
            self.ready.remove(&sequence);
        }
        let Some(first) = group.sequences.first().copied() else {
            self.groups.remove(name);
            return;
        };
        let is_due = self.messages.get(&first).is_some_and(|message| message.visible_ms <= now_ms);
        if group.in_flight == 0 && is_due {
            group.ready = Some(first);
            self.ready.insert(first, Arc::clone(name));
        }
    }

    /// Drops what is older than the queue keeps messages.
    fn expire(&mut self, now_ms: i64) {
        while let Some(first) = self.messages.first_entry() {
            let kept_until = first.get().sent_ms.saturating_add(self.spec.retention_ms);
            if first.get().in_flight || kept_until > now_ms {
                break;
            }
            let (sequence, name) = (*first.key(), Arc::from(first.get().group.as_str()));
            self.take(sequence);
            self.refresh(&name, now_ms);
        }
    }

    /// The message that a receipt is still good for; `None` when it is gone.
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

/// The same queue and place give the same id, so that a test replays byte for byte.
fn message_id(queue: &str, sequence: u64) -> String {
    crate::bus::uuid_of(&format!("{queue}/{sequence}"))
}
