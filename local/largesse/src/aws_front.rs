//! The emulator over a socket, for SDK clients in other processes on this machine: the operator's
//! commands, or the AWS command line with `--endpoint-url`.
//!
//! It checks no credentials, so only this machine may call it. [`crate::up`] serves it when it
//! listens on loopback. It refuses a request from another machine, and one whose `Host` is no
//! loopback name: a web page that rebinds its name to 127.0.0.1 sends such a request.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::header::HOST;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use largesse_emulator::World;

/// The path of the route.
pub const PATH: &str = "/_aws";
/// The largest request of `DynamoDB` is 16 MB (its API reference); SQS's are smaller.
const BODY_BYTES_MAX: usize = 16 << 20;

/// The route. The server must know its peers: see [`crate::serve::serve`].
pub fn router(world: World) -> Router {
    Router::new()
        .route(PATH, post(answer))
        .route("/_aws/", post(answer))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(world)
}

async fn answer(
    State(world): State<World>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !peer.ip().to_canonical().is_loopback() || !is_loopback_name(text(HOST.as_str())) {
        return (StatusCode::FORBIDDEN, "The emulator answers this machine only.").into_response();
    }
    match world.answer(text("x-amz-target"), body.to_vec()).await {
        Some(answer) => answer.map(Body::from),
        None => {
            (StatusCode::BAD_REQUEST, "X-Amz-Target names no emulated service.").into_response()
        }
    }
}

/// Whether a `Host` can only mean this machine.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback_name;

    #[test]
    fn only_names_of_this_machine_are_served() {
        let ours = ["127.0.0.1:3000", "localhost", "LOCALHOST:80", "[::1]:3000", "127.0.0.2"];
        assert!(ours.into_iter().all(is_loopback_name));
        let others = ["", "example.com", "127.0.0.1.example.com:80", "10.0.0.1:3000", "[::2]:1"];
        assert!(!others.into_iter().any(is_loopback_name));
    }
}
