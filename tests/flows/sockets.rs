//! What arrives on a socket and is hardly HTTP: refused, and the stack goes on.

use std::future::pending;
use std::sync::Arc;

use axum::body::Body;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::Request;
use largesse::serve;
use largesse_domain::time::Timestamp;
use largesse_edge::time;
use largesse_emulator::{Call, Fault, FaultHook, Outcome};
use largesse_tests::http::Reply;
use largesse_tests::raw::exchange_cut_short;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower::ServiceExt;

const POST: &str = "POST /api/v2/wallets/ann/deposits HTTP/1.1\r\nHost: x\r\nX-USER-ID: ann\r\n\
    Idempotency-Key: k\r\nContent-Type: application/json\r\n";

const HEALTH: &[u8] = b"GET /api/v2/health HTTP/1.1\r\nHost: x\r\n\r\n";

#[rstest]
#[case::garbage("\0\u{1}\u{2}garbage\r\n\r\n".to_owned(), Some(400))]
#[case::no_version("GET /\r\n\r\n".to_owned(), Some(400))]
#[case::half_a_request("GET / HT".to_owned(), None)]
#[case::other_protocol("PRI * HTTP/9.9\r\n\r\n".to_owned(), Some(400))]
#[case::header_without_end(
    format!("GET / HTTP/1.1\r\nX-USER-ID: {}", "x".repeat(1_000_000)),
    Some(431)
)]
#[case::many_headers(format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(10_000)), Some(431))]
#[case::long_path(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(100_000)), Some(414))]
#[case::headers_cut_in_two("GET / HTTP/1.1\r\nX-A: a\r\n\nb\r\n\r\n".to_owned(), Some(307))]
#[case::body_cut_short(format!("{POST}Content-Length: 100\r\n\r\n{{\"amount\":5}}"), Some(400))]
#[case::two_lengths(
    format!("{POST}Content-Length: 12\r\nContent-Length: 13\r\n\r\n{{\"amount\":5}}"),
    Some(400)
)]
#[case::bad_chunks(format!("{POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), Some(400))]
#[case::length_and_chunks(
    format!("{POST}Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{{\r\n0\r\n\r\n"),
    Some(400)
)]
#[tokio::test]
async fn what_is_hardly_http_is_refused_and_changes_nothing(
    #[case] bytes: String,
    #[case] expected: Option<u16>,
) {
    let listener = serve::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let local = serve::assemble(None, &[], None).unwrap();
    let server = tokio::spawn(serve::serve(listener, local.router.clone(), pending()));
    let status = async |bytes| exchange_cut_short(&address, bytes).await.map(|reply| reply.status);
    assert_eq!(status(bytes.as_bytes()).await, expected);
    assert_eq!(status(HEALTH).await, Some(200));
    for table in &local.world.stack().tables {
        let items = local.world.database().scan(&table.name).unwrap();
        assert!(items.is_empty(), "{}: {items:?}", table.name);
    }
    server.abort();
}

/// Holds up the transaction that moves money.
struct HoldUp {
    reached: Semaphore,
    go_on: Semaphore,
}

impl FaultHook for HoldUp {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        async {
            if call.operation == "TransactWriteItems" {
                self.reached.add_permits(1);
                self.go_on.acquire().await.unwrap().forget();
            }
            None
        }
        .boxed()
    }

    fn after<'a>(&'a self, _: &'a Call, _: Outcome) -> BoxFuture<'a, Option<Fault>> {
        async { None }.boxed()
    }
}

#[tokio::test]
async fn a_request_whose_caller_hangs_up_is_finished() {
    let listener = serve::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let local = serve::assemble(None, &[], None).unwrap();
    let hold_up = Arc::new(HoldUp { reached: Semaphore::new(0), go_on: Semaphore::new(0) });
    local.world.set_fault_hook(Some(hold_up.clone()));
    let server = tokio::spawn(serve::serve(listener, local.router.clone(), pending()));

    let body = r#"{"amount":5}"#;
    let mut caller = TcpStream::connect(address).await.unwrap();
    let head = format!("{POST}Content-Length: {}\r\n\r\n{body}", body.len());
    caller.write_all(head.as_bytes()).await.unwrap();
    hold_up.reached.acquire().await.unwrap().forget();
    drop(caller);
    // By then the server has seen that the caller is gone.
    for _ in 0..20 {
        let reply = exchange_cut_short(&address.to_string(), HEALTH).await.unwrap();
        assert_eq!(reply.status, 200);
    }
    hold_up.go_on.add_permits(1);

    let request = Request::post("/api/v2/wallets/ann/deposits")
        .header("X-USER-ID", "ann")
        .header("Idempotency-Key", "k")
        .header("Content-Type", "application/json");
    let request = request.body(Body::from(body)).unwrap();
    let reply = Reply::read(local.router.clone().oneshot(request).await.unwrap()).await.expect(201);
    assert_eq!(reply.header("idempotency-replayed"), "true");
    server.abort();
}

/// Sends a request over a connection that stays open, and reads its answer: status, code and slot.
async fn ask(socket: &mut TcpStream, user: &str, path: &str, body: &str) -> (u16, Value) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nX-USER-ID: {user}\r\nIdempotency-Key: one\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let head = loop {
        answer.push(socket.read_u8().await.unwrap());
        if answer.ends_with(b"\r\n\r\n") {
            break String::from_utf8(std::mem::take(&mut answer)).unwrap();
        }
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    answer.resize(length.parse().unwrap(), 0);
    socket.read_exact(&mut answer).await.unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_slice(&answer).unwrap())
}

/// Row D10: everything over one connection and under one `Idempotency-Key`.
#[tokio::test]
async fn members_who_share_a_connection_and_a_key_have_slots_of_their_own() {
    let listener = serve::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let local = serve::assemble(None, &[], None).unwrap();
    let server = tokio::spawn(serve::serve(listener, local.router.clone(), pending()));
    let now = Timestamp::from_ms(local.world.clock().now_ms());
    let wallet = "/api/v2/wallets/ann/deposits";
    assert_eq!(ask(&mut socket, "ann", wallet, r#"{"amount":20}"#).await.0, 201);
    let terms = json!({
        "name": "d", "slots": 2, "amount": 10, "waiting": 0,
        "opens_at": time::format(now), "closes_at": time::format(now.plus_ms(600_000)),
    });
    let (status, made) = ask(&mut socket, "ann", "/api/v2/drops", &terms.to_string()).await;
    assert_eq!(status, 201, "a key is one caller's, for one route");
    let path = format!("/api/v2/drops/{}/entries", made["drop_id"].as_str().unwrap());
    let mut slots = Vec::new();
    for name in ["bob", "eve"] {
        let (status, won) = ask(&mut socket, name, &path, "").await;
        assert_eq!((status, &won["state"]), (201, &json!("won")));
        slots.push(won["slot"].clone());
    }
    assert_eq!(slots, [json!(1), json!(2)]);
    // Each hears of the own slot, in whatever order they ask.
    for (name, slot) in [("eve", &slots[1]), ("bob", &slots[0]), ("eve", &slots[1])] {
        let (status, heard) = ask(&mut socket, name, &path, "").await;
        assert_eq!((status, &heard["code"], &heard["slot"]), (409, &json!("ERR301"), slot));
    }
    server.abort();
}
