//! What the service says about itself.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderName, HeaderValue, StatusCode, header};
use largesse_edge::{Answer, ApiError};
use serde::Serialize;
use utoipa::ToSchema;

/// The API's description, as the tests keep it.
const OPENAPI: &str = include_str!("../../../docs/openapi.json");
/// The page that shows it.
const PAGE: &str = largesse_edge::DOCS_PAGE;
/// The page loads nothing from elsewhere, and nothing may make it.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
     script-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
/// A new version is seen within five minutes.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");

/// That it is well.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`: who cannot answer says nothing.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version that runs.
    #[schema(example = "0.1.0")]
    version: &'static str,
}

/// Ask whether it answers
#[utoipa::path(
    get, path = "/api/v2/health", tag = "operate", operation_id = "health",
    responses((status = 200, description = "It answers.", body = Health))
)]
pub async fn health() -> Result<Answer, ApiError> {
    let version = env!("CARGO_PKG_VERSION");
    Answer::json(StatusCode::OK, &Health { status: "ok", version })
}

/// `GET /api/openapi.json`.
pub async fn openapi() -> Response {
    of(OPENAPI, "application/json")
}

/// `GET /docs`.
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
