use super::*;
use largesse_app::ports::{PortError, PortErrorKind, PortResult};
use serde_json::{Value, json};
use std::sync::Mutex;

const SPRAY: &str = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// A queue that takes everything but one member's messages.
#[derive(Default)]
struct Queue {
    sent: Mutex<Vec<String>>,
    refuses: Option<&'static str>,
    is_down: bool,
}

impl GrantQueue for Queue {
    async fn send(&self, grants: &[GrantRef]) -> PortResult<Vec<usize>> {
        if self.is_down {
            let kind = PortErrorKind::Unknown;
            return Err(PortError { operation: "send", kind, cause: None });
        }
        let mut not_taken = Vec::new();
        for (position, grant) in grants.iter().enumerate() {
            if self.refuses == Some(grant.member.as_str()) {
                not_taken.push(position);
            } else {
                self.sent.lock().unwrap().push(grant.member.to_string());
            }
        }
        Ok(not_taken)
    }

    async fn retry_in(&self, _receipt: &str, _delay_s: u32) -> PortResult<()> {
        panic!("the outbox receives nothing")
    }
}

fn record(number: usize, name: &str, image: Value) -> Value {
    json!({
        "eventID": number.to_string(), "eventName": name, "awsRegion": "local",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_769_850_000, "Keys": {}, "NewImage": image,
            "SequenceNumber": number.to_string(), "SizeBytes": 100,
        },
    })
}

fn grant(number: usize, member: &str) -> Value {
    let image = json!({
        "pk": { "S": SPRAY }, "sk": { "S": format!("MEMBER#{member}") },
        "grant_id": { "S": "01ARZ3NDEKTSV4RRFFQ69G5FAV" }, "status": { "S": "PENDING" },
    });
    record(number, "INSERT", image)
}

fn event(records: &[Value]) -> Event {
    serde_json::from_value(json!({ "Records": records })).unwrap()
}

async fn failures(queue: &Queue, records: &[Value]) -> Vec<String> {
    let response = handle(queue, event(records)).await;
    response.batch_item_failures.into_iter().filter_map(|f| f.item_identifier).collect()
}

#[tokio::test]
async fn new_grants_are_sent_in_their_order() {
    let queue = Queue::default();
    let records: Vec<_> = (0..25).map(|n| grant(n, &format!("u{n}"))).collect();
    assert!(failures(&queue, &records).await.is_empty());
    let expected: Vec<_> = (0..25).map(|n| format!("u{n}")).collect();
    assert_eq!(*queue.sent.lock().unwrap(), expected);
}

#[tokio::test]
async fn the_first_record_not_taken_is_reported() {
    let queue = Queue { refuses: Some("u2"), ..Queue::default() };
    let records: Vec<_> = (0..5).map(|n| grant(n, &format!("u{n}"))).collect();
    assert_eq!(failures(&queue, &records).await, ["2"]);
    let down = Queue { is_down: true, ..Queue::default() };
    assert_eq!(failures(&down, &records).await, ["0"]);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_stops_no_other() {
    let queue = Queue::default();
    let poison = json!({ "pk": { "S": "SPRAY#x" }, "sk": { "S": "MEMBER#a" } });
    let records = [grant(0, "a"), record(1, "INSERT", poison), grant(2, "b")];
    assert_eq!(failures(&queue, &records).await, ["1"]);
    assert_eq!(*queue.sent.lock().unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn what_is_no_new_grant_is_passed_over() {
    let queue = Queue::default();
    let mut paid = grant(1, "b");
    paid["dynamodb"]["NewImage"]["status"]["S"] = "SUCCESS".into();
    let mut changed = grant(0, "a");
    changed["eventName"] = "MODIFY".into();
    let removed = record(2, "REMOVE", json!({}));
    assert!(failures(&queue, &[changed, paid, removed]).await.is_empty());
    assert!(queue.sent.lock().unwrap().is_empty());
}
