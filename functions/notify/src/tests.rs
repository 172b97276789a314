use super::*;
use crate::webhook::{Address, Settings};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use largesse_app::invocation::{self, Invocation};
use largesse_app::ports::{PortError, PortErrorKind, PortResult};
use largesse_domain::time::Timestamp;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Sat, 31 Jan 2026 09:00:00 GMT.
const NOW_MS: i64 = 1_769_850_000_000;
/// What only the address holds.
const CANARY: &str = "canary";

/// The queue of notices, as far as the function uses it.
#[derive(Default)]
struct Ports {
    delayed: Mutex<Vec<(String, u32)>>,
    dead: Mutex<Vec<String>>,
    refuses_dead: bool,
}

impl Notices for Ports {
    async fn delay_notice(&self, receipt: &str, delay_s: u32) -> PortResult<()> {
        self.delayed.lock().unwrap().push((receipt.to_owned(), delay_s));
        Ok(())
    }

    async fn dead_letter_notice(&self, body: &str) -> PortResult<()> {
        if self.refuses_dead {
            let kind = PortErrorKind::Throttled;
            return Err(PortError { operation: "dead-letter", kind, cause: None });
        }
        self.dead.lock().unwrap().push(body.to_owned());
        Ok(())
    }
}

impl Clock for Ports {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(NOW_MS)
    }
}

impl Rng for Ports {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0xff);
    }
}

/// An answer of the webhook: its status and its `Retry-After`.
type Script = (u16, Option<&'static str>);

/// What the webhook's server answers next (200 at the end), and what it was told.
#[derive(Clone, Default)]
struct Served {
    script: Arc<Mutex<VecDeque<Script>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Served {
    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

async fn answer(State(served): State<Served>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap();
    let (status, retry_after) = served.script.lock().unwrap().pop_front().unwrap_or((200, None));
    served.told.lock().unwrap().push(body["text"].as_str().unwrap().to_owned());
    let status = StatusCode::from_u16(status).unwrap();
    match retry_after {
        Some(wait) => (status, [("retry-after", wait)]).into_response(),
        None => (status, [("location", "/elsewhere")]).into_response(),
    }
}

fn webhook_at(port: u16) -> Webhook {
    let address = Address::read(&format!("http://127.0.0.1:{port}/{CANARY}?key={CANARY}"));
    let mut settings = Settings::new(address.unwrap(), None);
    // Only what waits for it takes so long.
    (settings.connect_timeout, settings.timeout) =
        (Duration::from_secs(20), Duration::from_secs(30));
    Webhook::new(settings).unwrap()
}

async fn listener() -> (TcpListener, u16) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn served(script: &[Script]) -> (Webhook, Served) {
    let (listener, port) = listener().await;
    let served = Served {
        script: Arc::new(Mutex::new(script.iter().copied().collect())),
        ..Served::default()
    };
    let router = Router::new().fallback(answer).with_state(served.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (webhook_at(port), served)
}

/// The `n`-th campaign's end, as the bus sends it.
fn notice(n: usize) -> String {
    json!({
        "version": "0", "id": "64c53c6e-abae-893b-8f81-84b15624c399", "source": "largesse",
        "detail-type": "campaign.completed", "time": "2026-01-31T09:00:00Z", "resources": [],
        "detail": {
            "campaign_id": format!("01ARZ3NDEKTSV4RRFFQ69G5FA{n}"), "name": format!("c{n}"),
            "at_ms": NOW_MS, "rows": 1, "success": 1, "failed": 0, "amount_success": 1,
            "amount_failed": 0, "duration_ms": 1000, "added_by_a_later_version": true,
        },
    })
    .to_string()
}

/// Delivers notices for the `receives`-th time; gives the positions of those that come back.
async fn deliver(
    ports: &Ports,
    webhook: Option<&Webhook>,
    bodies: &[String],
    receives: u32,
) -> Vec<usize> {
    let message = |(n, body): (usize, &String)| {
        json!({
            "messageId": n.to_string(), "receiptHandle": format!("r{n}"), "body": body,
            "attributes": { "ApproximateReceiveCount": receives.to_string() },
        })
    };
    let records: Vec<_> = bodies.iter().enumerate().map(message).collect();
    let event = serde_json::from_value(json!({ "Records": records })).unwrap();
    let response = handle(ports, webhook, event).await;
    let failed = response.batch_item_failures.into_iter();
    failed.map(|failure| failure.item_identifier.parse().unwrap()).collect()
}

/// The seconds after which a notice comes back whose webhook answers 429 with this wait; then it is
/// told.
async fn wait_after_429(retry_after: Option<&'static str>, receives: u32) -> u32 {
    let (webhook, served) = served(&[(429, retry_after)]).await;
    let (ports, bodies) = (Ports::default(), [notice(0)]);
    assert_eq!(deliver(&ports, Some(&webhook), &bodies, receives).await, [0]);
    let delayed = ports.delayed.lock().unwrap().clone();
    assert!(deliver(&ports, Some(&webhook), &bodies, receives + 1).await.is_empty());
    assert_eq!((served.told().len(), ports.dead.lock().unwrap().len()), (2, 0));
    assert_eq!((delayed.len(), delayed[0].0.as_str()), (1, "r0"));
    delayed[0].1
}

#[tokio::test]
async fn a_429_comes_back_after_the_seconds_it_names() {
    assert_eq!(wait_after_429(Some("30"), 1).await, 30);
    // Beyond what a queue can wait, and below the delay that has grown.
    assert_eq!(wait_after_429(Some("18446744073709551615"), 1).await, WISH_S_MAX);
    assert_eq!(wait_after_429(Some("1"), 9).await, 256);
}

#[tokio::test]
async fn a_429_comes_back_after_the_date_it_names() {
    assert_eq!(wait_after_429(Some("Sat, 31 Jan 2026 09:01:40 GMT"), 1).await, 100);
    assert_eq!(wait_after_429(Some("Sat, 31 Jan 2026 08:00:00 GMT"), 1).await, 2);
}

#[tokio::test]
async fn a_429_without_a_wait_comes_back_after_a_growing_delay() {
    for (receives, delay_s) in [(1, 2), (2, 2), (3, 4), (9, 256), (10, 465), (400, 465)] {
        for wait in [None, Some("soon")] {
            assert_eq!(wait_after_429(wait, receives).await, delay_s);
        }
    }
}

#[tokio::test]
async fn a_webhook_that_cannot_be_reached_is_called_again_after_a_growing_delay() {
    let (listener, port) = listener().await;
    drop(listener);
    let (ports, webhook) = (Ports::default(), webhook_at(port));
    for receives in [1, 3, 9] {
        // The second is not tried: it would meet the same.
        let bodies = [notice(0), notice(1)];
        assert_eq!(deliver(&ports, Some(&webhook), &bodies, receives).await, [0, 1]);
    }
    let delays: Vec<u32> = ports.delayed.lock().unwrap().iter().map(|(_, s)| *s).collect();
    assert_eq!(delays, [2, 2, 4, 4, 256, 256]);
    assert!(ports.dead.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_may_have_been_told_is_not_told_again() {
    for status in [500, 502, 503, 504] {
        // It asks for a repeat, and may have posted the text all the same.
        let (webhook, served) = served(&[(status, Some("1"))]).await;
        let ports = Ports::default();
        assert!(deliver(&ports, Some(&webhook), &[notice(0), notice(1)], 1).await.is_empty());
        assert_eq!(served.told().len(), 2, "{status}: the next one is told");
        assert!(ports.delayed.lock().unwrap().is_empty());
        assert!(ports.dead.lock().unwrap().is_empty());
    }
}

/// A server that reads from each connection, and closes it or keeps it without an answer.
async fn silent(closes: bool) -> (u16, Arc<Mutex<u32>>) {
    let (listener, port) = listener().await;
    let calls = Arc::new(Mutex::new(0));
    let counted = calls.clone();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_u8().await.unwrap();
            *counted.lock().unwrap() += 1;
            if !closes {
                kept.push(stream);
            }
        }
    });
    (port, calls)
}

#[tokio::test]
async fn an_answer_that_never_comes_is_not_waited_for_twice() {
    for closes in [true, false] {
        let (port, calls) = silent(closes).await;
        let address = Address::read(&format!("http://127.0.0.1:{port}/")).unwrap();
        let mut settings = Settings::new(address, None);
        settings.connect_timeout = Duration::from_millis(900);
        settings.timeout = Duration::from_secs(1);
        let (ports, webhook) = (Ports::default(), Webhook::new(settings).unwrap());
        assert!(deliver(&ports, Some(&webhook), &[notice(0)], 1).await.is_empty());
        assert_eq!((*calls.lock().unwrap(), ports.dead.lock().unwrap().len()), (1, 0));
    }
}

#[tokio::test]
async fn a_handshake_that_never_ends_has_sent_nothing() {
    let (port, _) = silent(false).await;
    let address = Address::read(&format!("https://127.0.0.1:{port}/")).unwrap();
    let mut settings = Settings::new(address, None);
    // Only the first of the two can run out.
    (settings.connect_timeout, settings.timeout) =
        (Duration::from_millis(300), Duration::from_secs(600));
    let (ports, webhook) = (Ports::default(), Webhook::new(settings).unwrap());
    assert_eq!(deliver(&ports, Some(&webhook), &[notice(0)], 1).await, [0]);
    assert_eq!(ports.delayed.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_the_webhook_refuses_is_dead_lettered_and_not_sent_again() {
    for status in [400, 401, 403, 404, 408, 410, 302] {
        let (webhook, served) = served(&[(status, Some("1"))]).await;
        let ports = Ports::default();
        assert!(deliver(&ports, Some(&webhook), &[notice(0), notice(1)], 1).await.is_empty());
        assert_eq!(*ports.dead.lock().unwrap(), [notice(0)], "{status}");
        assert_eq!(served.told().len(), 2, "{status}: the next one is told");
    }
}

#[tokio::test]
async fn a_refused_notice_that_cannot_be_dead_lettered_comes_back() {
    let (webhook, _) = served(&[(404, None)]).await;
    let ports = Ports { refuses_dead: true, ..Ports::default() };
    assert_eq!(deliver(&ports, Some(&webhook), &[notice(0), notice(1)], 1).await, [0]);
    assert!(ports.delayed.lock().unwrap().is_empty(), "at the queue's own pace");
}

#[tokio::test]
async fn ten_campaigns_that_end_in_one_second_are_each_told_once() {
    // The webhook takes one call a second.
    let script = [(200, None), (429, Some("1"))].repeat(10);
    let (webhook, served) = served(&script).await;
    let (ports, mut waiting) = (Ports::default(), (0..10).map(notice).collect::<Vec<_>>());
    for receives in 1..=10 {
        let failed = deliver(&ports, Some(&webhook), &waiting, receives).await;
        waiting = failed.into_iter().map(|n| waiting[n].clone()).collect();
    }
    assert!(waiting.is_empty());
    // Every other call was refused, and told nothing.
    let mut told: Vec<String> = served.told().into_iter().step_by(2).collect();
    told.sort();
    let text = |n| format!("[대량 지급] c{n}: 완료 — 성공 1건 / 실패 0건, 합계 1원, 소요 1초");
    assert_eq!(told, (0..10).map(text).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_a_webhook_every_notice_is_done() {
    let ports = Ports::default();
    assert!(deliver(&ports, None, &[notice(0), "nonsense".to_owned()], 1).await.is_empty());
    assert!(ports.dead.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_notice_that_cannot_be_read_waits() {
    let (webhook, served) = served(&[]).await;
    let ports = Ports::default();
    let other = notice(0).replace("campaign.completed", "campaign.renamed");
    let bodies = [other, notice(1), "nonsense".to_owned()];
    assert_eq!(deliver(&ports, Some(&webhook), &bodies, 1).await, [0, 2]);
    assert!(ports.delayed.lock().unwrap().is_empty(), "at the queue's own pace");
    assert_eq!(served.told().len(), 1);
}

#[tokio::test]
async fn a_call_that_could_not_run_for_its_whole_time_is_not_begun() {
    let (webhook, served) = served(&[]).await;
    let (ports, bodies) = (Ports::default(), [notice(0)]);
    for (left_ms, failed) in [(29_999, vec![0]), (30_000, vec![])] {
        let until = Invocation::until(ports.now().plus_ms(left_ms));
        let delivered = deliver(&ports, Some(&webhook), &bodies, 1);
        assert_eq!(invocation::scope(until, delivered).await, failed);
    }
    assert_eq!(served.told().len(), 1);
}

/// What is written to a log.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_address_is_in_no_line_of_the_log() {
    let lines = Lines::default();
    let written = lines.clone();
    let log = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
    let log = log.with_writer(move || written.clone()).finish();
    let _guard = tracing::subscriber::set_default(log);
    let ports = Ports::default();
    let script = [(200, None), (404, None), (302, None), (500, None), (429, Some("1"))];
    let (webhook, _) = served(&script).await;
    let bodies: Vec<String> = (0..5).map(notice).collect();
    assert_eq!(deliver(&ports, Some(&webhook), &bodies, 1).await, [4]);
    // Closed after the first byte, and not connected at all.
    let (port, _) = silent(true).await;
    assert!(deliver(&ports, Some(&webhook_at(port)), &[notice(0)], 1).await.is_empty());
    let (closed, port) = listener().await;
    drop(closed);
    assert_eq!(deliver(&ports, Some(&webhook_at(port)), &[notice(0)], 1).await, [0]);
    let broken = ["nonsense".to_owned()];
    assert_eq!(deliver(&ports, Some(&webhook_at(port)), &broken, 1).await, [0]);
    say_where(None);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for said in [
        "\"told\"",
        "the webhook refuses",
        "perhaps told, not sent again",
        "not told yet",
        "an unreadable notice",
        "no webhook is set",
        "answered 500",
        "error sending request",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains(CANARY), "{text}");
}
