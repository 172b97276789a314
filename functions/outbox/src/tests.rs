use super::*;
use largesse_app::ports::{
    CampaignJob, Event as Published, GrantMessage, PortError, PortErrorKind, PortResult,
};
use largesse_domain::id::UserId;
use serde_json::{Value, json};
use std::sync::Mutex;

const BUCKET: &str = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV#2";
/// 2026-01-31T09:00:00Z, with an index of 0 and a nonce of 7.
const ENTRY: u128 = 7_176_985_000_000_000;

/// A queue that takes everything but one member's messages.
#[derive(Default)]
struct Queue {
    sent: Mutex<Vec<GrantMessage>>,
    refuses: Option<&'static str>,
    is_down: bool,
    dead: Mutex<Vec<UnreadableRecord>>,
    dead_max: Option<usize>,
    jobs: Mutex<Vec<CampaignJob>>,
}

impl DeadRecords for Queue {
    async fn dead_letter_record(&self, record: &UnreadableRecord) -> PortResult<()> {
        let mut dead = self.dead.lock().unwrap();
        if self.dead_max.is_some_and(|max| dead.len() >= max) {
            let kind = PortErrorKind::Throttled;
            return Err(PortError { operation: "dead-letter", kind, cause: None });
        }
        dead.push(record.clone());
        Ok(())
    }
}

impl CampaignJobs for Queue {
    async fn send_job(&self, job: &CampaignJob) -> PortResult<()> {
        self.jobs.lock().unwrap().push(*job);
        Ok(())
    }
}

impl Events for Queue {
    async fn publish(&self, _event: &Published) -> PortResult<()> {
        panic!("no event follows from these records")
    }
}

impl GrantQueue for Queue {
    async fn send(&self, messages: &[GrantMessage]) -> PortResult<Vec<usize>> {
        if self.is_down {
            let kind = PortErrorKind::Unknown;
            return Err(PortError { operation: "send", kind, cause: None });
        }
        let mut not_taken = Vec::new();
        for (position, message) in messages.iter().enumerate() {
            if self.refuses == Some(message.grant.member.as_str()) {
                not_taken.push(position);
            } else {
                self.sent.lock().unwrap().push(message.clone());
            }
        }
        Ok(not_taken)
    }
}

impl Queue {
    fn members(&self) -> Vec<String> {
        self.sent.lock().unwrap().iter().map(|m| m.grant.member.to_string()).collect()
    }
}

/// The image of a bucket of shares worth 10, 20, 30 … with these members' entries in order.
fn image(members: &[&str]) -> Value {
    let draws = members.iter().zip(0..).map(|(member, index): (_, u128)| {
        (member.to_string(), json!({ "N": (ENTRY + index).to_string() }))
    });
    let worth: Vec<Value> = (1..=16).map(|n| json!({ "N": (n * 10).to_string() })).collect();
    json!({
        "pk": { "S": BUCKET }, "kind": { "S": "share" }, "funder": { "S": "sender" },
        "status": { "S": "OPEN" }, "opens_ms": { "N": "1769850000000" },
        "closes_ms": { "N": "1769850600000" }, "size": { "N": "16" }, "worth": { "L": worth },
        "taken": { "N": members.len().to_string() },
        "draws": { "M": draws.collect::<serde_json::Map<_, _>>() },
        "added_by_a_later_version": { "BOOL": true },
    })
}

fn record(number: usize, old: Value, new: Value) -> Value {
    json!({
        "eventID": number.to_string(), "eventName": "MODIFY", "awsRegion": "local",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_769_850_000, "Keys": { "pk": { "S": BUCKET } },
            "OldImage": old, "NewImage": new,
            "SequenceNumber": number.to_string(), "SizeBytes": 100,
        },
    })
}

/// A record of one new entry.
fn entry(number: usize, member: &str) -> Value {
    record(number, image(&[]), image(&[member]))
}

/// A record of an entry that no draw can have written: two members have one index.
fn impossible(number: usize, members: [&str; 2]) -> Value {
    let mut new = image(&members);
    new["draws"]["M"][members[1]]["N"] = ENTRY.to_string().into();
    record(number, image(&[]), new)
}

async fn failures(queue: &Queue, records: &[Value]) -> Vec<String> {
    let event: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
    let response = handle(queue, event).await;
    response.batch_item_failures.into_iter().filter_map(|f| f.item_identifier).collect()
}

#[tokio::test]
async fn each_new_entry_is_sent_once() {
    let queue = Queue::default();
    let records = [
        record(0, json!({}), image(&[])),
        record(1, image(&[]), image(&["a"])),
        record(2, image(&["a"]), image(&["a", "b", "c"])),
        // Swept, closed: no entry is new.
        record(3, image(&["a", "b", "c"]), image(&["a", "b", "c"])),
    ];
    assert!(failures(&queue, &records).await.is_empty());
    assert_eq!(queue.members(), ["a", "b", "c"]);
    let sent = queue.sent.lock().unwrap();
    let grant = &sent[2].grant;
    assert_eq!((grant.amount.get(), grant.funder.as_str()), (30, "sender"));
    assert_eq!(grant.decided_at().ms(), 1_769_850_000_000);
    assert!(queue.dead.lock().unwrap().is_empty());
}

#[tokio::test]
async fn entries_of_a_restored_table_are_all_new() {
    let queue = Queue::default();
    let mut restored = record(0, json!({}), image(&["a", "b"]));
    restored["eventName"] = "INSERT".into();
    assert!(failures(&queue, &[restored]).await.is_empty());
    assert_eq!(queue.members(), ["a", "b"]);
}

#[tokio::test]
async fn the_first_record_not_taken_is_reported() {
    let queue = Queue { refuses: Some("u2"), ..Queue::default() };
    let records: Vec<_> = (0..5).map(|n| entry(n, &format!("u{n}"))).collect();
    assert_eq!(failures(&queue, &records).await, ["2"]);
    let down = Queue { is_down: true, ..Queue::default() };
    assert_eq!(failures(&down, &records).await, ["0"]);
}

#[tokio::test]
async fn an_entry_that_cannot_be_is_dead_lettered_and_stops_no_other() {
    let queue = Queue::default();
    let mut unreadable = entry(2, "x");
    unreadable["dynamodb"]["NewImage"]["funder"]["S"] = "".into();
    let mut nonsense = record(3, image(&["d"]), image(&["d", "e"]));
    nonsense["dynamodb"]["NewImage"]["draws"]["M"]["e"]["N"] = "99".into();
    let records = [entry(0, "a"), impossible(1, ["b", "c"]), unreadable.clone(), nonsense];
    assert!(failures(&queue, &records).await.is_empty());
    assert_eq!(queue.members(), ["a"]);
    let dead = queue.dead.lock().unwrap();
    let members = |n: usize| dead[n].members.iter().map(UserId::as_str).collect::<Vec<_>>();
    assert_eq!((dead.len(), members(0)), (3, vec!["b", "c"]));
    assert!(dead[1].problem.contains("bucket item"), "{}", dead[1].problem);
    assert_eq!((members(1), members(2)), (vec![], vec!["e"]));
    let kept: Value = serde_json::from_str(&dead[1].record).unwrap();
    assert_eq!(kept["dynamodb"]["NewImage"], unreadable["dynamodb"]["NewImage"]);
    assert_eq!(kept["dynamodb"]["SequenceNumber"], "2");
}

#[tokio::test]
async fn a_record_that_cannot_be_dead_lettered_is_reported() {
    let queue = Queue { dead_max: Some(1), ..Queue::default() };
    let bad = |n| impossible(n, ["x", "y"]);
    let records = [entry(0, "a"), bad(1), entry(2, "b"), bad(3), bad(4)];
    assert_eq!(failures(&queue, &records).await, ["3"]);
    assert_eq!(queue.members(), ["a", "b"]);
}

#[tokio::test]
async fn a_record_that_comes_again_is_not_dead_lettered_yet() {
    let queue = Queue { refuses: Some("b"), ..Queue::default() };
    let bad = |n| impossible(n, ["x", "y"]);
    assert_eq!(failures(&queue, &[bad(0), entry(1, "a"), entry(2, "b"), bad(3)]).await, ["2"]);
    assert_eq!(queue.dead.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_record_that_is_not_dead_lettered_comes_again_although_a_later_one_is_not_taken_either() {
    let queue = Queue { refuses: Some("b"), dead_max: Some(0), ..Queue::default() };
    let records = [impossible(0, ["x", "y"]), entry(1, "a"), entry(2, "b")];
    assert_eq!(failures(&queue, &records).await, ["0"]);
}

#[tokio::test]
async fn what_is_no_bucket_is_passed_over() {
    let queue = Queue::default();
    let probe = record(0, json!({}), json!({ "pk": { "S": "PROBE#1" }, "taken": { "N": "7" } }));
    let mut removed = record(1, image(&["a"]), json!({}));
    removed["eventName"] = "REMOVE".into();
    assert!(failures(&queue, &[probe, removed]).await.is_empty());
    assert!(queue.members().is_empty() && queue.dead.lock().unwrap().is_empty());
}

#[tokio::test]
async fn each_stream_is_read_by_its_own_rules() {
    let queue = Queue::default();
    let campaign = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let mut entry_of_audit = record(
        0,
        json!({}),
        json!({
            "pk": { "S": format!("CAMPAIGN#{campaign}") }, "sk": { "S": "AUDIT#0000000003" },
            "action": { "S": "seal" }, "at_ms": { "N": "1769850000000" },
            "details": { "M": { "attempt": { "S": "1" } } },
            // As a bucket has them: what decides is the key.
            "draws": { "M": {} },
        }),
    );
    entry_of_audit["eventName"] = "INSERT".into();
    entry_of_audit["dynamodb"]["Keys"]["sk"]["S"] = "AUDIT#0000000003".into();
    assert!(failures(&queue, &[entry_of_audit]).await.is_empty());
    let seal = CampaignJob::Seal { campaign: campaign.parse().unwrap(), attempt: 1 };
    assert_eq!(*queue.jobs.lock().unwrap(), [seal]);
    assert!(failures(&queue, &[entry(1, "a")]).await.is_empty());
    assert_eq!(queue.members(), ["a"]);
    assert!(queue.dead.lock().unwrap().is_empty());
}
