//! The control path, over HTTP.

use largesse_money::tls;
use largesse_money_server::{Fault, Faults, Report, Server};
use serde_json::{Value, json};

use crate::scene::{grant, scene};

async fn send(method: reqwest::Method, server: &Server, path: &str, body: &str) -> (u16, Value) {
    let request = tls::local_client().request(method, format!("{}{path}", server.url()));
    let response = request.body(body.to_owned()).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

pub(crate) async fn post(server: &Server, path: &str, body: &str) -> (u16, Value) {
    send(reqwest::Method::POST, server, path, body).await
}

/// A member spends; the status of the answer.
pub(crate) async fn spend(server: &Server, member: &str, amount: u64) -> u16 {
    let path = format!("/control/members/{member}/spend");
    post(server, &path, &json!({ "amount": amount }).to_string()).await.0
}

#[tokio::test]
async fn faults_are_set_while_it_runs_and_the_books_are_read() {
    let scene = scene(Faults::default()).await;
    let faults = r#"{"shares": {"refuse": 1000}, "refusal_code": "closed"}"#;
    let (status, set) = send(reqwest::Method::PUT, &scene.server, "/control/faults", faults).await;
    assert_eq!((status, &set["shares"]), (200, &json!({ "refuse": 1000 })));
    assert_eq!(send(reqwest::Method::GET, &scene.server, "/control/faults", "").await, (200, set));
    assert_eq!(scene.paid(1).await, "refused");
    let (status, books) = send(reqwest::Method::GET, &scene.server, "/control/books", "").await;
    let report: Report = serde_json::from_value(books).unwrap();
    assert_eq!((status, &report), (200, &scene.server.report()));
    assert_eq!((report.calls, report.refused, report.refusals), (1, 1, 1));
}

#[tokio::test]
async fn what_control_cannot_do_changes_nothing() {
    let scene = scene(Faults::default().with(Fault::Pend, 1_000)).await;
    assert_eq!(scene.paid(1).await, "unknown");
    let before = scene.server.report();
    for faults in [r#"{"shares": {"refuse": 1001}}"#, r#"{"shares": {"x": 1}}"#, r#"{"x": 1}"#, ""]
    {
        let answer = send(reqwest::Method::PUT, &scene.server, "/control/faults", faults).await;
        assert_eq!(answer.0, 400, "{faults}");
    }
    let id = grant(1).id;
    for (verdict, status) in [
        (r#"{"id": "none", "status": "paid"}"#.to_owned(), 404),
        (format!(r#"{{"id": "{id}", "status": "pending"}}"#), 400),
        ("{}".to_owned(), 400),
    ] {
        assert_eq!(post(&scene.server, "/control/verdicts", &verdict).await.0, status);
    }
    assert_eq!(spend(&scene.server, "m1", 1).await, 409);
    assert_eq!(scene.server.report(), before);
}

#[tokio::test]
async fn a_malformed_payment_is_refused_and_not_kept() {
    let scene = scene(Faults::default()).await;
    let order = json!({ "id": "a", "member": "m", "amount": 1, "reason": "share", "source": "s" });
    let (status, problem) = post(&scene.server, "/transfers", &order.to_string()).await;
    assert_eq!(
        (status, &problem["detail"]),
        (400, &json!("Idempotency-Key is the id of the transfer."))
    );
    assert_eq!(post(&scene.server, "/transfers", "{}").await.0, 400);
    assert_eq!(scene.server.report().transfers, 0);
}
