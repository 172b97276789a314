//! The event source mapping from a table's stream to a function.
//!
//! A stream has one shard here. Its records are handed over in order, batch by batch; a failed
//! batch is tried again from its lowest failure on. A record that is 24 hours old is gone, whether
//! or not it was handled, as on AWS.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use aws_lambda_events::event::dynamodb::{Event, EventRecord, StreamViewType};
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use serde_json::json;
use tokio::sync::{Notify, watch};

use super::record::{created_ms, passes, public_number, record};
use super::{Activity, Handler, Pump, invoke};
use crate::clock::Clocked;
use crate::connector::Services;
use crate::names;
use crate::signals::Topic;
use crate::stack::StreamTrigger;

/// Records read at once, before the filter.
const READ_MAX: usize = 1_000;
/// The pause before a failed batch is tried again: doubled at each failure, up to the second one.
const BACKOFF_MS: i64 = 100;
const BACKOFF_MS_MAX: i64 = 30_000;
/// How long `DynamoDB` keeps a stream record, as its documentation states.
const RETENTION_MS: i64 = 24 * 3_600 * 1_000;

/// The position of each consumer of each table. Records behind the lowest one are deleted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    positions: Arc<Mutex<HashMap<String, HashMap<String, i64>>>>,
}

impl Progress {
    /// Records a position and gives the lowest one of the table's consumers.
    fn record(&self, table: &str, consumer: &str, position: i64) -> i64 {
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
    pub(crate) progress: Progress,
    /// When this process opened its data. Records from before are as old as the process: an AWS
    /// stream runs without a break, a process that was stopped must not lose its records.
    pub(crate) opened_ms: i64,
    pub(crate) state: Clocked<StreamState>,
    pub(crate) ended: Notify,
}

/// The position in the stream.
#[derive(Debug, Default)]
pub(crate) struct StreamState {
    /// Everything up to here was read.
    read_to: i64,
    /// Everything up to here was handled.
    done_to: i64,
    /// Records that were read, passed the filters and are not handled yet.
    waiting: VecDeque<(i64, EventRecord)>,
    running: bool,
    /// The mapping is switched off.
    disabled: bool,
    failures: u32,
    not_before_ms: i64,
}

impl StreamPump {
    /// Continues from the position that the last process with this data reached.
    pub(crate) fn resume(&self) -> Result<(), dynoxide::DynoxideError> {
        let rows = self.services.database.load_rows(&self.row_key())?;
        let position = rows.first().and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
        let (mut state, _) = self.state.lock();
        (state.read_to, state.done_to) = (position, position);
        self.progress.record(&self.trigger.table, &self.trigger.consumer, position);
        Ok(())
    }

    /// Switches the mapping on or off. A batch that runs is finished; the position is kept.
    pub(crate) fn set_enabled(&self, enabled: bool) {
        let (mut state, _) = self.state.lock();
        state.disabled = !enabled;
        (state.failures, state.not_before_ms) = (0, 0);
        drop(state);
        self.ended.notify_one();
    }

    fn row_key(&self) -> String {
        format!("stream/{}/{}", self.trigger.table, self.trigger.consumer)
    }

    /// Reads records until there is a full batch or the stream has no more.
    fn fill(&self, state: &mut StreamState, now_ms: i64) {
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
                let is_kept = !self.is_older(created_ms(&stored), now_ms, RETENTION_MS);
                if is_kept && passes(&self.trigger.filters, &stored) {
                    let record = record(&self.trigger.table, &self.view, &stored, position);
                    state.waiting.push_back((position, record));
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

    fn is_older(&self, created_ms: i64, now_ms: i64, age_ms: i64) -> bool {
        created_ms.max(self.opened_ms) < now_ms.saturating_sub(age_ms)
    }

    /// The number of records at the front of `waiting` that are older than `age_ms`.
    fn older(&self, state: &StreamState, now_ms: i64, age_ms: i64) -> usize {
        let is_old = |(_, record): &&(i64, EventRecord)| {
            let created = record.change.approximate_creation_date_time;
            self.is_older(created.timestamp_millis(), now_ms, age_ms)
        };
        state.waiting.iter().take_while(is_old).count()
    }

    /// Drops the records that the stream does not keep any more. AWS reports them to no queue.
    fn trim(&self, state: &mut StreamState, now_ms: i64) {
        let gone = self.older(state, now_ms, RETENTION_MS);
        if gone > 0 {
            let table = &self.trigger.table;
            tracing::warn!(table.name = %table, records = gone, "stream records were trimmed");
            self.advance(state, gone);
            state.failures = 0;
        }
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
        let (mut state, now_ms) = self.state.lock();
        state.running = false;
        let handled = failed_at.unwrap_or(numbers.len());
        if handled > 0 {
            self.advance(&mut state, handled);
            state.failures = 0;
        }
        if failed_at.is_some() {
            self.count_failure(&mut state, now_ms);
        }
    }

    /// Schedules the next try, or discards the record that failed too often.
    fn count_failure(&self, state: &mut StreamState, now_ms: i64) {
        if self.trigger.retries_max.is_some_and(|max| state.failures >= max) {
            self.discard(state, 1, "RetryAttemptsExhausted");
            return;
        }
        let doubled = BACKOFF_MS.checked_shl(state.failures.min(20)).unwrap_or(BACKOFF_MS_MAX);
        state.failures = state.failures.saturating_add(1);
        state.not_before_ms = now_ms.saturating_add(doubled.min(BACKOFF_MS_MAX));
    }

    /// Discards the records that are older than the mapping allows, tried or not.
    fn discard_old(&self, state: &mut StreamState, now_ms: i64) {
        let Some(max) = self.trigger.record_age_max else { return };
        let max_ms = i64::try_from(max.as_millis()).unwrap_or(i64::MAX);
        let old = self.older(state, now_ms, max_ms);
        if old > 0 {
            self.discard(state, old, "RecordAgeExceeded");
        }
    }

    /// Passes over the first records and reports them to the failure queue: their positions, not
    /// their contents, as Lambda does.
    fn discard(&self, state: &mut StreamState, records: usize, condition: &str) {
        let discarded = || state.waiting.iter().take(records).map(|(position, _)| *position);
        let ends = discarded().next().zip(discarded().next_back());
        if let (Some(queue), Some((first, last))) = (&self.trigger.on_failure, ends) {
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
                tracing::error!(queue.name = %queue, %error, "cannot report discarded records");
            }
        }
        self.advance(state, records);
        state.failures = 0;
    }

    fn advance(&self, state: &mut StreamState, handled: usize) {
        let last = state.waiting.drain(..handled.min(state.waiting.len())).next_back();
        let position = last.map_or(state.done_to, |(position, _)| position);
        // With nothing waiting, the records that no filter matched are done as well.
        let position = if state.waiting.is_empty() { state.read_to } else { position };
        self.checkpoint(state, position);
    }

    fn checkpoint(&self, state: &mut StreamState, position: i64) {
        if position <= state.done_to {
            return;
        }
        state.done_to = position;
        let row = (self.row_key(), Some(position.to_string()));
        let lowest = self.progress.record(&self.trigger.table, &self.trigger.consumer, position);
        let saved = self.services.database.save_rows(&[row]);
        let saved =
            saved.and_then(|()| self.services.database.trim_stream(&self.trigger.table, lowest));
        if let Err(error) = saved {
            tracing::error!(table.name = %self.trigger.table, %error, "cannot store the position");
        }
    }
}

impl Pump for StreamPump {
    fn begin(self: Arc<Self>) -> bool {
        let taking = self.activity.taking();
        let (mut state, now_ms) = self.state.lock();
        if state.running || state.disabled || now_ms < state.not_before_ms {
            return false;
        }
        self.trim(&mut state, now_ms);
        self.fill(&mut state, now_ms);
        self.discard_old(&mut state, now_ms);
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
        let (state, _) = self.state.lock();
        let retries = state.failures > 0 && !state.running && !state.disabled;
        retries.then_some(state.not_before_ms)
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

/// The index of the lowest failure in the batch. A report that names a record outside the batch
/// fails the whole batch, as on Lambda.
fn lowest_failure(response: &DynamoDbEventResponse, numbers: &[String]) -> Option<usize> {
    let place = |failure: &aws_lambda_events::event::streams::DynamoDbBatchItemFailure| {
        let named = failure.item_identifier.as_ref()?;
        numbers.iter().position(|number| number == named)
    };
    response.batch_item_failures.iter().map(|failure| place(failure).unwrap_or(0)).min()
}
