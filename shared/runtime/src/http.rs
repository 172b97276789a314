//! Requests of an HTTP API.

use axum::Router;
use axum::body::to_bytes;
use http::Response;
use lambda_http::{Body, Request, RequestExt};
use lambda_runtime::{Error, service_fn};
use largesse_app::invocation;
use tower::ServiceExt;

use crate::invoked::invocation_of;

/// Serves a finished router behind an HTTP API, kernel included.
///
/// # Errors
/// When Lambda's runtime API cannot be reached.
pub async fn run_http(router: Router) -> Result<(), Error> {
    // Serves one request at a time, or several where Lambda sends several.
    lambda_http::run_concurrent(service_fn(move |request| answer(router.clone(), request))).await
}

async fn answer(router: Router, request: Request) -> Result<Response<Body>, Error> {
    let invocation = invocation_of(request.lambda_context_ref().cloned().unwrap_or_default());
    let request = request.map(axum::body::Body::new);
    let response = invocation::scope(invocation, router.oneshot(request)).await?;
    // Every answer is a text that is complete before Lambda sends it.
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await?.into())?;
    Ok(Response::from_parts(parts, Body::Text(text)))
}
