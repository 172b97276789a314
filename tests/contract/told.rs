//! From an audit entry of a campaign to its consequence: a job in its queue, an event on the bus, a
//! text at the webhook.

use std::path::Path;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue as Av;
use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use largesse::compose;
use largesse_app::ports::{CampaignEnded, CampaignJob, Event};
use largesse_aws::campaign::jobs::read_job;
use largesse_domain::campaign::CampaignName;
use largesse_domain::time::Timestamp;
use largesse_tests::Sandbox;
use notify::webhook::Address;
use serde_json::{Value, json};

use crate::scene::{Item, Table, key_with, n, s};

const CAMPAIGN: &str = "01KDVDNA00F9GDZZEK673P5KTW";
const STARTED_MS: i64 = 1_767_225_600_000;
/// One hour, two minutes and three seconds later.
const AT_MS: i64 = STARTED_MS + 3_723_000;

/// The `seq`-th audit entry of a campaign: with the details of every action, and some more.
pub(crate) fn audited(seq: usize, action: &str, more: &[(&str, &str)]) -> Item {
    let started = STARTED_MS.to_string();
    let details = [
        ("attempt", "1"),
        ("fence", "2"),
        ("name", "추석 <보상>"),
        ("rows", "1000"),
        ("success", "990"),
        ("failed", "10"),
        ("amount_success", "9900000"),
        ("amount_failed", "100000"),
        ("started_ms", &started),
    ];
    let details = details.iter().chain(more);
    let details = details.map(|(name, text)| ((*name).to_owned(), s(text))).collect();
    let mut item = key_with(format!("CAMPAIGN#{CAMPAIGN}"), format!("AUDIT#{seq:010}"));
    item.insert("action".to_owned(), s(action));
    item.insert("at_ms".to_owned(), n(AT_MS));
    item.insert("details".to_owned(), Av::M(details));
    item
}

/// A campaign that ended.
pub(crate) fn end_of_campaign() -> Event {
    Event::CampaignCompleted(CampaignEnded {
        campaign: CAMPAIGN.parse().unwrap(),
        name: CampaignName::new("추석 보상").unwrap(),
        at: Timestamp::from_ms(AT_MS),
        rows: 1,
        success: 1,
        failed: 0,
        amount_success: 1,
        amount_failed: 0,
        duration_ms: None,
        memo: None,
        failure: None,
    })
}

/// A webhook on this machine.
pub(crate) struct Hook {
    port: u16,
    told: Arc<Mutex<Vec<String>>>,
}

impl Hook {
    /// Serves one that answers with these statuses, then with 200.
    pub(crate) async fn serve(statuses: &[u16]) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let (heard, statuses) = (told.clone(), statuses.to_vec());
        let answer = move |body: Bytes| {
            let body: Value = serde_json::from_slice(&body).unwrap();
            let mut heard = heard.lock().unwrap();
            let status = statuses.get(heard.len()).copied().unwrap_or(200);
            heard.push(body["text"].as_str().unwrap().to_owned());
            async move { StatusCode::from_u16(status).unwrap() }
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, told }
    }

    pub(crate) fn address(&self) -> Address {
        Address::read(&format!("http://127.0.0.1:{}/hook", self.port)).unwrap()
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

/// An end: its action, its detail type, and what its details say besides.
type End = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const ENDS: [End; 4] = [
    ("end", "campaign.completed", &[]),
    ("stop", "campaign.stopped", &[("memo", "잘못된 파일 & 금액")]),
    ("fail", "campaign.failed", &[("failure", "the ledger cannot be read")]),
    ("rolled_back", "campaign.rolled_back", &[]),
];

/// Attaches the outbox to both of its streams, and nothing else.
fn attach_outbox(sandbox: &Sandbox) {
    for trigger in sandbox.world.stack().function("outbox").unwrap().streams.clone() {
        let store = sandbox.store.clone();
        let handle = move |event| {
            let store = store.clone();
            async move { Ok(outbox::handle(&*store, event).await) }
        };
        sandbox.world.on_stream(trigger, handle).unwrap();
    }
}

fn jobs_in(sandbox: &Sandbox, queue: &str) -> Vec<CampaignJob> {
    let messages = sandbox.world.queue(queue).unwrap().messages;
    messages.iter().map(|message| read_job(&message.body).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_seal_a_run_and_a_rollback_reach_their_queues() {
    let sandbox = Sandbox::new(1);
    attach_outbox(&sandbox);
    let campaigns = Table::of(&sandbox, "campaigns");
    let actions = ["create", "seal", "sealed", "start", "run", "rollback"];
    for (seq, action) in actions.into_iter().enumerate() {
        campaigns.put(audited(seq, action, &[])).await;
    }
    // What is no audit entry reaches no function.
    let mut meta = audited(0, "seal", &[]);
    meta.insert("sk".to_owned(), s("META"));
    campaigns.put(meta).await;
    sandbox.world.settle().await;
    let campaign = CAMPAIGN.parse().unwrap();
    let seal = CampaignJob::Seal { campaign, attempt: 1 };
    assert_eq!(jobs_in(&sandbox, "largesse-seals"), [seal]);
    let pay = CampaignJob::Pay { campaign, fence: 2, from: 0 };
    let reverse = CampaignJob::Reverse { campaign, fence: 2, from: 0 };
    assert_eq!(jobs_in(&sandbox, "largesse-fanouts"), [pay, reverse]);
    assert_eq!(sandbox.world.bus().put_count(), 0);
    assert!(sandbox.world.queue("largesse-outbox-dlq").unwrap().is_empty());
}

/// `.ci/run` holds the examples against their schemas.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_campaign_is_published_as_its_example_says() {
    let sandbox = Sandbox::new(2);
    attach_outbox(&sandbox);
    let campaigns = Table::of(&sandbox, "campaigns");
    for (seq, (action, _, more)) in ENDS.into_iter().enumerate() {
        campaigns.put(audited(seq, action, more)).await;
    }
    sandbox.world.settle().await;
    let published = sandbox.world.bus().events();
    assert_eq!(published.len(), ENDS.len());
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/schemas/examples");
    for (event, (_, detail_type, _)) in published.iter().zip(ENDS) {
        let example = std::fs::read(examples.join(format!("{detail_type}.json")));
        let example: Value =
            serde_json::from_slice(&example.unwrap_or_default()).unwrap_or_default();
        assert_eq!(event.envelope(), example, "{detail_type}");
    }
    // The rule has put each of them into the queue of notices.
    let notices = sandbox.world.queue("largesse-notify").unwrap().messages;
    let notices: Vec<Value> =
        notices.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect();
    let envelopes: Vec<Value> = published.iter().map(|event| event.envelope()).collect();
    assert_eq!(notices, envelopes);
}

#[tokio::test]
async fn the_end_of_a_campaign_is_told_to_the_webhook() {
    let sandbox = Sandbox::new(3);
    let hook = Hook::serve(&[]).await;
    let (world, store, address) = (&sandbox.world, sandbox.store.clone(), Some(hook.address()));
    let secret = "0123456789abcdef0123456789abcdef";
    let _local = compose::compose_telling(world.clone(), store, secret, address).unwrap();
    let campaigns = Table::of(&sandbox, "campaigns");
    for (seq, (action, _, more)) in ENDS.into_iter().enumerate() {
        campaigns.put(audited(seq, action, more)).await;
        world.settle().await;
    }
    let text = |outcome: &str, why: &str| {
        format!(
            "[대량 지급] 추석 &lt;보상&gt;: {outcome} — 성공 990건 / 실패 10건, 합계 \
             9,900,000원{why}, 소요 1시간 2분 3초"
        )
    };
    let expected = [
        text("완료", ""),
        text("중지", ", 사유: 잘못된 파일 &amp; 금액"),
        text("시스템 오류로 중단", ", 원인: the ledger cannot be read"),
        text("회수 완료", ""),
    ];
    assert_eq!(hook.told(), expected);
    assert!(world.queue("largesse-notify").unwrap().is_empty());
    assert!(world.queue("largesse-notify-dlq").unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_audit_entry_that_cannot_be_read_is_kept_whole_and_stops_no_other() {
    let sandbox = Sandbox::new(4);
    attach_outbox(&sandbox);
    let campaigns = Table::of(&sandbox, "campaigns");
    campaigns.put(audited(1, "end", &[("rows", "many")])).await;
    campaigns.put(audited(2, "seal", &[])).await;
    sandbox.world.settle().await;
    assert_eq!(jobs_in(&sandbox, "largesse-seals").len(), 1);
    let dead = sandbox.world.queue("largesse-outbox-dlq").unwrap().messages;
    assert_eq!(dead.len(), 1);
    let letter: Value = serde_json::from_str(&dead[0].body).unwrap();
    let image = &letter["record"]["dynamodb"]["NewImage"];
    assert_eq!(image["details"]["M"]["rows"], json!({ "S": "many" }));
    assert_eq!(image["sk"], json!({ "S": "AUDIT#0000000001" }));
}
