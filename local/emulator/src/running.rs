//! Attaches handlers to sources, and runs them in the background or step by step.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use aws_lambda_events::event::dynamodb::{Event, StreamViewType};
use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use futures::FutureExt;
use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::clock::Clocked;
use crate::pump::{
    BoxError, Handler, Pump, QueuePump, RulePump, SchedulePump, StreamPump, StreamState, drive,
};
use crate::stack::{QueueTrigger, RuleTrigger, StreamTrigger};
use crate::world::{World, WorldError};

/// The longest time that `settle_with_time` lets pass: the longest retention of an SQS message.
const SETTLE_MS_MAX: i64 = 14 * 24 * 3_600 * 1_000;

/// The queues that still have messages after 14 days of the world's time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the queues {0:?} still have messages")]
pub struct Unsettled(pub Vec<String>);

/// The pumps that run in the background. Dropping it stops them without waiting.
#[derive(Debug)]
pub struct Running {
    world: World,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts no more work, and waits until the running handlers have ended.
    pub async fn shutdown(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            // A pump's loop cannot fail; the runtime has logged a panic.
            let _ = task.await;
        }
        self.world.inner.activity.idle().await;
    }
}

impl World {
    /// Calls `handler` with batches of a queue, as a Lambda event source mapping with
    /// `ReportBatchItemFailures` does.
    ///
    /// # Errors
    /// When the queue does not exist.
    pub fn on_queue<F, R>(&self, trigger: QueueTrigger, handler: F) -> Result<(), WorldError>
    where
        F: Fn(SqsEvent) -> R + Send + Sync + 'static,
        R: Future<Output = Result<SqsBatchResponse, BoxError>> + Send + 'static,
    {
        if self.inner.stack.queue(&trigger.queue).is_none() {
            return Err(WorldError::Unknown(format!("queue {}", trigger.queue)));
        }
        let services = Arc::clone(&self.inner.services);
        let activity = self.inner.activity.clone();
        self.add(Arc::new(QueuePump::new(trigger, services, boxed(handler), activity)));
        Ok(())
    }

    /// Calls `handler` with batches of a table's stream, in order, from the consumer's last
    /// position.
    ///
    /// # Errors
    /// When the table does not exist or has no stream.
    pub fn on_stream<F, R>(&self, trigger: StreamTrigger, handler: F) -> Result<(), WorldError>
    where
        F: Fn(Event) -> R + Send + Sync + 'static,
        R: Future<Output = Result<DynamoDbEventResponse, BoxError>> + Send + 'static,
    {
        let table = self.inner.stack.table(&trigger.table);
        let view = table.and_then(|table| table.stream_view.as_deref());
        let view = view.and_then(|view| serde_json::from_value::<StreamViewType>(json!(view)).ok());
        let unknown = || WorldError::Unknown(format!("stream of table {}", trigger.table));
        let view = view.ok_or_else(unknown)?;
        let pump = StreamPump {
            trigger,
            view,
            services: Arc::clone(&self.inner.services),
            handler: boxed(handler),
            activity: self.inner.activity.clone(),
            progress: self.inner.progress.clone(),
            opened_ms: self.inner.opened_ms,
            state: Clocked::new(StreamState::default(), &self.inner.clock),
            ended: Notify::new(),
        };
        pump.resume()?;
        let pump = Arc::new(pump);
        let mut streams = self.inner.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.push(Arc::clone(&pump));
        self.add(pump);
        Ok(())
    }

    /// Switches the stream mappings of a consumer (a function's logical id) on or off, like
    /// `Enabled` of a Lambda event source mapping. A batch that runs is finished. When the mapping
    /// is on again it continues from its position; records older than 24 hours are gone by then.
    ///
    /// # Errors
    /// When the consumer has no stream mapping.
    pub fn set_stream_enabled(&self, consumer: &str, enabled: bool) -> Result<(), WorldError> {
        let streams = self.inner.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = streams.iter().filter(|pump| pump.trigger.consumer == consumer).peekable();
        if found.peek().is_none() {
            return Err(WorldError::Unknown(format!("stream mapping of {consumer}")));
        }
        found.for_each(|pump| pump.set_enabled(enabled));
        Ok(())
    }

    /// Calls `handler` with the events that a rule matches, one by one.
    pub fn on_rule<F, R>(&self, trigger: RuleTrigger, handler: F)
    where
        F: Fn(EventBridgeEvent) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let subscription =
            self.inner.services.bus.subscribe(&trigger.bus, trigger.pattern, &self.inner.clock);
        self.add(Arc::new(RulePump::new(
            subscription,
            boxed(handler),
            trigger.timeout,
            self.inner.activity.clone(),
            Arc::clone(&self.inner.services),
        )));
    }

    /// Calls `handler` at the interval `every`, first after one interval.
    pub fn on_schedule<F, R>(&self, name: &str, every: Duration, handler: F)
    where
        F: Fn(EventBridgeEvent) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let (activity, clock) = (self.inner.activity.clone(), &self.inner.clock);
        let services = Arc::clone(&self.inner.services);
        let handler = boxed(handler);
        let pump = Arc::new(SchedulePump::new(name, every, handler, activity, services, clock));
        let mut schedules = self.inner.schedules.lock().unwrap_or_else(PoisonError::into_inner);
        schedules.push(Arc::clone(&pump));
        self.add(pump);
    }

    /// Runs a schedule's handler now and gives its result.
    ///
    /// # Errors
    /// When the schedule does not exist, or its handler fails.
    pub async fn run_schedule(&self, name: &str) -> Result<(), BoxError> {
        let schedules = self.inner.schedules.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pump = schedules.iter().find(|pump| pump.name == name);
        let pump = pump.ok_or_else(|| WorldError::Unknown(format!("schedule {name}")))?;
        pump.run().await
    }

    /// Runs the pumps attached so far in the background.
    #[must_use]
    pub fn start(&self) -> Running {
        let (stop, stopped) = watch::channel(false);
        let run = |pump: Arc<dyn Pump>| {
            tokio::spawn(drive(pump, self.inner.clock.clone(), stopped.clone()))
        };
        let tasks = self.pumps().into_iter().map(run).collect();
        Running { world: self.clone(), stop, tasks }
    }

    /// Runs all work that is possible now. When it returns, no handler is running, streams are read
    /// to their end, and no queue with a mapping has a visible message. Pumps may also run in the
    /// background.
    pub async fn settle(&self) {
        let mut running = self.inner.activity.watch();
        loop {
            running.borrow_and_update();
            let mut began = false;
            for pump in self.pumps() {
                while Arc::clone(&pump).begin() {
                    began = true;
                }
            }
            if self.inner.activity.count() > 0 {
                // The sender lives in the world, so waiting cannot fail.
                let _ = running.changed().await;
            } else if !began {
                return;
            }
        }
    }

    /// As [`World::settle`], and lets the world's time pass (on a paused clock: at once) until only
    /// dead-letter queues have messages and no mapping waits for a retry.
    ///
    /// # Errors
    /// When that takes more than 14 days of the world's time.
    pub async fn settle_with_time(&self) -> Result<(), Unsettled> {
        let clock = &self.inner.clock;
        let give_up_ms = clock.now_ms().saturating_add(SETTLE_MS_MAX);
        loop {
            self.settle().await;
            let awaited = self.pumps().into_iter().filter(|pump| pump.is_awaited());
            let due_ms = awaited.filter_map(|pump| pump.next_due_ms()).min();
            let mut busy = self.inner.services.sqs.busy();
            // Failure reports, like dead letters, stay until an operator handles them.
            let pumps = self.pumps();
            busy.retain(|name| pumps.iter().all(|pump| pump.failure_queue() != Some(name)));
            let queue_due = |name: &String| self.inner.services.sqs.next_due_ms(name);
            let due_ms = busy.iter().filter_map(queue_due).chain(due_ms).min();
            match due_ms {
                Some(due_ms) if due_ms <= give_up_ms => {
                    tokio::time::sleep(clock.until(due_ms).max(Duration::from_millis(1))).await;
                }
                None if busy.is_empty() => return Ok(()),
                _ => return Err(Unsettled(busy)),
            }
        }
    }

    fn add(&self, pump: Arc<dyn Pump>) {
        self.inner.pumps.lock().unwrap_or_else(PoisonError::into_inner).push(pump);
    }

    fn pumps(&self) -> Vec<Arc<dyn Pump>> {
        self.inner.pumps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn boxed<E, R, F, O>(handler: F) -> Handler<E, O>
where
    F: Fn(E) -> R + Send + Sync + 'static,
    R: Future<Output = Result<O, BoxError>> + Send + 'static,
{
    Arc::new(move |event| handler(event).boxed())
}
