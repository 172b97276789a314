//! The Runtime API of Lambda, for one process at a time.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use largesse_domain::time::Timestamp;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// What a function is to do.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) request_id: String,
    pub(crate) deadline: Timestamp,
    pub(crate) function_arn: String,
    pub(crate) trace: String,
    pub(crate) event: Value,
}

/// What a process said.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It answered an invocation.
    Answer { request_id: String, at: Timestamp, body: Value },
    /// It could not answer an invocation.
    Error { request_id: String, body: Value },
    /// It could not start.
    InitError,
}

/// The API's server. It ends with the runtime of its test.
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    pub(crate) invocations: UnboundedSender<Invocation>,
    pub(crate) heard: UnboundedReceiver<Heard>,
}

struct Shared {
    waiting: Mutex<UnboundedReceiver<Invocation>>,
    tell: UnboundedSender<Heard>,
}

impl RuntimeApi {
    pub(crate) async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (invocations, waiting) = unbounded_channel();
        let (tell, heard) = unbounded_channel();
        let shared = Arc::new(Shared { waiting: Mutex::new(waiting), tell });
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(shared);
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { address, invocations, heard }
    }
}

/// Holds the poll until there is something to do.
async fn next(State(shared): State<Arc<Shared>>) -> Response {
    let Some(invocation) = shared.waiting.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let headers = [
        ("lambda-runtime-aws-request-id", invocation.request_id),
        ("lambda-runtime-deadline-ms", invocation.deadline.ms().to_string()),
        ("lambda-runtime-invoked-function-arn", invocation.function_arn),
        ("lambda-runtime-trace-id", invocation.trace),
        ("content-type", "application/json".to_owned()),
    ];
    (headers, invocation.event.to_string()).into_response()
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(request_id): Path<String>,
    body: Bytes,
) -> StatusCode {
    shared.tell(Heard::Answer { request_id, at: SystemClock.now(), body: json(&body) })
}

async fn error(
    State(shared): State<Arc<Shared>>,
    Path(request_id): Path<String>,
    body: Bytes,
) -> StatusCode {
    shared.tell(Heard::Error { request_id, body: json(&body) })
}

async fn init_error(State(shared): State<Arc<Shared>>) -> StatusCode {
    shared.tell(Heard::InitError)
}

impl Shared {
    fn tell(&self, heard: Heard) -> StatusCode {
        // Nobody listens any more when a test has ended.
        let _ = self.tell.send(heard);
        StatusCode::ACCEPTED
    }
}

fn json(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| String::from_utf8_lossy(body).into())
}
