//! Odd events: each gets one answer, the same behind API Gateway and over HTTP, and changes nothing.
//!
//! Every row goes through the shipped binaries as an event, and as bytes to the local server over
//! the same tables. What cannot be sent over HTTP is marked so: the server itself refuses it.

use std::collections::BTreeMap;
use std::future::pending;

use largesse::{compose, serve};
use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use largesse_tests::raw::{RawReply, exchange};
use serde_json::{Value, json};

use crate::bootstrap::{Bootstrap, CURSOR_SECRET};
use crate::http::Reply;
use crate::odd_rows::{Local, Odd, claim, deposits, headers, other_events, paths, queries};
use crate::scene::Scene;

/// Status, code, content type, and the body without what differs from request to request.
fn essence(status: u64, content_type: &str, body: &Value) -> (u64, String, Value) {
    let mut body = body.clone();
    if let Some(body) = body.as_object_mut() {
        body.remove("request_id");
    }
    (status, content_type.to_owned(), body)
}

/// Drives the rows through a function and through the local server, and compares the answers.
async fn drive(scene: &Scene, function: &str, rows: &[Odd]) {
    let local = compose::compose(scene.world.clone(), scene.store.clone(), CURSOR_SECRET);
    let router = local.expect("the local stack").router;
    let listener = serve::bind(([127, 0, 0, 1], 0).into()).await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let server = tokio::spawn(serve::serve(listener, router, pending()));
    // One process for all rows: none of them may end it.
    let mut bootstrap = Bootstrap::start(scene, function).await;
    for row in rows {
        let deployed = Reply::of(&bootstrap.invoke(&row.event()).await);
        let what = format!("{function}: {}: {}", row.what, deployed.body);
        assert_eq!((deployed.status, deployed.code()), (row.status, row.code), "{what}");
        match &row.local {
            Local::Sent(bytes) => {
                let sent = exchange(&address, bytes).await.expect("an answer");
                let RawReply { status, content_type, body } = sent;
                let local = essence(status.into(), &content_type, &body);
                let kind = deployed.headers["content-type"].as_str().expect("a type");
                assert_eq!(essence(deployed.status, kind, &deployed.body), local, "{what}");
            }
            Local::RefusedByTheServer(bytes, expected) => {
                let sent = exchange(&address, bytes).await.expect("an answer");
                assert_eq!((sent.status, sent.body), (*expected, Value::Null), "{what}");
            }
            Local::CannotBeSent => {}
        }
    }
    server.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_path_is_no_route_and_draws_no_share() {
    let scene = Scene::with_room().await;
    scene.spray(SystemClock.now()).await;
    let rows = paths();
    // API Gateway gives an odd token to the function of the claim, and what is no route to `$default`.
    let (claims, others): (Vec<_>, Vec<_>) = rows.iter().cloned().partition(Odd::is_claim);
    drive(&scene, "spray-claim", &claims).await;
    drive(&scene, "query", &others).await;
    // A proxy in front may read the path otherwise and choose the function of the claim for any.
    let mut bootstrap = Bootstrap::start(&scene, "spray-claim").await;
    for row in &rows {
        let reply = Reply::of(&bootstrap.invoke(&row.event()).await);
        assert_eq!(reply.status, 404, "{}: {}", row.what, reply.body);
    }
    assert!(scene.grant("carol").await.is_none());
    // The same request without anything odd draws.
    let reply = Reply::of(&bootstrap.invoke(&claim().event()).await);
    assert_eq!(reply.status, 201, "{}", reply.body);
    assert!(scene.grant("carol").await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_query_is_refused() {
    let scene = Scene::new().await;
    drive(&scene, "query", &queries()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_header_changes_nothing_or_is_refused() {
    let scene = Scene::new().await;
    drive(&scene, "query", &headers()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_odd_body_is_measured_decoded_or_refused() {
    let scene = Scene::new().await;
    drive(&scene, "wallet", &deposits()).await;
    // Each size was deposited under a key of its own, and once.
    assert_eq!(scene.balance("alice").await, 2 * 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_another_kind_gets_a_problem_document() {
    let scene = Scene::new().await;
    for function in [
        "admin",
        "campaign-control",
        "product-invest",
        "drop-enter",
        "query",
        "spray-claim",
        "spray-create",
        "wallet",
    ] {
        let mut bootstrap = Bootstrap::start(&scene, function).await;
        for event in other_events() {
            let reply = Reply::of(&bootstrap.invoke(&event).await);
            reply.assert_problem(400, "ERR001");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stage_and_a_base_path_are_stripped() {
    let scene = Scene::new().await;
    let based = |environment: &mut BTreeMap<String, String>| {
        environment.insert("BASE_PATH".to_owned(), "/pay".to_owned());
    };
    let mut bootstrap = Bootstrap::start_changed(&scene, "query", based).await;
    for (stage, path, status) in [
        ("prod", "/prod/api/v2/health", 200),
        ("prod", "/prod/pay/api/v2/health", 200),
        ("$default", "/pay/api/v2/health", 200),
        ("$default", "/api/v2/health", 200),
        ("$default", "/payapi/v2/health", 404),
        ("$default", "/prod/api/v2/health", 404),
    ] {
        let mut event = Odd::get("stage", "/api/v2/health").event();
        event["rawPath"] = json!(path);
        event["requestContext"]["stage"] = json!(stage);
        let reply = Reply::of(&bootstrap.invoke(&event).await);
        assert_eq!(reply.status, status, "{stage} {path}: {}", reply.body);
    }
}

#[test]
fn the_table_has_forty_rows_and_more() {
    let rows = [paths(), queries(), headers(), deposits()].concat();
    assert!(rows.len() + other_events().len() >= 40, "{}", rows.len());
    let sent = rows.iter().filter(|row| matches!(row.local, Local::Sent(_))).count();
    assert!(sent >= 30, "{sent} are compared");
}
