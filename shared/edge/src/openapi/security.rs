//! What each operation asks of its caller: from the table of routes.

use http::Method;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{RefOr, Response};

use crate::auth::signature::{NONCE_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER};
use crate::auth::table::Rule;

const KEY: &str = "key";
const SIGNATURE: &str = "signature";
const TIMESTAMP: &str = "timestamp";
const NONCE: &str = "nonce";

/// What a caller gives: all four together.
pub(super) fn schemes() -> [(&'static str, SecurityScheme); 4] {
    let key =
        HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("The API key.")).build();
    let header = |name: &str, text: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, text)))
    };
    let signature = "`v1=` and the HMAC-SHA256 of the request in hexadecimal digits; up to four, \
                     separated by commas.";
    let timestamp = "The time of signing, in seconds of Unix time: at most 300 s off.";
    let nonce = "16 to 64 characters of `[A-Za-z0-9_-]`, used once.";
    [
        (KEY, SecurityScheme::Http(key)),
        (SIGNATURE, header(SIGNATURE_HEADER, signature)),
        (TIMESTAMP, header(TIMESTAMP_HEADER, timestamp)),
        (NONCE, header(NONCE_HEADER, nonce)),
    ]
}

/// Adds what the table says about an operation, and the answers of a refusal.
pub(super) fn require(method: Method, path: &str, operation: &mut Operation) {
    let Some(scope) = Rule::of(&method, path).and_then(|rule| rule.scope) else { return };
    let nothing: [&str; 0] = [];
    let requirement = SecurityRequirement::new(KEY, [scope.as_str()])
        .add(SIGNATURE, nothing)
        .add(TIMESTAMP, nothing)
        .add(NONCE, nothing);
    operation.security = Some(vec![requirement]);
    for (status, code) in [("401", "ERR002"), ("403", "ERR004")] {
        let response = operation.responses.responses.entry(status.to_owned());
        let response = response.or_insert_with(|| RefOr::T(Response::new("")));
        if let RefOr::T(response) = response
            && !response.description.contains(code)
        {
            response.description = format!("{} {code}", response.description).trim().to_owned();
        }
    }
}
