//! A service of campaigns that keeps everything in memory and pays nothing.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use largesse_domain::campaign::{Actor, AuditEntry, AuditHead, Hash};
use largesse_domain::id::CampaignId;
use largesse_domain::time::Timestamp;
use largesse_input::{Format, Options, Reader};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::campaign::api::{Api, Pace};

/// The id of the first campaign.
pub(super) const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// No wait: a test decides what happens, not a clock.
const AT_ONCE: Pace = Pace {
    attempts: 3,
    backoff: Duration::ZERO,
    backoff_max: Duration::ZERO,
    poll: Duration::ZERO,
};

/// What the next requests whose method and path begin so meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is refused for now.
    Busy,
    /// It is done, and the answer is lost.
    Lost,
}

#[derive(Default)]
pub(super) struct World {
    /// Requests, in their order.
    pub(super) log: Vec<String>,
    /// The campaigns by their ids, as the API shows them.
    pub(super) campaigns: BTreeMap<String, Value>,
    /// The bodies of parts.
    pub(super) parts: BTreeMap<u32, Bytes>,
    keys: BTreeMap<String, String>,
    /// The faults that requests meet, each once.
    pub(super) faults: VecDeque<(&'static str, Fault)>,
    /// What the seal adds to its warnings.
    pub(super) warnings: Vec<Value>,
    /// Why the seal gives up.
    pub(super) seal_problem: Option<&'static str>,
    /// What a campaign becomes, one after the other, when it is looked at.
    pub(super) course: VecDeque<Value>,
    pub(super) audit: Vec<AuditEntry>,
    /// Other answers to GET, by their paths.
    pub(super) pages: BTreeMap<String, Value>,
    /// The body of the CSV, and whether it is cut off.
    pub(super) csv: (&'static str, bool),
    /// The body of its second page, if it has one.
    pub(super) csv_behind: Option<&'static str>,
}

#[derive(Clone)]
pub(super) struct Fake {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) url: String,
}

impl Fake {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::new(Mutex::new(World::default()));
        let router = Router::new().fallback(answer).with_state(world.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { world, url }
    }

    pub(super) fn api(&self) -> Api {
        Api::new(&self.url, "ann", AT_ONCE).unwrap()
    }

    pub(super) fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap())
    }

    /// The requests of this method so far, and forgets all.
    pub(super) fn taken(&self, method: &str) -> Vec<String> {
        let log = self.with(|world| std::mem::take(&mut world.log));
        let paths = log.iter().filter_map(|line| line.strip_prefix(method));
        paths.map(|path| path.trim().to_owned()).collect()
    }
}

async fn answer(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut world = world.lock().unwrap();
    let path = uri.path_and_query().unwrap().as_str();
    let line = format!("{method} {}", path.strip_prefix("/api/v2/campaigns").unwrap());
    world.log.push(line.clone());
    let fault = world.faults.iter().position(|(start, _)| line.starts_with(start));
    let fault = fault.and_then(|place| world.faults.remove(place)).map(|(_, fault)| fault);
    if fault == Some(Fault::Busy) {
        return (503, [("retry-after", "0")], "busy").into_response_with();
    }
    let response = world.route(&line, &headers, &body);
    if fault == Some(Fault::Lost) { problem(500, "ERR003") } else { response }
}

/// A status as a number.
trait IntoResponseWith {
    fn into_response_with(self) -> Response;
}

impl<H: axum::response::IntoResponseParts, B: IntoResponse> IntoResponseWith for (u16, H, B) {
    fn into_response_with(self) -> Response {
        let status = axum::http::StatusCode::from_u16(self.0).unwrap();
        (status, self.1, self.2).into_response()
    }
}

fn reply(status: u16, body: &Value) -> Response {
    (status, [("content-type", "application/json")], body.to_string()).into_response_with()
}

fn problem(status: u16, code: &str) -> Response {
    reply(status, &json!({ "code": code, "title": "Refused", "detail": "Not so." }))
}

impl World {
    fn route(&mut self, line: &str, headers: &HeaderMap, body: &Bytes) -> Response {
        if let Some(page) = self.pages.get(line) {
            return reply(200, page);
        }
        let (method, path) = line.split_once(' ').unwrap();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match (method, parts.as_slice()) {
            ("POST", []) => self.create(headers, body),
            ("GET", [id]) => self.show(id),
            ("GET", [_, "parts"]) => reply(200, &self.list_parts()),
            ("PUT", [_, "parts", number]) => self.put(number.parse().unwrap(), headers, body),
            ("POST", [id, "seal"]) => self.seal(id),
            ("POST", [id, _]) => {
                assert!(headers.contains_key("idempotency-key"));
                let mut campaign = self.campaigns[*id].clone();
                campaign["queued"] = json!({ "forced": false });
                self.campaigns.insert((*id).to_owned(), campaign.clone());
                reply(202, &campaign)
            }
            ("GET", [_, "audit"]) => reply(200, &self.list_audit()),
            ("GET", [_, csv]) if csv.ends_with("?limit=1&cursor=two") => {
                (200, [("content-type", "text/csv")], self.csv_behind.unwrap()).into_response_with()
            }
            ("GET", [_, _csv]) => {
                let (text, is_cut) = self.csv;
                let link = "<?limit=1&cursor=two>; rel=\"next\"".to_owned();
                let link = self.csv_behind.map(|_| ("link", link));
                // A body that is shorter than it says is cut off.
                let len = text.len() + usize::from(is_cut);
                let first = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(text))]);
                let headers = [("content-length", len.to_string())];
                let response = (200, headers, Body::from_stream(first)).into_response_with();
                (link.map(|link| [link]), response).into_response()
            }
            _ => problem(404, "ERR005"),
        }
    }

    fn create(&mut self, headers: &HeaderMap, body: &Bytes) -> Response {
        let terms: Value = serde_json::from_slice(body).unwrap();
        let key = headers["idempotency-key"].to_str().unwrap().to_owned();
        let id = self.keys.get(&key).cloned().unwrap_or_else(|| {
            let mut id = ID.to_owned();
            let last = b'A' + u8::try_from(self.campaigns.len()).unwrap();
            id.replace_range(25.., if last == b'A' { "V" } else { "W" });
            let campaign = campaign(&id, &terms);
            self.campaigns.insert(id.clone(), campaign);
            id
        });
        self.keys.insert(key, id.clone());
        reply(201, &self.campaigns[&id])
    }

    fn show(&mut self, id: &str) -> Response {
        if let (Some(next), Some(campaign)) = (self.course.pop_front(), self.campaigns.get_mut(id))
        {
            for (name, value) in next.as_object().unwrap() {
                campaign[name] = value.clone();
            }
        }
        self.campaigns.get(id).map_or_else(|| problem(404, "ERR005"), |shown| reply(200, shown))
    }

    fn list_parts(&self) -> Value {
        let part = |(number, body): (&u32, &Bytes)| {
            let (accepted, refused, _) = counted(body);
            let (rows, hash) = (accepted + refused, Hash::of(body).to_string());
            json!({ "part": number, "rows": rows, "accepted": accepted, "refused": refused,
                "hash": hash })
        };
        json!({ "parts": self.parts.iter().map(part).collect::<Vec<_>>() })
    }

    fn put(&mut self, number: u32, headers: &HeaderMap, body: &Bytes) -> Response {
        assert_eq!(headers["content-type"], "text/csv");
        if self.parts.get(&number).is_some_and(|earlier| earlier != body) {
            return problem(409, "ERR208");
        }
        self.parts.insert(number, body.clone());
        let (accepted, refused, _) = counted(body);
        reply(
            200,
            &json!({ "rows": accepted + refused, "accepted": accepted, "refused": refused,
            "errors": [] }),
        )
    }

    fn seal(&mut self, id: &str) -> Response {
        let (mut rows, mut refused, mut amount) = (0, 0, 0);
        for body in self.parts.values() {
            let (some, bad, sum) = counted(body);
            (rows, refused, amount) = (rows + some, refused + bad, amount + sum);
        }
        let campaign = self.campaigns.get_mut(id).unwrap();
        if let Some(why) = self.seal_problem {
            campaign["problem"] = json!(why);
            return reply(202, campaign);
        }
        campaign["state"] = json!("SEALING");
        let sealed = json!({ "rows": rows, "amount": amount, "duplicates": 0, "refused": refused,
            "content_hash": Hash::of(b"content").to_string(), "eta_s": 75, "cost": 4_029,
            "warnings": self.warnings });
        self.course.push_back(json!({ "state": "WAITING", "sealed": sealed }));
        reply(202, campaign)
    }

    fn list_audit(&self) -> Value {
        let entry = |entry: &AuditEntry| {
            let by = match &entry.by {
                Actor::Member(user) => json!(user.as_str()),
                Actor::System => Value::Null,
            };
            json!({ "seq": entry.seq, "at": largesse_edge::time::format(entry.at), "by": by,
                "action": entry.action, "details": entry.details,
                "previous": entry.previous.to_string(), "hash": entry.hash.to_string() })
        };
        json!({ "entries": self.audit.iter().map(entry).collect::<Vec<_>>() })
    }

    /// Writes an entry, and keeps the head in the campaign.
    pub(super) fn write(&mut self, action: &str) {
        let last = self.audit.last().map(AuditEntry::head);
        let id: CampaignId = ID.parse().unwrap();
        let by = Actor::Member("ann".parse().unwrap());
        let details = BTreeMap::from([("memo".to_owned(), "because".to_owned())]);
        let at = Timestamp::from_ms(1_000 * i64::try_from(self.audit.len()).unwrap());
        self.audit.push(AuditEntry::next(id, last, at, by, action, details).unwrap());
        let AuditHead { seq, hash } = self.audit.last().unwrap().head();
        self.campaigns.get_mut(ID).unwrap()["audit"] =
            json!({ "seq": seq, "hash": hash.to_string() });
    }
}

/// Accepted and refused rows of a part, and the amount of the accepted ones.
fn counted(body: &[u8]) -> (u64, u64, u64) {
    let options = Options { rows_max: 1_000, default_amount: None, default_reason: None };
    let (mut reader, mut sum) = (Reader::new(Format::Csv, options), 0);
    let mut add = |row: largesse_input::Row| sum += row.amount.get();
    reader.feed(body, &mut add);
    let summary = reader.finish(&mut add);
    assert!(!summary.stopped, "{:?}", summary.problems);
    (summary.accepted, summary.refused, sum)
}

/// A campaign that was just made.
pub(super) fn campaign(id: &str, terms: &Value) -> Value {
    let term = |name: &str, other: Value| terms.get(name).cloned().unwrap_or(other);
    let mut shown = json!({
        "campaign_id": id, "name": terms["name"], "state": "DRAFT", "creator": "ann",
        "created_at": "2026-01-31T09:00:00.000Z",
        "terms": {
            "default_reason": term("default_reason", json!("")), "priority": 0,
            "duplicates": term("duplicates", json!("first")),
            "approvals": term("approvals", json!(0)),
        },
        "parts": { "count": 0, "rows": 0, "refused": 0, "amount": 0 },
        "a_field_of_a_later_version": true,
    });
    if let Some(amount) = terms.get("default_amount") {
        shown["terms"]["default_amount"] = amount.clone();
    }
    shown
}
