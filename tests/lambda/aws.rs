//! AWS over a socket: requests go to the world as they are.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use futures::stream;
use largesse_emulator::World;
use tokio::net::TcpListener;

/// The front's server. It ends with the runtime of its test.
pub(crate) struct Aws {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    world: World,
    traces: Mutex<Vec<Option<String>>>,
}

impl Aws {
    pub(crate) async fn serve(world: World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared { world, traces: Mutex::default() });
        let router = Router::new().route("/", post(answer)).with_state(Arc::clone(&shared));
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { address, shared }
    }

    /// The trace header of every request so far.
    pub(crate) fn traces(&self) -> Vec<Option<String>> {
        self.shared.traces.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let trace = header("x-amzn-trace-id").map(ToOwned::to_owned);
    shared.traces.lock().unwrap_or_else(PoisonError::into_inner).push(trace);
    let target = header("x-amz-target").unwrap_or_default();
    match shared.world.answer(target, body.to_vec()).await {
        Some(answer) => answer.map(Body::from),
        // The head is out and the body never comes: the client sees a broken connection.
        None => Response::new(Body::from_stream(stream::once(async {
            Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset))
        }))),
    }
}
