//! A schedule with a function as its target.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use serde_json::json;
use tokio::sync::{Notify, watch};

use super::{Activity, Handler, Pump, Slots, invoke};
use crate::bus::iso;
use crate::clock::{Clocked, WorldClock};
use crate::connector::Services;
use crate::names;

/// The longest run of a function, as Lambda limits it.
const TIMEOUT: Duration = Duration::from_secs(900);

pub(crate) struct SchedulePump {
    pub(crate) name: String,
    every_ms: i64,
    next_ms: Clocked<i64>,
    handler: Handler<EventBridgeEvent, ()>,
    activity: Activity,
    services: Arc<Services>,
    slots: Arc<Slots>,
    ended: Notify,
    /// A schedule has no source, so this never changes.
    never: watch::Sender<u64>,
}

impl SchedulePump {
    pub(crate) fn new(
        name: &str,
        every: Duration,
        handler: Handler<EventBridgeEvent, ()>,
        activity: Activity,
        services: Arc<Services>,
        clock: &WorldClock,
    ) -> Self {
        let every_ms = i64::try_from(every.as_millis()).unwrap_or(i64::MAX).max(1);
        let next_ms = Clocked::new(clock.now_ms().saturating_add(every_ms), clock);
        Self {
            name: name.to_owned(),
            every_ms,
            next_ms,
            handler,
            activity,
            services,
            // One run at a time: a run longer than its interval is a defect to find, not a load.
            slots: Arc::new(Slots::new(1)),
            ended: Notify::new(),
            never: watch::channel(0).0,
        }
    }

    /// Runs the schedule's function now.
    pub(crate) async fn run(&self) -> Result<(), super::BoxError> {
        let now_ms = self.next_ms.lock().1;
        let mut event = EventBridgeEvent::<serde_json::Value>::default();
        event.version = Some("0".to_owned());
        event.id = Some(crate::bus::uuid_of(&format!("{}/{now_ms}", self.name)));
        "Scheduled Event".clone_into(&mut event.detail_type);
        "aws.scheduler".clone_into(&mut event.source);
        event.account = Some(names::ACCOUNT.to_owned());
        event.region = Some(names::REGION.to_owned());
        event.time = serde_json::from_value(json!(iso(now_ms))).ok();
        event.detail = json!({});
        invoke(&self.services, &self.name, &self.handler, event, TIMEOUT, || {}).await
    }
}

impl Pump for SchedulePump {
    fn begin(self: Arc<Self>) -> bool {
        let taking = self.activity.taking();
        let (mut next_ms, now_ms) = self.next_ms.lock();
        if now_ms < *next_ms {
            return false;
        }
        let Some(slot) = self.slots.take() else { return false };
        // Missed runs (a suspended machine, a jump of virtual time) are not repeated.
        *next_ms = now_ms.saturating_add(self.every_ms);
        drop(next_ms);
        let active = self.activity.enter();
        drop(taking);
        tokio::spawn(async move {
            if let Err(error) = self.run().await {
                tracing::warn!(schedule.name = %self.name, %error, "a scheduled run failed");
            }
            drop(slot);
            self.ended.notify_one();
            drop(active);
        });
        true
    }

    fn next_due_ms(&self) -> Option<i64> {
        Some(*self.next_ms.lock().0)
    }

    fn listen(&self) -> watch::Receiver<u64> {
        self.never.subscribe()
    }

    fn ended(&self) -> &Notify {
        &self.ended
    }

    fn is_awaited(&self) -> bool {
        false
    }
}
