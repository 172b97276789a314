//! The middleware around every router: request id, limits, errors, headers, one log line a request.

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use largesse_app::invocation::{self, MalformedRequest};
use largesse_app::ports::{Clock, Ids};
use largesse_app::usage;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::auth::Caller;
use crate::code::Code;
use crate::error::{ApiError, Unrendered};
use crate::extract::header_once;
use crate::meta::{Meta, Version};
use crate::telemetry::{self, Served};

/// The header with the request id, in every answer.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest request id that the kernel takes from a caller.
const REQUEST_ID_LEN_MAX: usize = 64;

/// The methods of the route that a path belongs to, over all functions; `None` for no route.
pub type MethodsOf = fn(&str) -> Option<&'static str>;

/// Puts the kernel around the router of a function. The router itself must set no fallback.
pub fn wrap<D>(router: Router, deps: Arc<D>) -> Router
where
    D: Clock + Ids + Send + Sync + 'static,
{
    wrap_default(router, deps, |_| None)
}

/// Puts the kernel around the router of the `$default` function, which API Gateway also gives the
/// requests that match no route: `methods_of` tells it which methods the other functions take.
pub fn wrap_default<D>(router: Router, deps: Arc<D>, methods_of: MethodsOf) -> Router
where
    D: Clock + Ids + Send + Sync + 'static,
{
    let unrouted = async move |uri: Uri, matched: Option<MatchedPath>| {
        refuse_unrouted(methods_of(uri.path()), matched.is_some())
    };
    // Answers are about money and members: no cache on the way may keep them.
    let no_store = HeaderValue::from_static("no-store");
    let nosniff = HeaderValue::from_static("nosniff");
    router
        .fallback(unrouted)
        .method_not_allowed_fallback(unrouted)
        // A defect in one request must not end the process, which serves others too.
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(deps, around::<D>))
        .layer(SetResponseHeaderLayer::overriding(header::X_CONTENT_TYPE_OPTIONS, nosniff))
        .layer(SetResponseHeaderLayer::if_not_present(header::CACHE_CONTROL, no_store))
}

/// The answer to a request without a handler: 405 when its path has a route, here or in another
/// function, else 404.
fn refuse_unrouted(methods: Option<&'static str>, has_route: bool) -> Response {
    if methods.is_none() && !has_route {
        return ApiError::not_found().into_response();
    }
    let error = ApiError::new(Code::InvalidRequest, "Method Not Allowed")
        .status(StatusCode::METHOD_NOT_ALLOWED);
    match methods {
        Some(methods) => ([(header::ALLOW, methods)], error).into_response(),
        // axum adds `Allow` with the methods of its own route.
        None => error.into_response(),
    }
}

fn panicked(_: Box<dyn Any + Send>) -> Response {
    ApiError::internal().into_response()
}

async fn around<D>(State(deps): State<Arc<D>>, mut request: Request, next: Next) -> Response
where
    D: Clock + Ids + Send + Sync + 'static,
{
    let started = deps.now();
    let request_id = invocation::request_id().or_else(|| request_id_of_caller(request.headers()));
    let (request_id, trace) = telemetry::identities(request.headers(), request_id, &*deps);
    let version = Version::of_path(request.uri().path());
    let meta = Meta { request_id, version };
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    request.extensions_mut().insert(meta.clone());

    let answer = async {
        match why_malformed(&request) {
            Some(why) => ApiError::new(Code::InvalidRequest, why).into_response(),
            None => next.run(request).await,
        }
    };
    let (mut response, used) = usage::counted(invocation::traced(trace, answer)).await;
    let caller = response.extensions_mut().remove::<Caller>();
    let mut response = render(response, &meta);
    if let Ok(id) = HeaderValue::from_str(&meta.request_id) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    let elapsed_ms = deps.now().ms_since(started);
    let (meta, response_of) = (&meta, &response);
    Served { meta, trace, caller, method, route, response: response_of, elapsed_ms, used }.tell();
    response
}

/// Why a request is refused before its route looks at it. A query string holds visible ASCII only: the
/// servers in front decode other bytes differently, so the same request could get two answers.
fn why_malformed(request: &Request) -> Option<&'static str> {
    let event = request.extensions().get::<MalformedRequest>().map(|malformed| malformed.0);
    let query = request.uri().query().unwrap_or_default();
    let is_query = query.bytes().all(|byte| byte.is_ascii_graphic());
    event.or((!is_query).then_some("The query string holds characters that must be encoded."))
}

/// The caller's own request id, when it is well-formed: 1 to 64 of `[A-Za-z0-9_-]`.
fn request_id_of_caller(headers: &HeaderMap) -> Option<String> {
    let id = header_once(headers, REQUEST_ID.as_str()).ok()?;
    let fits = (1..=REQUEST_ID_LEN_MAX).contains(&id.len());
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    (fits && id.bytes().all(allowed)).then(|| id.to_owned())
}

/// Renders the error that a handler returned, and keeps the headers that the router set (`Allow`).
fn render(mut response: Response, meta: &Meta) -> Response {
    let Some(Unrendered(error)) = response.extensions_mut().remove() else { return response };
    let headers = std::mem::take(response.headers_mut());
    let mut rendered = Arc::unwrap_or_clone(error).render(meta);
    for (name, value) in headers {
        // The length of the empty body does not fit the rendered one.
        if let Some(name) = name.filter(|name| *name != header::CONTENT_LENGTH) {
            rendered.headers_mut().entry(name).or_insert(value);
        }
    }
    rendered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{BODY_LEN_MAX, Call, UPLOAD_LEN_MAX, UploadCall};
    use crate::testing::{Fixture, send};
    use axum::routing::{get, post, put};
    use largesse_app::invocation::Invocation;
    use largesse_domain::time::Timestamp;
    use rstest::rstest;

    fn router() -> Router {
        let router = Router::new()
            .route("/api/v2/echo", post(async |call: Call| call.body.len().to_string()))
            .route("/api/v1/echo", post(async |call: Call| call.body.len().to_string()))
            .route(
                "/api/v2/upload",
                put(async |UploadCall(call): UploadCall| call.body.len().to_string()),
            )
            .route("/api/v2/busy", get(async || ApiError::unavailable("busy", 3)))
            .route("/api/v2/panic", get(panicking));
        wrap(router, Arc::new(Fixture::default()))
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
            // The kernel does not wait for a body whose declared length is too large.
            let declared = [("content-length", "65537")];
            let (status, _, _) = send(router(), "POST", &path, &declared, "").await;
            assert_eq!(status, 413);
        }
    }

    #[tokio::test]
    async fn an_upload_has_a_limit_of_its_own_and_is_refused_when_it_was_cut_off() {
        let fits = "x".repeat(UPLOAD_LEN_MAX);
        let (status, _, body) = send(router(), "PUT", "/api/v2/upload", &[], &fits).await;
        assert_eq!((status, body.as_str()), (200, "6291456"));
        let (status, _, body) = send(router(), "PUT", "/api/v2/upload", &[], &(fits + "x")).await;
        assert_eq!(status, 413);
        assert!(body.contains("larger than 6144 KiB"), "{body}");
        for (declared, status) in [("5", 200), ("4", 400), ("6", 400), ("6291457", 413)] {
            let headers = [("content-length", declared)];
            let (found, _, body) = send(router(), "PUT", "/api/v2/upload", &headers, "12345").await;
            assert_eq!(found, status, "{declared}: {body}");
        }
    }

    #[rstest]
    #[case(Some("my-id_7"), true)]
    #[case(Some("a b"), false)]
    #[case(Some(""), false)]
    #[case(None, false)]
    #[tokio::test]
    async fn a_request_id_of_the_caller_is_kept_only_when_it_is_well_formed(
        #[case] sent: Option<&str>,
        #[case] kept: bool,
    ) {
        let headers: Vec<_> = sent.map(|id| ("X-Request-Id", id)).into_iter().collect();
        let (_, answered, _) = send(router(), "GET", "/", &headers, "").await;
        let id = answered["x-request-id"].to_str().unwrap();
        assert_eq!(sent == Some(id), kept);
        assert!(kept || id.len() == 26, "{id}");
    }

    #[tokio::test]
    async fn the_request_id_of_the_invocation_comes_first() {
        let work = send(router(), "GET", "/", &[("X-Request-Id", "mine")], "");
        let request_id = Some("lambda-1".to_owned());
        let invocation = Invocation { request_id, ..Invocation::until(Timestamp::from_ms(0)) };
        let (_, answered, body) = invocation::scope(invocation, work).await;
        assert_eq!(answered["x-request-id"], "lambda-1");
        assert!(body.contains("\"request_id\":\"lambda-1\""), "{body}");
    }

    #[rstest]
    #[case("POST", "/api/v2/elsewhere", 405, "GET,HEAD")]
    #[case("GET", "/api/v2/echo", 405, "GET,POST")]
    #[case("GET", "/api/v2/nowhere", 404, "")]
    #[tokio::test]
    async fn the_default_function_knows_the_methods_of_other_functions(
        #[case] method: &str,
        #[case] path: &str,
        #[case] status: u16,
        #[case] allow: &str,
    ) {
        let methods_of: MethodsOf = |path| match path {
            "/api/v2/elsewhere" => Some("GET,HEAD"),
            "/api/v2/echo" => Some("GET,POST"),
            _ => None,
        };
        let router = Router::new().route("/api/v2/echo", post(async || "echo"));
        let router = wrap_default(router, Arc::new(Fixture::default()), methods_of);
        let (found, headers, _) = send(router, method, path, &[], "").await;
        let found_allow = headers.get("allow").map_or("", |allow| allow.to_str().unwrap());
        assert_eq!((found, found_allow), (status, allow));
    }
}
