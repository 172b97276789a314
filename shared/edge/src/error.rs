//! Errors as callers see them: RFC 9457 in v2, the established shape in v1.
//!
//! A handler fails with an [`ApiError`], which is independent of the version. The kernel renders it
//! in the version of the request and logs it once. Causes go to the log and never to a caller.

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use largesse_app::ports::{PortError, causes_of};
use serde_json::{Map, Value, json};

use crate::code::Code;
use crate::limits::Standing;
use crate::meta::{Meta, Version};

/// The part of the request that a field belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The JSON body.
    Body,
    /// The headers.
    Header,
    /// The query string.
    Query,
}

impl Place {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Body => "body",
            Self::Header => "header",
            Self::Query => "query",
        }
    }
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The part of the request.
    pub place: Place,
    /// The name of the field; empty for the body as a whole.
    pub field: String,
    /// What is wrong, for programs.
    pub code: &'static str,
    /// What is wrong, for people.
    pub detail: Cow<'static, str>,
}

impl FieldError {
    /// An error of one field.
    pub fn new(
        place: Place,
        field: impl Into<String>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { place, field: field.into(), code, detail: detail.into() }
    }

    /// An error of a field of the body.
    pub fn body(
        field: impl Into<String>,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(Place::Body, field, code, detail)
    }

    fn v2(&self) -> Value {
        json!({ "field": self.field, "code": self.code, "detail": self.detail })
    }

    /// As FastAPI lists it: headers in lower case, positions in the text as numbers.
    fn v1(&self) -> Value {
        let mut loc = vec![Value::from(self.place.as_str())];
        if let Ok(position) = self.field.parse::<u64>() {
            loc.push(position.into());
        } else if self.place == Place::Header {
            loc.push(self.field.to_ascii_lowercase().into());
        } else if !self.field.is_empty() {
            loc.push(self.field.as_str().into());
        }
        json!({ "loc": loc, "msg": self.detail, "type": self.code })
    }
}

/// An error answer.
#[derive(Clone, Debug)]
pub struct ApiError {
    code: Code,
    status: Option<StatusCode>,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    members: Map<String, Value>,
    retry_after_s: Option<u32>,
    standing: Option<Box<Standing>>,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl ApiError {
    /// An error of that code.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            status: None,
            detail: detail.into(),
            errors: Vec::new(),
            members: Map::new(),
            retry_after_s: None,
            standing: None,
            cause: None,
        }
    }

    /// A request that is malformed or outside its limits.
    #[must_use]
    pub fn invalid(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(Code::InvalidRequest, "The request is not valid.") }
    }

    /// The caller is not in the room, or there is no such room.
    #[must_use]
    pub fn not_a_member() -> Self {
        Self::new(Code::Forbidden, "You are not a member of this room.")
    }

    /// The answer for everything that does not exist for this caller.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "Not Found")
    }

    /// A defect of this service; only the log shows the cause.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::Internal, "Something went wrong on our side.")
    }

    /// The service cannot answer now; the caller repeats after that many seconds.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, retry_after_s: u32) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..Self::new(Code::Unavailable, detail) }
    }

    /// A limit is reached: the caller repeats when the limit has something left.
    pub fn too_many(detail: impl Into<Cow<'static, str>>, standing: Standing) -> Self {
        let error = Self::new(Code::TooManyRequests, detail).retry_after(standing.reset_s);
        Self { standing: Some(Box::new(standing)), ..error }
    }

    /// An expired spray, with the `token_status` that clients know.
    pub fn expired(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Expired, detail).with("token_status", -2)
    }

    /// Another status than that of the table.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }

    /// Another member of the body beside the standard ones.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// After how many seconds to repeat.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_s: Some(seconds), ..self }
    }

    /// The cause, for the log.
    #[must_use]
    pub fn because(self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Arc::new(cause)), ..self }
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The status in that version.
    #[must_use]
    pub fn status_in(&self, version: Version) -> StatusCode {
        self.status.unwrap_or(match (version, self.code) {
            (Version::V1, Code::InvalidRequest) => StatusCode::UNPROCESSABLE_ENTITY,
            (Version::V1 | Version::V2, code) => code.status(),
        })
    }

    /// The causes, outermost first, for the log.
    #[must_use]
    pub fn causes(&self) -> Option<String> {
        self.cause.as_deref().map(|cause| causes_of(cause))
    }

    /// The response in the version of the request.
    #[must_use]
    pub fn render(self, meta: &Meta) -> Response {
        let status = self.status_in(meta.version);
        let kind = match meta.version {
            Version::V1 => "application/json",
            Version::V2 => "application/problem+json",
        };
        let mut response = Response::new(Body::from(self.body(meta)));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(standing) = &self.standing {
            standing.write(response.headers_mut());
        }
        response.extensions_mut().insert(Rendered(Arc::new(self)));
        response
    }

    /// The body of the response.
    #[must_use]
    pub fn body(&self, meta: &Meta) -> String {
        let status = self.status_in(meta.version);
        let body = match meta.version {
            Version::V1 => self.v1(),
            Version::V2 => self.v2(status, &meta.request_id),
        };
        body.to_string()
    }

    fn v1(&self) -> Value {
        let mut body = self.members.clone();
        let detail = if self.errors.is_empty() {
            Value::from(self.detail.as_ref())
        } else {
            self.errors.iter().map(FieldError::v1).collect()
        };
        body.insert("detail".to_owned(), detail);
        body.insert("code".to_owned(), self.code.as_str().into());
        Value::Object(body)
    }

    fn v2(&self, status: StatusCode, request_id: &str) -> Value {
        let mut body = self.members.clone();
        let standard = [
            ("type", Value::from(self.code.type_uri())),
            ("title", self.code.title().into()),
            ("status", status.as_u16().into()),
            ("detail", self.detail.as_ref().into()),
            ("code", self.code.as_str().into()),
            ("request_id", request_id.into()),
        ];
        body.extend(standard.map(|(name, value)| (name.to_owned(), value)));
        if !self.errors.is_empty() {
            let errors = self.errors.iter().map(FieldError::v2).collect();
            body.insert("errors".to_owned(), errors);
        }
        Value::Object(body)
    }
}

/// Marks a response whose error the kernel has to render.
#[derive(Clone)]
pub(crate) struct Unrendered(pub(crate) Arc<ApiError>);

/// The error in a rendered response, for the log.
#[derive(Clone)]
pub(crate) struct Rendered(pub(crate) Arc<ApiError>);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status_in(Version::V2);
        response.extensions_mut().insert(Unrendered(Arc::new(self)));
        response
    }
}

impl From<PortError> for ApiError {
    fn from(error: PortError) -> Self {
        let refusal = if error.is_retryable() {
            Self::unavailable("Try again in a moment.", 1)
        } else {
            Self::internal()
        };
        refusal.because(error)
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
