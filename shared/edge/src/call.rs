//! One request as handlers see it.

use std::error::Error as _;
use std::sync::Arc;

use axum::RequestExt;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, MatchedPath, RawPathParams};
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::LengthLimitError;

use crate::auth::Caller;
use crate::code::Code;
use crate::config::EdgeConfig;
use crate::cursor::CursorKey;
use crate::error::{ApiError, FieldError};
use crate::meta::{Meta, Version};

/// The largest body, in bytes. A usual body has less than 100.
pub const BODY_LEN_MAX: usize = 65_536;

/// The largest body of a part of a campaign, in bytes. A Lambda function takes events of 6 MiB, and
/// a body that API Gateway sends in Base64 has four thirds of its size there.
pub const UPLOAD_LEN_MAX: usize = 6_291_456;

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
    /// Whose key it came with; `None` with `AUTH=open`.
    pub service: Option<Caller>,
    params: Vec<(String, String)>,
}

impl Call {
    pub(crate) fn of_parts(parts: Parts, meta: Meta, body: Bytes) -> Self {
        let Parts { method, uri, headers, extensions, .. } = parts;
        let route = extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
        let service = Caller::of(&extensions);
        Self { meta, method, uri, route, headers, body, service, params: Vec::new() }
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

/// One request whose body is a file, of up to [`UPLOAD_LEN_MAX`] bytes.
#[derive(Clone, Debug)]
pub struct UploadCall(pub Call);

impl<S: Send + Sync> FromRequest<S> for Call {
    type Rejection = ApiError;

    async fn from_request(request: Request<Body>, _state: &S) -> Result<Self, ApiError> {
        Self::read(request, BODY_LEN_MAX).await
    }
}

impl<S: Send + Sync> FromRequest<S> for UploadCall {
    type Rejection = ApiError;

    /// A body that is shorter or longer than its declared length was cut off on its way.
    async fn from_request(request: Request<Body>, _state: &S) -> Result<Self, ApiError> {
        let declared = declared_len(&request);
        let call = Call::read(request, UPLOAD_LEN_MAX).await?;
        let len = u64::try_from(call.body.len()).unwrap_or(u64::MAX);
        if declared.is_some_and(|declared| declared != len) {
            Err(cut_off())
        } else {
            Ok(Self(call))
        }
    }
}

/// The body's length as it is declared.
fn declared_len(request: &Request<Body>) -> Option<u64> {
    let declared = request.headers().get(header::CONTENT_LENGTH)?;
    declared.to_str().ok()?.parse().ok()
}

impl Call {
    async fn read(mut request: Request<Body>, len_max: usize) -> Result<Self, ApiError> {
        let params = request.extract_parts::<RawPathParams>().await;
        // It fails only for a path that is not UTF-8, and no resource has such a name.
        let params = params.map_err(|_| ApiError::not_found())?;
        let params = params.iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        let (parts, body) = read_body(request, len_max).await?;
        let meta = parts.extensions.get::<Meta>().cloned().unwrap_or_else(|| Meta {
            request_id: String::new(),
            version: Version::of_path(parts.uri.path()),
        });
        Ok(Self { params, ..Self::of_parts(parts, meta, body) })
    }
}

/// Reads the body of a request.
///
/// # Errors
/// ERR001 for a body that is too large, or not complete.
pub(crate) async fn read_body(
    request: Request<Body>,
    len_max: usize,
) -> Result<(Parts, Bytes), ApiError> {
    // A body that is declared too large is refused before it is read.
    let declared = declared_len(&request);
    if declared.is_some_and(|len| usize::try_from(len).map_or(true, |len| len > len_max)) {
        return Err(too_large(len_max));
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, len_max).await.map_err(|error| not_read(&error, len_max))?;
    Ok((parts, body))
}

/// The answer to a body that cannot be read: it is too large, or the connection ended early.
fn not_read(error: &axum::Error, len_max: usize) -> ApiError {
    let is_too_large = error.source().is_some_and(|cause| cause.is::<LengthLimitError>());
    if is_too_large { too_large(len_max) } else { cut_off() }
}

fn cut_off() -> ApiError {
    let detail = "the body is not complete";
    ApiError::invalid(vec![FieldError::body("", "malformed", detail)])
}

fn too_large(len_max: usize) -> ApiError {
    let kib = len_max.div_ceil(1_024);
    ApiError::new(Code::InvalidRequest, format!("The body is larger than {kib} KiB."))
        .status(StatusCode::PAYLOAD_TOO_LARGE)
}
