//! What functions tell while they work: lines with the trace, metrics, and no secret.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lambda_events::event::dynamodb::Event;
use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use largesse_emulator::{Fault, Faults, Matching};
use serde_json::{Value, json};

use crate::batches::message;
use crate::binaries::stack;
use crate::bootstrap::{Bootstrap, CURSOR_SECRET, SECRET_ACCESS_KEY, SESSION_TOKEN};
use crate::events::event;
use crate::http::Reply;
use crate::scene::Scene;
use crate::signed::sign;

/// Enough for a schedule, which keeps half of it back, and short where nothing works.
const SHORT: Duration = Duration::from_secs(10);
const TRACE: &str = "5759e988bd862e3fe1be46a994272793";

/// The lines of a log that are JSON.
fn lines(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Ends a process; gives what it wrote.
async fn log_of(process: Bootstrap) -> String {
    process.terminate();
    process.ended().await.1
}

/// The claim of the event, as part of a trace.
fn traced_claim() -> Value {
    let mut claim = event("spray-claim", "happy");
    claim["headers"]["traceparent"] = json!(format!("00-{TRACE}-53995c3f42cd8ad8-01"));
    claim
}

/// The records of the stream of buckets from here on.
fn stream(scene: &Scene) -> Arc<Mutex<Vec<Value>>> {
    let records: Arc<Mutex<Vec<Value>>> = Arc::default();
    let pools = |table: &&largesse_emulator::StreamTrigger| table.table.ends_with("pools");
    let streams = &stack().function("outbox").unwrap().streams;
    let trigger = streams.iter().find(pools).unwrap().clone();
    let kept = records.clone();
    let keep = move |event: Event| {
        let event = serde_json::to_value(event).unwrap();
        kept.lock().unwrap().extend(event["Records"].as_array().unwrap().clone());
        async { Ok(Default::default()) }
    };
    scene.world.on_stream(trigger, keep).unwrap();
    records
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_claim_is_on_the_line_of_its_payment() {
    let scene = Scene::with_room().await;
    let records = stream(&scene);
    // Before the spray: the first start builds the functions, and a spray ends after ten minutes.
    let mut claim = Bootstrap::start(&scene, "spray-claim").await;
    scene.spray(SystemClock.now()).await;
    assert_eq!(Reply::of(&claim.invoke(&traced_claim()).await).status, 201);
    let line = lines(&log_of(claim).await);
    let line = line.iter().find(|line| line.get("http.route").is_some()).unwrap();
    assert_eq!(line["trace.id"], TRACE);
    // Membership, token beside the budgets of missed tokens, and draw, which writes a bucket and its
    // index.
    assert_eq!((&line["dynamo.calls"], &line["dynamo.write_units"]), (&json!(4), &json!("2.00")));

    scene.world.settle().await;
    let batch = json!({ "Records": *records.lock().unwrap() });
    Bootstrap::start(&scene, "outbox").await.invoke(&batch).await;
    let sent = scene.world.queue("largesse-grants.fifo").unwrap().messages;
    let bodies: Vec<Value> =
        sent.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect();
    let traces: Vec<_> = bodies.iter().map(|body| (&body["member"], &body["trace"])).collect();
    assert_eq!(traces, [(&json!("bob"), &json!(TRACE))]);

    let mut pay = Bootstrap::start(&scene, "grant-pay").await;
    let batch = json!({ "Records": [message("bob", "bob", &bodies[0])] });
    let answered = pay.invoke(&batch).await;
    assert_eq!(answered.body, json!({ "batchItemFailures": [] }));
    let log = lines(&log_of(pay).await);
    let paid = log.iter().find(|line| line["message"] == "paid").unwrap();
    assert_eq!((&paid["trace.id"], &paid["grant.id"]), (&json!(TRACE), &bodies[0]["grant_id"]));
    // The line of the invocation has what all of its payments used.
    let ended = log.iter().find(|line| line["message"] == "the invocation has ended").unwrap();
    assert_eq!(ended["request.id"], *answered.invocation.request_id);
    assert!(ended["dynamo.calls"].as_u64() > Some(0), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_chunk_of_a_campaign_is_on_its_line() {
    let scene = Scene::new().await;
    for function in ["campaign-pay", "campaign-retry"] {
        let mut chunk = event(function, "happy");
        let body = chunk["Records"][0]["body"].as_str().unwrap();
        let mut body: Value = serde_json::from_str(body).unwrap();
        body["trace"] = json!(TRACE);
        chunk["Records"][0]["body"] = json!(body.to_string());
        let mut process = Bootstrap::start(&scene, function).await;
        process.invoke(&chunk).await;
        let log = lines(&log_of(process).await);
        let line = log.iter().find(|line| line["message"] == "its start is over").unwrap();
        assert_eq!((&line["trace.id"], &line["campaign.id"]), (&json!(TRACE), &body["campaign"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_invocation_writes_its_metrics_for_cloudwatch() {
    let scene = Scene::with_room().await;
    // Before the spray, as above.
    let mut claim = Bootstrap::start(&scene, "spray-claim").await;
    scene.spray(SystemClock.now()).await;
    for status in [201, 409] {
        assert_eq!(Reply::of(&claim.invoke(&event("spray-claim", "happy")).await).status, status);
    }
    let log = lines(&log_of(claim).await);
    let metrics: Vec<&Value> = log.iter().filter(|line| line.get("_aws").is_some()).collect();
    let find = |name: &str, label: &str, value: &str| {
        let found = metrics.iter().find(|line| line.get(name).is_some() && line[label] == value);
        *found.unwrap_or_else(|| panic!("no {name} of {value}: {metrics:#?}"))
    };
    for code in ["OK", "ERR102"] {
        let line = find("http_requests_total", "code", code);
        assert_eq!(line["http_requests_total"], 1);
        assert_eq!(line["route"], "POST /api/v2/sprays/{token}/claims");
        let told = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(told["Namespace"], "Largesse");
        assert_eq!(told["Dimensions"], json!([["function", "route", "code"]]));
        assert!(line["http_request_ms"][0].is_number(), "{line}");
    }
    assert_eq!(find("draws_total", "outcome", "won")["draws_total"], 1);
    assert_eq!(find("draws_total", "outcome", "already")["draws_total"], 1);
    assert_eq!(find("cache_hits_total", "cache", "tokens")["cache_hits_total"], 1);
    let units = find("dynamo_calls_total", "function", "spray-claim");
    assert_eq!(units["dynamo_write_units_x100_total"], 200);
}

/// What functions are trusted with, and members of the events. The id of an access key is none: the AWS
/// SDK logs it at this level.
const CANARIES: [&str; 9] = [
    MASTER,
    CURSOR_SECRET,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    MONEY_SECRET,
    WEBHOOK_SECRET,
    "alice",
    "bob",
    "carol",
];
/// What the secrets of signatures follow from.
const MASTER: &str = "the-master-secret-of-all-signatures-of-the-tests";
const MONEY_SECRET: &str = "the-secret-of-the-money-service";
const WEBHOOK_SECRET: &str = "the-secret-in-the-address-of-the-webhook";

/// Starts a function with all secrets that it reads, at the level `debug`. The money service and the
/// webhook are where nothing listens.
async fn talkative(scene: &Scene, function: &str, auth: &str) -> Bootstrap {
    Bootstrap::start_changed(scene, function, |environment| {
        for (name, value) in [
            ("AUTH", auth.to_owned()),
            ("SIGNATURE_SECRETS", MASTER.to_owned()),
            ("MONEY_URL", "http://127.0.0.1:9/".to_owned()),
            ("MONEY_RATE_PER_S", "50".to_owned()),
            ("MONEY_SECRET", MONEY_SECRET.to_owned()),
            ("WEBHOOK_URL", format!("http://127.0.0.1:9/{WEBHOOK_SECRET}")),
        ] {
            if environment.contains_key(name) {
                environment.insert(name.to_owned(), value);
            }
        }
        environment.insert("RUST_LOG".to_owned(), "debug".to_owned());
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_function_tells_a_secret_or_a_member_at_the_level_debug() {
    for function in &stack().functions {
        let name = &function.binary;
        let scene = Scene::with_grants().await;
        let mut process = talkative(&scene, name, "open").await;
        let (happy, hostile) = (event(name, "happy"), event(name, "hostile"));
        invoke_all(&scene, &mut process, [&happy, &hostile, &happy]).await;
        assert_silent(name, &log_of(process).await, &[]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_function_tells_what_a_request_is_signed_with_at_the_level_debug() {
    let functions = stack().functions.iter();
    for function in functions.filter(|function| function.environment.contains_key("AUTH")) {
        let name = &function.binary;
        let scene = Scene::with_grants().await;
        let mut process = talkative(&scene, name, "signed").await;
        let happy = event(name, "happy");
        let (good, mut canaries) = sign(&scene, MASTER, &happy, "a-nonce-of-the-first").await;
        let (mut bad, of_bad) = sign(&scene, MASTER, &happy, "a-nonce-of-the-second").await;
        bad["headers"]["x-timestamp"] = json!("1");
        let (failing, of_failing) = sign(&scene, MASTER, &happy, "a-nonce-of-the-third").await;
        canaries.extend(of_bad.into_iter().chain(of_failing));
        invoke_all(&scene, &mut process, [&good, &bad, &failing]).await;
        let log = log_of(process).await;
        assert_silent(name, &log, &canaries);
        let owners = lines(&log).into_iter().filter(|line| line.get("http.route").is_some());
        let owners: Vec<_> = owners.map(|line| line["owner"].clone()).collect();
        // The last one fails before its caller is verified.
        assert_eq!(owners, ["chat", "", ""], "{name}: {log}");
    }
}

/// Hands in events; AWS fails during the last one, and the causes are told in full.
async fn invoke_all(scene: &Scene, process: &mut Bootstrap, [first, second, last]: [&Value; 3]) {
    process.try_invoke(first, SHORT).await;
    process.try_invoke(second, SHORT).await;
    let faults = Faults::seeded(1).always(Matching::any(), Fault::InternalError);
    scene.world.set_fault_hook(Some(Arc::new(faults)));
    process.try_invoke(last, SHORT).await;
    scene.world.set_fault_hook(None);
}

fn assert_silent(name: &str, log: &str, more: &[String]) {
    assert!(log.lines().count() > 3, "{name}: {log}");
    for canary in CANARIES.into_iter().chain(more.iter().map(String::as_str)) {
        let line = log.lines().find(|line| line.contains(canary));
        assert!(line.is_none(), "{name} tells {canary}: {line:?}");
    }
}
