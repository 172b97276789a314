//! The event bus: EventBridge. events/schemas/ describes what is published.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use largesse_app::ports::{Event, Events, PortError, PortErrorKind, PortResult, ProductSoldOut};
use largesse_domain::grant::FailedGrant;
use serde_json::{Value, json};

use crate::campaign::ended;
use crate::errors::port_error;
use crate::store::Store;

/// Who publishes.
const SOURCE: &str = "largesse";

fn detail(event: &Event) -> (&'static str, Value) {
    match event {
        Event::GrantPermanentlyFailed(failed) => ("grant.permanently_failed", grant_detail(failed)),
        Event::CampaignCompleted(ended) => (ended::COMPLETED, ended::detail_of(ended)),
        Event::CampaignFailed(ended) => (ended::FAILED, ended::detail_of(ended)),
        Event::CampaignStopped(ended) => (ended::STOPPED, ended::detail_of(ended)),
        Event::CampaignRolledBack(ended) => (ended::ROLLED_BACK, ended::detail_of(ended)),
        Event::ProductSoldOut(sold_out) => ("product.sold_out", sold_out_detail(sold_out)),
    }
}

fn grant_detail(FailedGrant { grant, attempts, failure, .. }: &FailedGrant) -> Value {
    json!({
        "grant_id": grant.id.to_string(),
        "source": grant.source.to_string(),
        "member": grant.member.as_str(),
        "amount": grant.amount.get(),
        "reason": grant.reason.as_str(),
        "funder": grant.funder.as_str(),
        "attempts": attempts,
        "failure": failure,
    })
}

fn sold_out_detail(sold_out: &ProductSoldOut) -> Value {
    json!({
        "product_id": sold_out.product.to_string(),
        "title": sold_out.title.as_str(),
        "target": sold_out.target.get(),
        "at_ms": sold_out.at.ms(),
    })
}

impl Events for Store {
    async fn publish(&self, event: &Event) -> PortResult<()> {
        let (detail_type, detail) = detail(event);
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.names.bus_events)
            .source(SOURCE)
            .detail_type(detail_type)
            .detail(detail.to_string())
            .build();
        let put = self
            .bus
            .put_events()
            .entries(entry)
            .send()
            .await
            .map_err(|error| port_error("publish event", error))?;
        if put.failed_entry_count() == 0 {
            return Ok(());
        }
        // The call succeeds although the bus did not take the event.
        let kind = PortErrorKind::Throttled;
        Err(PortError { operation: "publish event", kind, cause: None })
    }
}
