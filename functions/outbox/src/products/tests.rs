use super::*;
use largesse_app::ports::{Event, PortError, PortErrorKind, PortResult, ProductSoldOut};
use largesse_domain::money::Amount;
use largesse_domain::product::Title;
use largesse_domain::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Mutex;

const PRODUCT: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const AT_MS: i64 = 1_769_850_000_000;

/// Takes everything but what its switches refuse.
#[derive(Default)]
struct Ports {
    published: Mutex<Vec<Event>>,
    dead: Mutex<Vec<UnreadableRecord>>,
    refuses_events: bool,
    refuses_dead: bool,
}

fn answer(refuses: bool) -> PortResult<()> {
    let kind = PortErrorKind::Throttled;
    if refuses { Err(PortError { operation: "planted", kind, cause: None }) } else { Ok(()) }
}

impl Events for Ports {
    async fn publish(&self, event: &Event) -> PortResult<()> {
        answer(self.refuses_events)?;
        self.published.lock().unwrap().push(event.clone());
        Ok(())
    }
}

impl DeadRecords for Ports {
    async fn dead_letter_record(&self, record: &UnreadableRecord) -> PortResult<()> {
        answer(self.refuses_dead)?;
        self.dead.lock().unwrap().push(record.clone());
        Ok(())
    }
}

/// A product's item, sold out or not.
fn product(sold_out: bool) -> Value {
    let number = |n: i64| json!({ "N": n.to_string() });
    let text = |text: &str| json!({ "S": text });
    let mut item = json!({
        "pk": text(&format!("PRODUCT#{PRODUCT}")), "sk": text("META"), "creator": text("c"),
        "shards": number(4), "title": text("채권"), "target": number(1_000),
        "opens_ms": number(1), "closes_ms": number(2), "min_investment": number(1),
        "issuer": text("i"),
    });
    if sold_out {
        item["sold_out_ms"] = number(AT_MS);
    }
    item
}

fn record(old: &Value, new: &Value) -> EventRecord {
    let record = json!({
        "eventID": "1", "eventName": "MODIFY", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "Keys": { "pk": new["pk"], "sk": new["sk"] }, "NewImage": new, "OldImage": old,
            "SequenceNumber": "100", "SizeBytes": 1, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    });
    serde_json::from_value(record).unwrap()
}

fn sold_out_event() -> Event {
    Event::ProductSoldOut(ProductSoldOut {
        product: PRODUCT.parse().unwrap(),
        title: Title::new("채권").unwrap(),
        target: Amount::new(1_000).unwrap(),
        at: Timestamp::from_ms(AT_MS),
    })
}

#[tokio::test]
async fn a_product_that_is_marked_as_sold_out_is_published_and_nothing_else_is() {
    let ports = Ports::default();
    let mut settled = product(true);
    settled["outcome"] = json!({ "S": "paid_out" });
    let records = [
        record(&product(false), &product(false)),
        record(&product(false), &product(true)),
        record(&product(true), &settled),
        record(&product(true), &product(true)),
    ];
    assert_eq!(handle(&ports, &records).await, None);
    assert_eq!(*ports.published.lock().unwrap(), [sold_out_event()]);
    assert!(ports.dead.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_stands_behind_a_product_that_is_not_published_waits() {
    let ports = Ports { refuses_events: true, ..Ports::default() };
    let records = [
        record(&product(true), &product(true)),
        record(&product(false), &product(true)),
        record(&product(false), &product(true)),
    ];
    assert_eq!(handle(&ports, &records).await, Some(1));
}

#[tokio::test]
async fn a_product_that_cannot_be_read_is_dead_lettered_and_stops_no_other() {
    let mut odd = product(true);
    odd["target"] = json!({ "S": "much" });
    let records = [record(&product(false), &odd), record(&product(false), &product(true))];
    let ports = Ports::default();
    assert_eq!(handle(&ports, &records).await, None);
    assert_eq!(*ports.published.lock().unwrap(), [sold_out_event()]);
    let dead = ports.dead.into_inner().unwrap();
    assert_eq!(dead.len(), 1);
    assert!(dead[0].record.contains("much"), "{:?}", dead[0]);
    let ports = Ports { refuses_dead: true, ..Ports::default() };
    assert_eq!(handle(&ports, &records).await, Some(0), "it is not lost");
}
