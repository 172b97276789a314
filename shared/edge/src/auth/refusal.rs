//! Why a request is refused before its route sees it.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use largesse_app::key::check::CheckError;
use largesse_domain::key::{KeyRefused, Scope};

use crate::code::Code;
use crate::error::ApiError;

/// Why a request is refused, in the order of the checks.
#[derive(Debug)]
pub enum Refusal {
    /// The table has no rule for the route.
    NoRule,
    /// A header is missing.
    Missing,
    /// A header is there and malformed.
    Malformed,
    /// No such key, or it is expired or revoked.
    Key,
    /// The key may not be used from this address.
    Address,
    /// The time of the request is more than 300 s away from ours.
    Clock,
    /// The body cannot be read.
    Body(ApiError),
    /// No signature is that of this request.
    Signature,
    /// The key was not made for this.
    Scope(Scope),
    /// The nonce was used before.
    Nonce,
    /// A port failed.
    Port(ApiError),
}

impl From<CheckError> for Refusal {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Key(KeyRefused::Unknown) => Self::Key,
            CheckError::Key(KeyRefused::Address) => Self::Address,
            CheckError::Port(error) => Self::Port(error.into()),
        }
    }
}

/// An answer 401, with its cause for programs.
fn unauthenticated(reason: &'static str, detail: &'static str) -> ApiError {
    ApiError::new(Code::AuthenticationFailed, detail).with("reason", reason)
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoRule => Self::new(Code::Forbidden, "No key opens this route."),
            Refusal::Missing => unauthenticated(
                "missing",
                "Authorization, X-Signature, X-Timestamp and X-Nonce are required.",
            ),
            Refusal::Malformed => unauthenticated(
                "malformed",
                "Authorization, X-Signature, X-Timestamp, X-Nonce or an identity is malformed.",
            ),
            Refusal::Key => unauthenticated("key", "The API key is unknown, expired or revoked."),
            Refusal::Address => {
                Self::new(Code::Forbidden, "The API key may not be used from this address.")
            }
            Refusal::Clock => unauthenticated(
                "clock",
                "X-Timestamp is more than 300 seconds away from the time of this service.",
            ),
            Refusal::Signature => {
                unauthenticated("signature", "No signature in X-Signature is that of this request.")
            }
            Refusal::Scope(scope) => {
                let detail = format!("The API key has no scope {}.", scope.as_str());
                Self::new(Code::Forbidden, detail)
            }
            Refusal::Nonce => unauthenticated("nonce", "X-Nonce was used before."),
            Refusal::Body(error) | Refusal::Port(error) => error,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = ApiError::from(self);
        if error.code() != Code::AuthenticationFailed {
            return error.into_response();
        }
        // RFC 9110, section 11.6.1: an answer 401 names a way to authenticate.
        let challenge = HeaderValue::from_static("Bearer");
        ([(header::WWW_AUTHENTICATE, challenge)], error).into_response()
    }
}
