//! The life of a process: start, invocations, deadlines, end.

use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use largesse_emulator::{Fault, Faults, FunctionSpec, Matching, Service};
use serde_json::json;

use crate::binaries::stack;
use crate::bootstrap::{ACCESS_KEY_ID, Bootstrap, CURSOR_SECRET, SECRET_ACCESS_KEY, SESSION_TOKEN};
use crate::events::event;
use crate::http::Reply;
use crate::scene::Scene;

/// Longer than any deadline.
const NEVER: Duration = Duration::from_secs(3_600);
/// A short life, of which far more is left when a function gives up than a busy machine takes away.
const SHORT: Duration = Duration::from_secs(4);
/// The number of SIGTERM, on every system that Lambda runs on.
const SIGTERM: i32 = 15;

fn strike(scene: &Scene, faults: Faults) {
    scene.world.set_fault_hook(Some(Arc::new(faults)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_process_answers_a_repeated_request_with_its_first_answer() {
    let scene = Scene::new().await;
    let mut wallet = Bootstrap::start(&scene, "wallet").await;
    let deposit = event("wallet", "happy");
    let first = Reply::of(&wallet.invoke(&deposit).await);
    let again = Reply::of(&wallet.invoke(&deposit).await);
    assert_eq!((first.status, first.body), (again.status, again.body));
    assert_eq!(scene.balance("alice").await, 50_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_whose_reply_is_lost_on_the_wire_is_made_once() {
    let scene = Scene::new().await;
    let lost = Matching::operation("TransactWriteItems");
    strike(&scene, Faults::seeded(1).nth(1, lost, Fault::ReplyLost));
    let mut wallet = Bootstrap::start(&scene, "wallet").await;
    let reply = Reply::of(&wallet.invoke(&event("wallet", "happy")).await);
    assert_eq!((reply.status, &reply.body["balance"]), (201, &json!(50_000)));
    let posted = scene.world.recorder().operation(Service::DynamoDb, "TransactWriteItems");
    assert_eq!((posted.calls, scene.balance("alice").await), (2, 50_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_says_so_before_its_deadline_when_aws_does_not_answer() {
    let scene = Scene::new().await;
    let mut query = Bootstrap::start(&scene, "query").await;
    let read = event("query", "happy");
    // It is warm: only the waiting is measured.
    assert_eq!(Reply::of(&query.invoke(&read).await).status, 200);
    strike(&scene, Faults::seeded(1).always(Matching::any(), Fault::DelayReply(NEVER)));
    let answered = query.invoke_within(&read, SHORT).await;
    assert!(answered.at <= answered.invocation.deadline, "{answered:?}");
    let reply = Reply::of(&answered);
    reply.assert_problem(503, "ERR008");
    assert_eq!(reply.headers["retry-after"], "1");
    // It is as good as before.
    scene.world.set_fault_hook(None);
    assert_eq!(Reply::of(&query.invoke(&read).await).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_returns_to_its_queue_before_the_deadline_when_aws_does_not_answer() {
    let scene = Scene::with_grants().await;
    let mut pay = Bootstrap::start(&scene, "grant-pay").await;
    let none = json!({ "Records": [] });
    assert_eq!(pay.invoke(&none).await.body, json!({ "batchItemFailures": [] }));
    strike(&scene, Faults::seeded(1).always(Matching::any(), Fault::DelayReply(NEVER)));
    let batch = event("grant-pay", "happy");
    let answered = pay.invoke_within(&batch, SHORT).await;
    assert!(answered.at <= answered.invocation.deadline, "{answered:?}");
    assert_eq!(answered.body["batchItemFailures"].as_array().unwrap().len(), 2);
    scene.world.set_fault_hook(None);
    assert_eq!(scene.paid().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_another_shape_fails_its_invocation_and_not_the_process() {
    let scene = Scene::with_grants().await;
    // Behind HTTP such an event is answered: tests/lambda/odd.rs.
    let takes_batches = |f: &&FunctionSpec| !f.queues.is_empty() || !f.streams.is_empty();
    let functions: Vec<_> = stack().functions.iter().filter(takes_batches).collect();
    assert!(functions.len() > 2, "{} functions", functions.len());
    for function in functions {
        let mut process = Bootstrap::start(&scene, &function.binary).await;
        for event in [json!(null), json!("text"), json!({ "Records": 5 })] {
            let error = process.refuse(&event).await;
            let kind = error["errorType"].as_str().unwrap();
            assert!(kind.ends_with("DeserializeError"), "{}: {error}", function.binary);
        }
        process.invoke(&event(&function.binary, "hostile")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_call_to_aws_carries_the_trace_of_its_invocation() {
    let scene = Scene::new().await;
    let mut wallet = Bootstrap::start(&scene, "wallet").await;
    let mut expected = Vec::new();
    for _ in 0..2 {
        let answered = wallet.invoke(&event("wallet", "happy")).await;
        expected.resize(scene.aws.traces().len(), Some(answered.invocation.trace));
    }
    assert_eq!(scene.aws.traces(), expected);
    assert_ne!(expected.first(), expected.last());
}

/// One variable of each kind; tests/contract/settings.rs goes through all of every function.
const VARIABLES: [&str; 6] =
    ["AUTH", "CURSOR_SECRET", "TABLE_LEDGER", "QUEUE_GRANTS_URL", "LIVE_SPRAYS_MAX", "AWS_REGION"];

#[tokio::test(flavor = "multi_thread")]
async fn a_function_whose_setting_is_missing_or_malformed_ends_and_says_which() {
    let scene = Scene::new().await;
    for function in &stack().functions {
        let reads = |name: &&str| function.environment.contains_key(*name) || *name == "AWS_REGION";
        for name in VARIABLES.into_iter().filter(reads) {
            for (value, fault) in [(None, "is not set"), (Some("a bad 값"), "is malformed")] {
                let start = Bootstrap::start_changed(&scene, &function.binary, |environment| {
                    environment.remove(name);
                    environment.extend(value.map(|value| (name.to_owned(), value.to_owned())));
                });
                let (status, log) = start.await.ended().await;
                let said = format!("the environment variable {name} {fault}: it must be ");
                assert_eq!(status.code(), Some(1), "{}: {log}", function.binary);
                assert!(log.contains(&said), "{}: {log}", function.binary);
                assert!(!log.contains("a bad"), "no value is told: {log}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_function_ends_at_once_when_it_is_told_to() {
    let scene = Scene::new().await;
    for function in stack().functions.iter().map(|function| &function.binary) {
        let process = Bootstrap::start(&scene, function).await;
        process.terminate();
        let (status, log) = process.ended().await;
        assert_eq!(status.signal(), Some(SIGTERM), "{function}: {log}");
        assert!(!log.contains("panicked"), "{function}: {log}");
    }
}

/// What no log may hold: who asked for what, and what the functions were trusted with.
const SECRETS: [&str; 12] = [
    "alice",
    "bob",
    crate::scene::TOKEN,
    "5f0d3c1e-deposit",
    "c41d9e02-spray",
    "October top-up",
    "\"amount\"",
    "recipients",
    CURSOR_SECRET,
    ACCESS_KEY_ID,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
];

#[tokio::test(flavor = "multi_thread")]
async fn no_log_names_a_member_a_token_or_a_secret() {
    let scene = Scene::with_room().await;
    scene.spray(SystemClock.now()).await;
    for (function, route) in [
        ("wallet", "/api/v2/wallets/{user}/deposits"),
        ("spray-create", "/api/v2/sprays"),
        ("spray-claim", "/api/v2/sprays/{token}/claims"),
        ("query", "/api/v2/wallets/{user}"),
    ] {
        let mut process = Bootstrap::start(&scene, function).await;
        let happy = event(function, "happy");
        let reply = Reply::of(&process.invoke(&happy).await);
        assert!(reply.status < 300, "{function}: {}", reply.body);
        // A refusal, and a failure, whose causes are told in full.
        process.invoke(&event(function, "hostile")).await;
        let fault = Fault::InternalError;
        strike(&scene, Faults::seeded(1).always(Matching::any(), fault));
        let failed = process.invoke_within(&happy, SHORT).await;
        Reply::of(&failed).assert_problem(503, "ERR008");
        scene.world.set_fault_hook(None);
        process.terminate();
        let (_, log) = process.ended().await;
        assert!(log.contains(route), "{function}: {log}");
        let token = reply.body["token"].as_str().map(|token| format!("\"{token}\""));
        for secret in SECRETS.into_iter().chain(token.as_deref()) {
            assert!(!log.contains(secret), "{function} names {secret}: {log}");
        }
    }
}
