//! Requests of an HTTP API.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::Response;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Serialize;
use serde_json::value::RawValue;
use tower::ServiceExt;

use crate::http_event::{BasePath, request_of};
use crate::invoked::invoked;

/// An answer in payload format 2.0.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HttpAnswer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

/// Serves a finished router behind an HTTP API, kernel included.
///
/// # Errors
/// When Lambda's runtime API cannot be reached.
pub async fn run_http(router: Router, base_path: BasePath) -> Result<(), Error> {
    // Serves one request at a time, or several where Lambda sends several.
    lambda_runtime::run_concurrent(service_fn(move |event| {
        answer(router.clone(), base_path.clone(), event)
    }))
    .await
}

/// The event is read here and not by Lambda's runtime, which answers nothing to the caller when an
/// event has another form.
async fn answer(
    router: Router,
    base_path: BasePath,
    event: LambdaEvent<Box<RawValue>>,
) -> Result<HttpAnswer, Error> {
    let request = request_of(event.payload.get(), &base_path);
    written(invoked(event.context, router.oneshot(request)).await?).await
}

async fn written(response: Response<Body>) -> Result<HttpAnswer, Error> {
    // Every answer is a text that is complete before Lambda sends it, and repeats no header.
    let (parts, body) = response.into_parts();
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    Ok(HttpAnswer {
        status_code: parts.status.as_u16(),
        headers: parts.headers.iter().filter_map(text).collect(),
        body: String::from_utf8(to_bytes(body, usize::MAX).await?.into())?,
        is_base64_encoded: false,
    })
}
