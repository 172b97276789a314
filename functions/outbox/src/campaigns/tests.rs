use super::*;
use largesse_app::ports::{CampaignEnded, CampaignJob, Event, PortError, PortErrorKind};
use largesse_domain::campaign::CampaignName;
use largesse_domain::time::Timestamp;
use serde_json::{Value, json};
use std::sync::Mutex;

const CAMPAIGN: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const AT_MS: i64 = 1_769_850_000_000;

/// What came of a batch.
#[derive(Debug, PartialEq)]
enum Done {
    Sent(CampaignJob),
    Published(Event),
}

/// Takes everything but what its switches refuse.
#[derive(Default)]
struct Ports {
    done: Mutex<Vec<Done>>,
    dead: Mutex<Vec<UnreadableRecord>>,
    refuses_jobs: bool,
    refuses_events: bool,
    refuses_dead: bool,
}

fn answer(refuses: bool) -> PortResult<()> {
    let kind = PortErrorKind::Throttled;
    if refuses { Err(PortError { operation: "planted", kind, cause: None }) } else { Ok(()) }
}

impl CampaignJobs for Ports {
    async fn send_job(&self, job: &CampaignJob) -> PortResult<()> {
        answer(self.refuses_jobs)?;
        self.done.lock().unwrap().push(Done::Sent(*job));
        Ok(())
    }
}

impl Events for Ports {
    async fn publish(&self, event: &Event) -> PortResult<()> {
        answer(self.refuses_events)?;
        self.done.lock().unwrap().push(Done::Published(event.clone()));
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

fn details(pairs: &[(&str, &str)]) -> Value {
    let details = pairs.iter().map(|(name, text)| ((*name).to_owned(), json!({ "S": text })));
    Value::Object(details.collect())
}

/// A record of a new entry.
fn record(number: u32, action: &str, pairs: &[(&str, &str)]) -> Value {
    let (pk, sk) = (format!("CAMPAIGN#{CAMPAIGN}"), format!("AUDIT#{number:010}"));
    json!({
        "eventID": number.to_string(), "eventName": "INSERT", "awsRegion": "local",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_769_850_000,
            "Keys": { "pk": { "S": pk }, "sk": { "S": sk } },
            "NewImage": {
                "pk": { "S": pk }, "sk": { "S": sk }, "action": { "S": action },
                "at_ms": { "N": AT_MS.to_string() }, "by": { "S": "alice" },
                "details": { "M": details(pairs) },
                "added_by_a_later_version": { "BOOL": true },
            },
            "SequenceNumber": number.to_string(), "SizeBytes": 100,
        },
    })
}

const COUNTS: [(&str, &str); 7] = [
    ("name", "추석 보상"),
    ("rows", "10"),
    ("success", "7"),
    ("failed", "3"),
    ("amount_success", "7000"),
    ("amount_failed", "3000"),
    ("started_ms", "1769849990000"),
];

fn ended(memo: Option<&str>, failure: Option<&str>) -> CampaignEnded {
    CampaignEnded {
        campaign: CAMPAIGN.parse().unwrap(),
        name: CampaignName::new("추석 보상").unwrap(),
        at: Timestamp::from_ms(AT_MS),
        rows: 10,
        success: 7,
        failed: 3,
        amount_success: 7_000,
        amount_failed: 3_000,
        duration_ms: Some(10_000),
        memo: memo.map(str::to_owned),
        failure: failure.map(str::to_owned),
    }
}

fn with(more: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    COUNTS.into_iter().chain([more]).collect()
}

async fn first_failure(ports: &Ports, records: &[Value]) -> Option<usize> {
    let records: Vec<EventRecord> =
        records.iter().map(|record| serde_json::from_value(record.clone()).unwrap()).collect();
    handle(ports, &records).await
}

async fn done(records: &[Value]) -> Vec<Done> {
    let ports = Ports::default();
    assert_eq!(first_failure(&ports, records).await, None);
    assert!(ports.dead.lock().unwrap().is_empty());
    ports.done.into_inner().unwrap()
}

#[tokio::test]
async fn each_action_has_its_consequence() {
    let campaign = CAMPAIGN.parse().unwrap();
    let records = [
        record(1, "create", &[]),
        record(2, "part", &[("number", "1")]),
        record(3, "seal", &[("attempt", "2")]),
        record(4, "sealed", &[]),
        record(5, "seal_failed", &[]),
        record(6, "approve", &[]),
        record(7, "start", &[]),
        record(8, "run", &[("fence", "18446744073709551615")]),
        record(9, "stop", &with(("memo", "<wrong> file"))),
        record(10, "force", &[]),
        record(11, "fail", &with(("failure", "no table"))),
        record(12, "retry", &[]),
        record(13, "end", &COUNTS),
        record(14, "rollback", &[("fence", "4")]),
        record(15, "rolled_back", &COUNTS),
    ];
    let expected = [
        Done::Sent(CampaignJob::Seal { campaign, attempt: 2 }),
        Done::Sent(CampaignJob::Pay { campaign, fence: u64::MAX, from: 0 }),
        Done::Published(Event::CampaignStopped(ended(Some("<wrong> file"), None))),
        Done::Published(Event::CampaignFailed(ended(None, Some("no table")))),
        Done::Published(Event::CampaignCompleted(ended(None, None))),
        Done::Sent(CampaignJob::Reverse { campaign, fence: 4, from: 0 }),
        Done::Published(Event::CampaignRolledBack(ended(None, None))),
    ];
    assert_eq!(done(&records).await, expected);
}

#[tokio::test]
async fn a_campaign_that_never_started_has_no_duration() {
    let never_started = CampaignEnded { duration_ms: None, ..ended(None, None) };
    let published = [Done::Published(Event::CampaignStopped(never_started))];
    assert_eq!(done(&[record(1, "stop", &COUNTS[..6])]).await, published);
    // The clock of the function that started it may have been ahead.
    let mut counts = COUNTS;
    counts[6].1 = "1769850000001";
    let at_once = CampaignEnded { duration_ms: Some(0), ..ended(None, None) };
    let published = [Done::Published(Event::CampaignStopped(at_once))];
    assert_eq!(done(&[record(1, "stop", &counts)]).await, published);
}

#[tokio::test]
async fn an_action_of_a_later_version_has_no_consequence() {
    let mut by_the_system = record(2, "archive", &[]);
    let image = by_the_system["dynamodb"]["NewImage"].as_object_mut().unwrap();
    image.remove("by");
    image.remove("details");
    assert_eq!(done(&[record(1, "archive", &[("to", "s3")]), by_the_system]).await, []);
}

#[tokio::test]
async fn what_is_no_new_audit_entry_is_passed_over() {
    let mut changed = record(1, "seal", &[("attempt", "1")]);
    changed["eventName"] = "MODIFY".into();
    let mut meta = record(2, "seal", &[("attempt", "1")]);
    for place in ["Keys", "NewImage"] {
        meta["dynamodb"][place]["sk"]["S"] = "META".into();
    }
    assert_eq!(done(&[changed, meta]).await, []);
}

#[tokio::test]
async fn what_stands_behind_a_failure_waits() {
    let records = [
        record(1, "seal", &[("attempt", "1")]),
        record(2, "create", &[]),
        record(3, "end", &COUNTS),
        record(4, "seal", &[("attempt", "2")]),
        record(5, "archive", &[]),
    ];
    let ports = Ports { refuses_events: true, ..Ports::default() };
    assert_eq!(first_failure(&ports, &records).await, Some(2));
    assert_eq!(ports.done.lock().unwrap().len(), 1);
    let ports = Ports { refuses_jobs: true, ..Ports::default() };
    assert_eq!(first_failure(&ports, &records).await, Some(0));
    assert!(ports.done.lock().unwrap().is_empty());
}

/// Entries that cannot be read.
fn unreadable() -> Vec<Value> {
    let changed = |action: &str, pairs: &[(&str, &str)], path: &str, value: Value| {
        let mut record = record(7, action, pairs);
        *record.pointer_mut(&format!("/dynamodb/NewImage/{path}")).unwrap() = value;
        record
    };
    let seal = |path: &str, value: Value| changed("seal", &[("attempt", "1")], path, value);
    let mut entries = vec![
        record(7, "seal", &[]),
        record(7, "run", &[("fence", "-1")]),
        record(7, "rollback", &[("fence", "")]),
        seal("pk/S", json!("CAMPAIGN#x")),
        seal("sk/S", json!("AUDIT#3")),
        seal("sk/S", json!("AUDIT#00000000x3")),
        seal("at_ms", json!({ "S": "now" })),
        seal("by/S", json!("")),
        seal("action", json!({ "N": "1" })),
        seal("details", json!({ "S": "attempt" })),
        // Of a later version, and not well-formed.
        changed("archive", &[("to", "s3")], "details/M/to", json!({ "N": "3" })),
        changed("archive", &[], "at_ms", json!({ "S": "now" })),
    ];
    for missing in 0..6 {
        let mut counts = COUNTS.to_vec();
        counts.remove(missing);
        entries.push(record(7, "end", &counts));
    }
    entries.push(record(7, "fail", &with(("started_ms", "soon"))));
    entries
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_is_dead_lettered_and_stops_no_other() {
    for entry in unreadable() {
        let ports = Ports::default();
        let records = [entry.clone(), record(8, "seal", &[("attempt", "1")])];
        assert_eq!(first_failure(&ports, &records).await, None, "{entry}");
        assert_eq!(ports.done.lock().unwrap().len(), 1, "{entry}");
        let dead = ports.dead.lock().unwrap();
        assert_eq!(dead.len(), 1, "{entry}");
        assert!(dead[0].problem.contains("audit item"), "{}", dead[0].problem);
        let kept: Value = serde_json::from_str(&dead[0].record).unwrap();
        assert_eq!(kept["dynamodb"]["NewImage"], entry["dynamodb"]["NewImage"]);
    }
}

#[tokio::test]
async fn an_entry_that_cannot_be_dead_lettered_is_reported() {
    let ports = Ports { refuses_dead: true, ..Ports::default() };
    let seal = || record(1, "seal", &[("attempt", "1")]);
    let records = [seal(), record(2, "seal", &[]), seal()];
    assert_eq!(first_failure(&ports, &records).await, Some(1));
    assert_eq!(ports.done.lock().unwrap().len(), 1);
}
