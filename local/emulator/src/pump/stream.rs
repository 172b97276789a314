//! A table's stream that triggers a function.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use aws_lambda_events::event::dynamodb::{
    Event, EventRecord, StreamRecord, StreamViewType, UserIdentity,
};
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use dynoxide::storage::StreamRecord as Stored;
use serde_json::{Value, json};
use tokio::sync::{Notify, watch};

use super::{Activity, Handler, Pump, invoke};
use crate::clock::WorldClock;
use crate::connector::Services;
use crate::names;
use crate::signals::Topic;
use crate::stack::StreamTrigger;

/// Records read at once, before the filter.
const READ_MAX: usize = 1_000;
/// The pause before a failed batch is tried again: doubled at each failure, up to the second one.
const BACKOFF_MS: i64 = 100;
const BACKOFF_MS_MAX: i64 = 30_000;
/// Makes a stored number a public one of 21 digits, the shape that `DynamoDB`'s have.
const SEQUENCE_OFFSET: u128 = 100_000_000_000_000_000_000;

/// How far each consumer of each table is. What all have passed is forgotten.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    positions: Arc<Mutex<HashMap<String, HashMap<String, i64>>>>,
}

impl Progress {
    /// Notes a position and gives the lowest of the table's consumers.
    fn note(&self, table: &str, consumer: &str, position: i64) -> i64 {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let consumers = positions.entry(table.to_owned()).or_default();
        consumers.insert(consumer.to_owned(), position);
        consumers.values().copied().min().unwrap_or(position)
    }
}

pub(crate) struct StreamPump {
    pub(crate) trigger: StreamTrigger,
    pub(crate) view: StreamViewType,
    pub(crate) services: Arc<Services>,
    pub(crate) handler: Handler<Event, DynamoDbEventResponse>,
    pub(crate) activity: Activity,
    pub(crate) clock: WorldClock,
    pub(crate) progress: Progress,
    pub(crate) state: Mutex<State>,
    pub(crate) ended: Notify,
}

/// Where the pump is in the stream.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Everything up to here was read.
    read_to: i64,
    /// Everything up to here was handled.
    done_to: i64,
    /// Read, passed the filter, not yet handled.
    waiting: VecDeque<(i64, EventRecord)>,
    running: bool,
    failures: u32,
    not_before_ms: i64,
    /// When this process took up the stream.
    resumed_ms: i64,
}

impl StreamPump {
    /// Takes up where the last process of this data left off.
    pub(crate) fn resume(&self) -> Result<(), dynoxide::DynoxideError> {
        let rows = self.services.database.load_rows(&self.row_key())?;
        let position = rows.first().and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let mut state = self.lock();
        (state.read_to, state.done_to) = (position, position);
        state.resumed_ms = self.clock.now_ms();
        self.progress.note(&self.trigger.table, &self.trigger.consumer, position);
        Ok(())
    }

    fn row_key(&self) -> String {
        format!("stream/{}/{}", self.trigger.table, self.trigger.consumer)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads on until there is a full batch or the stream has no more.
    fn fill(&self, state: &mut State) {
        while state.waiting.len() < self.trigger.batch_size {
            let read =
                self.services.database.stream_after(&self.trigger.table, state.read_to, READ_MAX);
            let records = match read {
                Ok(records) if !records.is_empty() => records,
                Ok(_) => break,
                Err(error) => {
                    tracing::error!(table.name = %self.trigger.table, %error, "cannot read stream");
                    break;
                }
            };
            let is_all = records.len() < READ_MAX;
            for stored in records {
                let position = stored.sequence_number.parse().unwrap_or(state.read_to);
                state.read_to = state.read_to.max(position);
                if self.passes(&stored) {
                    state.waiting.push_back((position, self.record(&stored, position)));
                }
            }
            if is_all {
                break;
            }
        }
        if state.waiting.is_empty() && !state.running {
            self.checkpoint(state, state.read_to);
        }
    }

    fn passes(&self, stored: &Stored) -> bool {
        if self.trigger.filters.is_empty() {
            return true;
        }
        let image = |text: &Option<String>| {
            text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok())
        };
        let mut change = json!({ "Keys": image(&Some(stored.keys_json.clone())) });
        for (name, text) in [("NewImage", &stored.new_image), ("OldImage", &stored.old_image)] {
            if let Some(image) = image(text) {
                change[name] = image;
            }
        }
        let event = json!({ "eventName": stored.event_name, "dynamodb": change });
        self.trigger.filters.iter().any(|filter| filter.matches(&event))
    }

    fn record(&self, stored: &Stored, position: i64) -> EventRecord {
        let item = |text: &str| serde_json::from_str::<serde_dynamo::Item>(text);
        let item = |text: Option<&str>| text.and_then(|text| item(text).ok()).unwrap_or_default();
        let mut change = StreamRecord::default();
        change.keys = item(Some(&stored.keys_json));
        change.new_image = item(stored.new_image.as_deref());
        change.old_image = item(stored.old_image.as_deref());
        change.sequence_number = Some(public_number(position));
        change.stream_view_type = Some(self.view.clone());
        let seconds = u64::try_from(stored.created_at).unwrap_or(0);
        change.approximate_creation_date_time = (UNIX_EPOCH + Duration::from_secs(seconds)).into();
        let size = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let size = stored.keys_json.len() + size(&stored.new_image) + size(&stored.old_image);
        change.size_bytes = i64::try_from(size).unwrap_or(i64::MAX);
        let mut record = EventRecord::default();
        record.event_id = format!("{position:032x}");
        record.event_name.clone_from(&stored.event_name);
        record.event_source = Some("aws:dynamodb".to_owned());
        record.event_version = Some("1.1".to_owned());
        record.event_source_arn = Some(names::stream_arn(&self.trigger.table));
        record.aws_region = names::REGION.to_owned();
        record.table_name = Some(self.trigger.table.clone());
        record.user_identity = stored.user_identity.as_ref().map(|_| {
            // The only identity that streams name is the one that deletes what has expired.
            let mut identity = UserIdentity::default();
            "Service".clone_into(&mut identity.type_);
            "dynamodb.amazonaws.com".clone_into(&mut identity.principal_id);
            identity
        });
        record.change = change;
        record
    }

    async fn run(&self, batch: Vec<EventRecord>) {
        let numbers: Vec<String> =
            batch.iter().filter_map(|record| record.change.sequence_number.clone()).collect();
        let mut event = Event::default();
        event.records = batch;
        let StreamTrigger { table, timeout, .. } = &self.trigger;
        let result = invoke(&self.services, table, &self.handler, event, *timeout, || {}).await;
        let failed_at = match result {
            Ok(response) => lowest_failure(&response, &numbers),
            Err(error) => {
                tracing::warn!(table.name = %self.trigger.table, %error, "a stream batch failed");
                Some(0)
            }
        };
        let mut state = self.lock();
        state.running = false;
        let handled = failed_at.unwrap_or(numbers.len());
        if handled > 0 {
            self.advance(&mut state, handled);
            state.failures = 0;
        }
        if failed_at.is_some() {
            self.note_failure(&mut state);
        }
    }

    /// A batch is tried again from its lowest failure on; a record that failed too often is told to
    /// the failure queue and passed over.
    fn note_failure(&self, state: &mut State) {
        let given_up = self.trigger.retries_max.is_some_and(|max| state.failures >= max);
        if given_up {
            self.tell(state, 1, "RetryAttemptsExhausted");
            self.advance(state, 1);
            state.failures = 0;
            return;
        }
        let doubled = BACKOFF_MS.checked_shl(state.failures.min(20)).unwrap_or(BACKOFF_MS_MAX);
        state.failures = state.failures.saturating_add(1);
        state.not_before_ms = self.clock.now_ms().saturating_add(doubled.min(BACKOFF_MS_MAX));
    }

    /// Passes over the records that are older than the mapping takes, whether they were tried or
    /// not, and tells the failure queue.
    fn pass_over_old(&self, state: &mut State) {
        let Some(max) = self.trigger.record_age_max else { return };
        let max_ms = i64::try_from(max.as_millis()).unwrap_or(i64::MAX);
        let oldest_ms = self.clock.now_ms().saturating_sub(max_ms);
        let is_old = |(_, record): &&(i64, EventRecord)| {
            let made_ms = record.change.approximate_creation_date_time.timestamp_millis();
            // Lambda never stands still; a world that was switched off must not lose what waited.
            made_ms.max(state.resumed_ms) < oldest_ms
        };
        let old = state.waiting.iter().take_while(is_old).count();
        if old > 0 {
            self.tell(state, old, "RecordAgeExceeded");
            self.advance(state, old);
            state.failures = 0;
        }
    }

    /// Tells the failure queue of the first records that wait: positions, not contents, as Lambda
    /// does.
    fn tell(&self, state: &State, records: usize, condition: &str) {
        let given_up = || state.waiting.iter().take(records).map(|(position, _)| *position);
        let (Some(queue), Some(first), Some(last)) =
            (&self.trigger.on_failure, given_up().next(), given_up().next_back())
        else {
            return;
        };
        let report = json!({
            "requestContext": { "condition": condition },
            "DDBStreamBatchInfo": {
                "shardId": dynoxide::streams::shard_id(&self.trigger.table),
                "startSequenceNumber": public_number(first),
                "endSequenceNumber": public_number(last),
                "batchSize": records,
                "streamArn": names::stream_arn(&self.trigger.table),
            },
        });
        if let Err(error) = self.services.sqs.send_plain(queue, report.to_string()) {
            tracing::error!(queue.name = %queue, %error, "cannot tell what was given up");
        }
    }

    fn advance(&self, state: &mut State, handled: usize) {
        let last = state.waiting.drain(..handled.min(state.waiting.len())).next_back();
        let position = last.map_or(state.done_to, |(position, _)| position);
        // With nothing waiting, what the filter held back is done as well.
        let position = if state.waiting.is_empty() { state.read_to } else { position };
        self.checkpoint(state, position);
    }

    fn checkpoint(&self, state: &mut State, position: i64) {
        if position <= state.done_to {
            return;
        }
        state.done_to = position;
        let row = (self.row_key(), Some(position.to_string()));
        let lowest = self.progress.note(&self.trigger.table, &self.trigger.consumer, position);
        let saved = self.services.database.save_rows(&[row]);
        let saved =
            saved.and_then(|()| self.services.database.trim_stream(&self.trigger.table, lowest));
        if let Err(error) = saved {
            tracing::error!(table.name = %self.trigger.table, %error, "cannot keep the position");
        }
    }
}

impl Pump for StreamPump {
    fn begin(self: Arc<Self>) -> bool {
        let taking = self.activity.taking();
        let (mut state, now_ms) = self.clock.lock(&self.state);
        if state.running || now_ms < state.not_before_ms {
            return false;
        }
        self.fill(&mut state);
        self.pass_over_old(&mut state);
        if state.waiting.is_empty() {
            return false;
        }
        let batch = state.waiting.iter().take(self.trigger.batch_size);
        let batch: Vec<EventRecord> = batch.map(|(_, record)| record.clone()).collect();
        state.running = true;
        let active = self.activity.enter();
        drop(state);
        drop(taking);
        tokio::spawn(async move {
            self.run(batch).await;
            self.ended.notify_one();
            drop(active);
        });
        true
    }

    fn next_due_ms(&self) -> Option<i64> {
        let state = self.lock();
        (state.failures > 0 && !state.running).then_some(state.not_before_ms)
    }

    fn failure_queue(&self) -> Option<&str> {
        self.trigger.on_failure.as_deref()
    }

    fn listen(&self) -> watch::Receiver<u64> {
        self.services.signals.listen(Topic::Table(self.trigger.table.clone()))
    }

    fn ended(&self) -> &Notify {
        &self.ended
    }
}

/// The place of the lowest failure in the batch. A report that names what was not in the batch
/// fails all of it, as Lambda has it.
fn lowest_failure(response: &DynamoDbEventResponse, numbers: &[String]) -> Option<usize> {
    let place = |failure: &aws_lambda_events::event::streams::DynamoDbBatchItemFailure| {
        let named = failure.item_identifier.as_ref()?;
        numbers.iter().position(|number| number == named)
    };
    response.batch_item_failures.iter().map(|failure| place(failure).unwrap_or(0)).min()
}

fn public_number(position: i64) -> String {
    let position = u128::try_from(position).unwrap_or(0);
    SEQUENCE_OFFSET.saturating_add(position).to_string()
}
