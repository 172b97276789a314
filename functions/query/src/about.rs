//! What the service says about itself.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use largesse_edge::routes::Methods;
use largesse_edge::{Answer, ApiError};
use serde::Serialize;
use utoipa::ToSchema;

/// The description of the whole API. A test compares it with the functions' code.
const OPENAPI: &str = include_str!("../../../docs/openapi.json");
/// The page that shows it.
const PAGE: &str = largesse_edge::DOCS_PAGE;
/// The page loads nothing from other hosts; the browser enforces that.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
/// A new version is seen within five minutes.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// The routes of all functions. `None` only for a document that cannot be read, which the tests
/// exclude: they compare the answers below with the routes of the template.
static METHODS: LazyLock<Option<Methods>> = LazyLock::new(|| Methods::of_document(OPENAPI).ok());

/// The methods of the route that a path belongs to, over all functions.
#[must_use]
pub fn methods_of(path: &str) -> Option<&'static str> {
    METHODS.as_ref()?.of(path)
}

/// The health of the service.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version that runs.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Go to the description of the API
#[utoipa::path(
    get, path = "/", tag = "operate", operation_id = "root",
    responses((
        status = 307, description = "The page is at `Location`, beside this path.",
        headers(("Location" = String, description = "`docs`")),
    ))
)]
pub async fn root() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
    // Relative: a base path or a stage may be in front.
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("docs"));
    response
}

/// Check that the service answers
#[utoipa::path(
    get, path = "/api/v2/health", tag = "operate", operation_id = "health",
    responses((status = 200, description = "It answers.", body = Health))
)]
pub async fn health() -> Result<Answer, ApiError> {
    let version = env!("CARGO_PKG_VERSION");
    Answer::json(StatusCode::OK, &Health { status: "ok", version })
}

/// Read the description of the API
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "operate", operation_id = "openapi",
    responses((
        status = 200, description = "This document (OpenAPI 3.1).",
        content_type = "application/json", body = Object,
    ))
)]
pub async fn openapi() -> Response {
    of(OPENAPI, "application/json")
}

/// Read the description of the API as a page
#[utoipa::path(
    get, path = "/docs", tag = "operate", operation_id = "docs",
    responses((
        status = 200, description = "The page.", content_type = "text/html", body = String,
    ))
)]
pub async fn docs() -> Response {
    let mut response = of(PAGE, "text/html; charset=utf-8");
    let policy = HeaderValue::from_static(PAGE_POLICY);
    response.headers_mut().insert(HeaderName::from_static("content-security-policy"), policy);
    response
}

fn of(text: &'static str, kind: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, CACHED);
    response
}
