//! EventBridge: accepts events, keeps the latest for tests, and passes them to subscribers and
//! queues.
//!
//! A rule's queue has the event before `PutEvents` is answered. EventBridge takes some time and may
//! send an event twice; a queue delivers its messages at least once, so its readers are ready for
//! that anyhow.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::{Clocked, WorldClock};
use crate::names;
use crate::pattern::Pattern;
use crate::signals::{Signals, Topic};
use crate::sqs::Sqs;
use crate::stack::{RuleSpec, Stack};

/// Events kept for inspection; the oldest go first.
const KEPT_MAX: usize = 10_000;
/// Entries per request, as EventBridge limits them.
const ENTRIES_MAX: usize = 10;

/// An event as a rule's target sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct BusEvent {
    /// The bus.
    pub bus: String,
    /// The event id.
    pub id: String,
    /// The time of `PutEvents`, in epoch milliseconds.
    pub time_ms: i64,
    /// The source.
    pub source: String,
    /// The detail type.
    pub detail_type: String,
    /// The detail.
    pub detail: Value,
}

impl BusEvent {
    /// The envelope that patterns match and targets receive.
    #[must_use]
    pub fn envelope(&self) -> Value {
        json!({
            "version": "0",
            "id": self.id,
            "detail-type": self.detail_type,
            "source": self.source,
            "account": names::ACCOUNT,
            "time": iso(self.time_ms),
            "region": names::REGION,
            "resources": [],
            "detail": self.detail,
        })
    }
}

/// A request that EventBridge refuses as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub(crate) struct BusError {
    pub(crate) kind: &'static str,
    message: String,
    pub(crate) status: u16,
}

impl BusError {
    pub(crate) fn new(kind: &'static str, message: &str, status: u16) -> Self {
        Self { kind, message: message.to_owned(), status }
    }

    pub(crate) fn unknown(operation: &str) -> Self {
        let message = format!("The emulated EventBridge does not support {operation}.");
        Self::new("ValidationException", &message, 400)
    }

    pub(crate) fn body(&self) -> Vec<u8> {
        let kind = format!("com.amazonaws.events#{}", self.kind);
        json!({ "__type": kind, "message": self.message }).to_string().into_bytes()
    }
}

/// The waiting events of one subscriber.
#[derive(Debug)]
pub(crate) struct Subscription {
    bus: String,
    pattern: Option<Pattern>,
    pub(crate) waiting: Clocked<VecDeque<Delivery>>,
}

/// One event on its way to one target.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) event: Arc<BusEvent>,
    pub(crate) due_ms: i64,
    pub(crate) attempts: u32,
}

/// The event buses. Clones share them.
#[derive(Clone, Debug)]
pub struct Bus {
    shared: Arc<Shared>,
    signals: Signals,
}

#[derive(Debug)]
struct Shared {
    buses: Vec<String>,
    rules: Vec<RuleSpec>,
    sqs: Sqs,
    state: Clocked<State>,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<Arc<BusEvent>>,
    put: u64,
    subscriptions: Vec<Arc<Subscription>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    source: Option<String>,
    detail_type: Option<String>,
    detail: Option<String>,
    event_bus_name: Option<String>,
}

impl Bus {
    pub(crate) fn new(stack: &Stack, sqs: &Sqs, clock: &WorldClock, signals: &Signals) -> Self {
        let mut buses = stack.buses.clone();
        buses.push("default".to_owned());
        let (rules, sqs) = (stack.rules.clone(), sqs.clone());
        let state = Clocked::new(State::default(), clock);
        let shared = Arc::new(Shared { buses, rules, sqs, state });
        Self { shared, signals: signals.clone() }
    }

    /// The latest events, oldest first (at most 10,000).
    #[must_use]
    pub fn events(&self) -> Vec<BusEvent> {
        let (state, _) = self.shared.state.lock();
        state.kept.iter().map(|event| BusEvent::clone(event)).collect()
    }

    /// The number of events since the world was created.
    #[must_use]
    pub fn put_count(&self) -> u64 {
        self.shared.state.lock().0.put
    }

    pub(crate) fn subscribe(
        &self,
        bus: &str,
        pattern: Option<Pattern>,
        clock: &WorldClock,
    ) -> Arc<Subscription> {
        let waiting = Clocked::new(VecDeque::new(), clock);
        let subscription = Arc::new(Subscription { bus: bus.to_owned(), pattern, waiting });
        let (mut state, _) = self.shared.state.lock();
        state.subscriptions.push(Arc::clone(&subscription));
        subscription
    }

    pub(crate) fn call(&self, operation: &str, body: &[u8]) -> Result<Vec<u8>, BusError> {
        let invalid = |text: &str| BusError::new("ValidationException", text, 400);
        if operation != "PutEvents" {
            return Err(BusError::unknown(operation));
        }
        let request: PutEvents =
            serde_json::from_slice(body).map_err(|error| invalid(&error.to_string()))?;
        if request.entries.is_empty() || request.entries.len() > ENTRIES_MAX {
            return Err(invalid("A request holds 1 to 10 entries."));
        }
        let results: Vec<Value> =
            request.entries.into_iter().map(|entry| self.put(entry)).collect();
        let failed = results.iter().filter(|result| result.get("ErrorCode").is_some()).count();
        self.signals.raise(&Topic::Bus);
        let answer = json!({ "FailedEntryCount": failed, "Entries": results });
        Ok(answer.to_string().into_bytes())
    }

    /// Entries succeed and fail one by one.
    fn put(&self, entry: Entry) -> Value {
        let refuse = |code: &str, text: &str| json!({ "ErrorCode": code, "ErrorMessage": text });
        let (Some(source), Some(detail_type)) = (entry.source, entry.detail_type) else {
            return refuse("InvalidArgument", "Parameters Source and DetailType are required.");
        };
        let detail = entry.detail.as_deref().map(serde_json::from_str::<Value>);
        let Some(Ok(detail @ Value::Object(_))) = detail else {
            return refuse("MalformedDetail", "Detail is malformed.");
        };
        let named = entry.event_bus_name.as_deref().unwrap_or("default");
        let bus = names::last_part(named).to_owned();
        if !self.shared.buses.contains(&bus) {
            return refuse("ResourceNotFoundException", "The event bus does not exist.");
        }
        let (mut state, time_ms) = self.shared.state.lock();
        state.put = state.put.saturating_add(1);
        let id = uuid_of(&format!("{bus}/{time_ms}/{}", state.put));
        let event =
            Arc::new(BusEvent { bus, id: id.clone(), time_ms, source, detail_type, detail });
        for subscription in &state.subscriptions {
            let wants = |pattern: &Pattern| pattern.matches(&event.envelope());
            if subscription.bus == event.bus && subscription.pattern.as_ref().is_none_or(wants) {
                let event = Arc::clone(&event);
                let (mut waiting, due_ms) = subscription.waiting.lock();
                waiting.push_back(Delivery { event, due_ms, attempts: 0 });
            }
        }
        state.kept.push_back(Arc::clone(&event));
        if state.kept.len() > KEPT_MAX {
            state.kept.pop_front();
        }
        drop(state);
        self.send_to_queues(&event);
        json!({ "EventId": id })
    }

    /// Puts the event into the queues of the rules that match it.
    fn send_to_queues(&self, event: &BusEvent) {
        let envelope = event.envelope();
        let matches = |rule: &&RuleSpec| {
            let wants = |pattern: &Pattern| pattern.matches(&envelope);
            rule.bus == event.bus && rule.pattern.as_ref().is_none_or(wants)
        };
        for queue in self.shared.rules.iter().filter(matches).flat_map(|rule| &rule.queues) {
            if let Err(error) = self.shared.sqs.send_plain(queue, envelope.to_string()) {
                tracing::error!(queue.name = %queue, %error, "an event did not reach its queue");
            }
        }
    }
}

/// Makes an id in the form of a UUID from `name`, so that a test run can be repeated byte for byte.
pub(crate) fn uuid_of(name: &str) -> String {
    let hash = format!("{:x}", md5::compute(name));
    let part = |from: usize, to: usize| hash.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// `2026-01-02T03:04:05Z`, as EventBridge writes times.
pub(crate) fn iso(epoch_ms: i64) -> String {
    let time = aws_smithy_types::DateTime::from_secs(epoch_ms.div_euclid(1_000));
    time.fmt(aws_smithy_types::date_time::Format::DateTime).unwrap_or_default()
}
