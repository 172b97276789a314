//! One request as handlers see it.

use std::error::Error as _;
use std::sync::Arc;

use axum::RequestExt;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, MatchedPath, RawPathParams};
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::LengthLimitError;

use crate::code::Code;
use crate::config::EdgeConfig;
use crate::cursor::CursorKey;
use crate::error::{ApiError, FieldError};
use crate::meta::{Meta, Version};

/// The largest body, in bytes. A usual body has less than 100.
pub const BODY_LEN_MAX: usize = 65_536;

/// The state of the handlers.
pub struct App<D> {
    /// The ports.
    pub deps: Arc<D>,
    /// The settings.
    pub edge: Arc<EdgeConfig>,
}

impl<D> Clone for App<D> {
    fn clone(&self) -> Self {
        Self { deps: Arc::clone(&self.deps), edge: Arc::clone(&self.edge) }
    }
}

impl<D> App<D> {
    /// The key that signs cursors.
    ///
    /// # Errors
    /// ERR003 in a function that has no such key.
    pub fn cursors(&self) -> Result<&CursorKey, ApiError> {
        self.edge.cursors.as_ref().ok_or_else(ApiError::internal)
    }
}

/// One request.
#[derive(Clone, Debug)]
pub struct Call {
    /// What the kernel knows about it.
    pub meta: Meta,
    /// The method.
    pub method: Method,
    /// Path and query as sent.
    pub uri: Uri,
    /// The route's pattern.
    pub route: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    params: Vec<(String, String)>,
}

impl Call {
    pub(crate) fn of_parts(parts: Parts, meta: Meta, body: Bytes) -> Self {
        let Parts { method, uri, headers, extensions, .. } = parts;
        let route = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
        Self { meta, method, uri, route, headers, body, params: Vec::new() }
    }

    /// The path parameter of that name, decoded; empty when the route has none.
    #[must_use]
    pub fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The query string.
    #[must_use]
    pub fn query(&self) -> &str {
        self.uri.query().unwrap_or_default()
    }
}

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = ApiError;

    async fn from_request(mut request: Request<Body>, _state: &S) -> Result<Self, ApiError> {
        let params = request.extract_parts::<RawPathParams>().await;
        // It fails only for a path that is not UTF-8, and no resource has such a name.
        let params = params.map_err(|_| ApiError::not_found())?;
        let params = params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let (parts, body) = request.into_parts();
        // A body that is declared too large is refused before it is read.
        let declared = parts.headers.get(header::CONTENT_LENGTH).and_then(|len| len.to_str().ok());
        if declared
            .and_then(|len| len.parse().ok())
            .is_some_and(|len: u64| len > BODY_LEN_MAX as u64)
        {
            return Err(too_large());
        }
        let body = to_bytes(body, BODY_LEN_MAX).await.map_err(|error| not_read(&error))?;
        let meta = parts.extensions.get::<Meta>().cloned().unwrap_or_else(|| Meta {
            request_id: String::new(),
            version: Version::of_path(parts.uri.path()),
        });
        Ok(Self { params, ..Self::of_parts(parts, meta, body) })
    }
}

/// The answer to a body that cannot be read: it is too large, or the connection ended early.
fn not_read(error: &axum::Error) -> ApiError {
    if !error.source().is_some_and(|cause| cause.is::<LengthLimitError>()) {
        let detail = "the body is not complete";
        return ApiError::invalid(vec![FieldError::body("", "malformed", detail)]);
    }
    too_large()
}

fn too_large() -> ApiError {
    ApiError::new(Code::InvalidRequest, "The body is larger than 64 KiB.")
        .status(StatusCode::PAYLOAD_TOO_LARGE)
}
