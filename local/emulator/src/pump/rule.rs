//! A rule of an event bus with a function as its target.

use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::eventbridge::EventBridgeEvent;
use tokio::sync::{Notify, watch};

use super::{Activity, Handler, Pump, Slots, invoke};
use crate::bus::{Delivery, Subscription};
use crate::connector::Services;
use crate::signals::Topic;

/// Lambda retries an asynchronous invocation twice: after one minute and after two.
const RETRIES_MAX: u32 = 2;
const RETRY_MS: i64 = 60_000;
/// The number of events that one target handles at once.
const CONCURRENCY: usize = 10;

pub(crate) struct RulePump {
    subscription: Arc<Subscription>,
    handler: Handler<EventBridgeEvent, ()>,
    timeout: Duration,
    activity: Activity,
    services: Arc<Services>,
    slots: Arc<Slots>,
    ended: Notify,
}

impl RulePump {
    pub(crate) fn new(
        subscription: Arc<Subscription>,
        handler: Handler<EventBridgeEvent, ()>,
        timeout: Duration,
        activity: Activity,
        services: Arc<Services>,
    ) -> Self {
        let slots = Arc::new(Slots::new(CONCURRENCY));
        let ended = Notify::new();
        Self { subscription, handler, timeout, activity, services, slots, ended }
    }

    fn next(&self) -> Option<Delivery> {
        let (mut waiting, now_ms) = self.subscription.waiting.lock();
        let place = waiting.iter().position(|delivery| delivery.due_ms <= now_ms)?;
        waiting.remove(place)
    }

    async fn run(&self, mut delivery: Delivery) {
        let event = serde_json::from_value(delivery.event.envelope());
        let result = match event {
            Ok(event) => {
                let bus = &delivery.event.bus;
                invoke(&self.services, bus, &self.handler, event, self.timeout, || {}).await
            }
            Err(error) => Err(error.into()),
        };
        let Err(error) = result else { return };
        if delivery.attempts >= RETRIES_MAX {
            tracing::error!(event.id = %delivery.event.id, %error, "an event was discarded");
            return;
        }
        delivery.attempts = delivery.attempts.saturating_add(1);
        let pause_ms = RETRY_MS.saturating_mul(i64::from(delivery.attempts));
        let (mut waiting, now_ms) = self.subscription.waiting.lock();
        delivery.due_ms = now_ms.saturating_add(pause_ms);
        waiting.push_back(delivery);
    }
}

impl Pump for RulePump {
    fn begin(self: Arc<Self>) -> bool {
        let Some(slot) = self.slots.take() else { return false };
        let taking = self.activity.taking();
        let Some(delivery) = self.next() else { return false };
        let active = self.activity.enter();
        drop(taking);
        tokio::spawn(async move {
            self.run(delivery).await;
            drop(slot);
            self.ended.notify_one();
            drop(active);
        });
        true
    }

    fn next_due_ms(&self) -> Option<i64> {
        let (waiting, _) = self.subscription.waiting.lock();
        waiting.iter().map(|delivery| delivery.due_ms).min()
    }

    fn listen(&self) -> watch::Receiver<u64> {
        self.services.signals.listen(Topic::Bus)
    }

    fn ended(&self) -> &Notify {
        &self.ended
    }
}
