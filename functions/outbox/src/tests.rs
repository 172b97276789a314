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
    buried: Mutex<Vec<UnreadableRecord>>,
    buries_max: Option<usize>,
}

impl DeadRecords for Queue {
    async fn bury(&self, record: &UnreadableRecord) -> PortResult<()> {
        let mut buried = self.buried.lock().unwrap();
        if self.buries_max.is_some_and(|max| buried.len() >= max) {
            let kind = PortErrorKind::Throttled;
            return Err(PortError { operation: "bury", kind, cause: None });
        }
        buried.push(record.clone());
        Ok(())
    }
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

/// A new grant that nobody can read.
fn poison(number: usize) -> Value {
    let keys = json!({ "pk": { "S": SPRAY }, "sk": { "S": "MEMBER#x" } });
    let mut poison = record(number, "INSERT", keys.clone());
    poison["dynamodb"]["Keys"] = keys;
    poison
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_buried_and_stops_no_other() {
    let queue = Queue::default();
    let records = [grant(0, "a"), poison(1), grant(2, "b")];
    assert!(failures(&queue, &records).await.is_empty());
    assert_eq!(*queue.sent.lock().unwrap(), ["a", "b"]);
    let buried = queue.buried.lock().unwrap();
    assert_eq!((buried.len(), buried[0].attribute), (1, "grant_id"));
    let kept: Value = serde_json::from_str(&buried[0].record).unwrap();
    assert_eq!(kept["dynamodb"]["Keys"], poison(1)["dynamodb"]["Keys"]);
    assert_eq!(kept["dynamodb"]["NewImage"], poison(1)["dynamodb"]["NewImage"]);
    assert_eq!(kept["dynamodb"]["SequenceNumber"], "1");
}

#[tokio::test]
async fn a_buried_record_says_what_could_not_be_read() {
    for (attribute, value) in [("pk", "SPRAY#x"), ("sk", "bob"), ("grant_id", "x")] {
        let queue = Queue::default();
        let mut poison = grant(0, "a");
        poison["dynamodb"]["NewImage"][attribute]["S"] = value.into();
        assert!(failures(&queue, &[poison]).await.is_empty());
        assert_eq!(queue.buried.lock().unwrap()[0].attribute, attribute);
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_buried_is_reported() {
    let queue = Queue { buries_max: Some(1), ..Queue::default() };
    let records = [grant(0, "a"), poison(1), grant(2, "b"), poison(3), poison(4)];
    assert_eq!(failures(&queue, &records).await, ["3"]);
    assert_eq!(*queue.sent.lock().unwrap(), ["a", "b"]);
}

#[tokio::test]
async fn what_comes_again_is_not_buried_yet() {
    let queue = Queue { refuses: Some("b"), ..Queue::default() };
    let records = [poison(0), grant(1, "a"), grant(2, "b"), poison(3)];
    assert_eq!(failures(&queue, &records).await, ["2"]);
    assert_eq!(queue.buried.lock().unwrap().len(), 1);
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
