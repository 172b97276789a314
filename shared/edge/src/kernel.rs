//! What goes around every router, once: identity of the request, limits, errors, headers, one line
//! in the log.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use largesse_app::ports::{Clock, Ids};

use crate::code::Code;
use crate::error::{ApiError, Rendered, Unrendered};
use crate::extract::header_once;
use crate::meta::{Meta, RequestId, Version};
use crate::routes::methods_of;

/// Names the request in every answer, and in the log.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that is taken over from the caller.
const REQUEST_ID_LEN_MAX: usize = 64;

/// Puts the kernel around a router: a function's own, or the merged one of the local stack. The
/// router itself must set no fallback.
pub fn wrap<D>(router: Router, deps: Arc<D>) -> Router
where
    D: Clock + Ids + Send + Sync + 'static,
{
    router
        .fallback(unrouted)
        .method_not_allowed_fallback(unrouted)
        .layer(from_fn_with_state(deps, around::<D>))
}

/// What the router has no handler for: a wrong method, be the route another function's, or nothing
/// at all.
async fn unrouted(uri: Uri, matched: Option<MatchedPath>) -> Response {
    let methods = methods_of(uri.path());
    if methods.is_none() && matched.is_none() {
        return ApiError::not_found().into_response();
    }
    let error = ApiError::new(Code::InvalidRequest, "Method Not Allowed")
        .status(StatusCode::METHOD_NOT_ALLOWED);
    match methods {
        Some(methods) => ([(header::ALLOW, methods)], error).into_response(),
        None => error.into_response(),
    }
}

async fn around<D>(State(deps): State<Arc<D>>, mut request: Request, next: Next) -> Response
where
    D: Clock + Ids + Send + Sync + 'static,
{
    let started = deps.now();
    let request_id = request_id_of(&request).unwrap_or_else(|| deps.ulid().to_string());
    let version = Version::of_path(request.uri().path());
    let meta = Meta { request_id, version };
    let method = request.method().clone();
    // The pattern, never the path: a path holds tokens and members.
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    request.extensions_mut().insert(meta.clone());

    // A defect in one request must not take down the process that serves all of them, as the local
    // stack's does. The shipped functions abort (panic = "abort", for their size): each serves one
    // request, which Lambda answers with its own 500, and starts the next one afresh.
    let response = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = response.unwrap_or_else(|_| {
        let error = ApiError::new(Code::Internal, "Something went wrong on our side.");
        error.render(&meta)
    });
    let response = write_down(response, &meta);
    let elapsed_ms = deps.now().ms_since(started);
    log(&meta, method.as_str(), route.as_deref().unwrap_or("none"), &response, elapsed_ms);
    dress(response, &meta)
}

/// The platform's identity of the request, or the caller's own where it is well-formed.
fn request_id_of(request: &Request) -> Option<String> {
    if let Some(RequestId(id)) = request.extensions().get() {
        return Some(id.clone());
    }
    from_caller(request.headers())
}

fn from_caller(headers: &HeaderMap) -> Option<String> {
    let id = header_once(headers, REQUEST_ID.as_str()).ok()?;
    let fits = (1..=REQUEST_ID_LEN_MAX).contains(&id.len());
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (fits && id.bytes().all(allowed)).then(|| id.to_owned())
}

/// Writes down an error that a handler left, keeping the headers that the router gave (`Allow`).
fn write_down(mut response: Response, meta: &Meta) -> Response {
    let Some(Unrendered(error)) = response.extensions_mut().remove() else { return response };
    let headers = std::mem::take(response.headers_mut());
    let mut written = Arc::unwrap_or_clone(error).render(meta);
    for (name, value) in headers {
        // The empty body's length would be wrong now.
        if let Some(name) = name.filter(|name| *name != header::CONTENT_LENGTH) {
            written.headers_mut().entry(name).or_insert(value);
        }
    }
    written
}

fn log(meta: &Meta, method: &str, route: &str, response: &Response, elapsed_ms: u64) {
    let status = response.status().as_u16();
    let error = response.extensions().get::<Rendered>().map(|Rendered(error)| error);
    let code = error.map_or("", |error| error.code().as_str());
    if status < 500 {
        tracing::info!(
            request.id = meta.request_id,
            http.method = method,
            http.route = route,
            http.status = status,
            http.elapsed_ms = elapsed_ms,
            error.code = code,
        );
    } else {
        let cause = error.and_then(|error| error.causes()).unwrap_or_default();
        tracing::error!(
            request.id = meta.request_id,
            http.method = method,
            http.route = route,
            http.status = status,
            http.elapsed_ms = elapsed_ms,
            error.code = code,
            error.cause = cause,
        );
    }
}

/// Headers that every answer carries.
fn dress(mut response: Response, meta: &Meta) -> Response {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&meta.request_id) {
        headers.insert(REQUEST_ID, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Answers are about money and members: nothing in between may keep them.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{BODY_LEN_MAX, Call};
    use crate::testing::{Untouched, send};
    use axum::routing::{get, post};
    use rstest::rstest;

    fn router() -> Router {
        let router = Router::new()
            .route("/api/v2/echo", post(async |call: Call| call.body.len().to_string()))
            .route("/api/v1/echo", post(async |call: Call| call.body.len().to_string()))
            .route("/api/v2/busy", get(async || ApiError::unavailable("busy", 3)))
            .route("/api/v2/panic", get(panicking));
        wrap(router, Arc::new(Untouched::default()))
    }

    async fn panicking() -> &'static str {
        panic!("a defect")
    }

    #[rstest]
    #[case("GET", "/api/v2/none", 404, "ERR005", "application/problem+json")]
    #[case("GET", "/api/v1/none", 404, "ERR005", "application/json")]
    #[case("GET", "/", 404, "ERR005", "application/problem+json")]
    #[case("GET", "/api/v3/echo", 404, "ERR005", "application/problem+json")]
    #[case("DELETE", "/api/v2/echo", 405, "ERR001", "application/problem+json")]
    #[case("DELETE", "/api/v1/echo", 405, "ERR001", "application/json")]
    #[case("GET", "/api/v2/busy", 503, "ERR008", "application/problem+json")]
    #[case("GET", "/api/v2/panic", 500, "ERR003", "application/problem+json")]
    #[tokio::test]
    async fn every_error_is_written_in_its_versions_shape(
        #[case] method: &str,
        #[case] path: &str,
        #[case] status: u16,
        #[case] code: &str,
        #[case] kind: &str,
    ) {
        let (found, headers, body) = send(router(), method, path, &[], "").await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((found, body["code"].as_str().unwrap()), (status, code));
        assert_eq!(headers["content-type"], kind);
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers.contains_key("allow"), status == 405);
        assert_eq!(headers.contains_key("retry-after"), status == 503);
        if kind.contains("problem") {
            assert_eq!(body["request_id"], headers["x-request-id"].to_str().unwrap());
            assert_eq!(body["status"], status);
        } else {
            let text = if status == 404 { "Not Found" } else { "Method Not Allowed" };
            assert_eq!(body["detail"], text);
        }
    }

    #[tokio::test]
    async fn a_body_above_64_kib_is_refused() {
        let fits = "x".repeat(BODY_LEN_MAX);
        let (status, _, body) = send(router(), "POST", "/api/v2/echo", &[], &fits).await;
        assert_eq!((status, body.as_str()), (200, "65536"));
        for version in ["v1", "v2"] {
            let path = format!("/api/{version}/echo");
            let (status, _, body) = send(router(), "POST", &path, &[], &(fits.clone() + "x")).await;
            assert_eq!(status, 413);
            assert!(body.contains("ERR001"), "{body}");
            // Whoever only announces it is not waited for.
            let says = [("content-length", "65537")];
            let (status, _, _) = send(router(), "POST", &path, &says, "").await;
            assert_eq!(status, 413);
        }
    }

    #[rstest]
    #[case(Some("my-id_7"), true)]
    #[case(Some("a b"), false)]
    #[case(Some(""), false)]
    #[case(None, false)]
    #[tokio::test]
    async fn a_request_is_named_by_its_caller_only_in_plain_letters(
        #[case] sent: Option<&str>,
        #[case] kept: bool,
    ) {
        let headers: Vec<_> = sent.map(|id| ("X-Request-Id", id)).into_iter().collect();
        let (_, answered, _) = send(router(), "GET", "/", &headers, "").await;
        let id = answered["x-request-id"].to_str().unwrap();
        assert_eq!(sent == Some(id), kept);
        assert!(kept || id.len() == 26, "{id}");
    }
}
