//! Successful answers.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::error::ApiError;
use crate::limits::Standing;

/// Marks an answer that was given before.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A JSON answer. Its body is serialized once, so that a repeat gets the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The body.
    pub body: String,
    /// Whether it was given before.
    pub replayed: bool,
    /// Where the caller stands with a limit that was counted.
    pub standing: Option<Standing>,
}

impl Answer {
    /// An answer with a JSON body.
    ///
    /// # Errors
    /// [`ApiError::internal`] when the body cannot be serialized. Every body of this API can.
    pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, ApiError> {
        let body =
            serde_json::to_string(body).map_err(|error| ApiError::internal().because(error))?;
        Ok(Self { status, body, replayed: false, standing: None })
    }

    /// An answer without a body.
    #[must_use]
    pub const fn empty(status: StatusCode) -> Self {
        Self { status, body: String::new(), replayed: false, standing: None }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let has_body = !self.body.is_empty();
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if has_body {
            let json = HeaderValue::from_static("application/json");
            headers.insert(header::CONTENT_TYPE, json);
        }
        if let Some(standing) = self.standing {
            standing.write(headers);
        }
        if self.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
