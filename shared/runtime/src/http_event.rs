//! From an event of an HTTP API (payload format 2.0) to a request.
//!
//! An HTTP API hands over what callers sent without checking it, and hands over the path decoded
//! (Amazon API Gateway Developer Guide, "Create AWS Lambda proxy integrations for HTTP APIs"). So
//! this conversion encodes the path again, byte by byte: it resolves no `..`, cuts at no decoded
//! `?` or `#`, and reads a decoded `%` as a percent sign. A path that is no route over HTTP is none
//! here. It takes nothing from `host` and `x-forwarded-proto`.
//!
//! # Guarantees
//! * Every event, however odd, becomes a request: `no_event_is_without_a_request`.
//! * An encoded path decodes to the path of the event: `a_path_keeps_every_byte`.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use largesse_app::invocation::{MalformedRequest, SourceAddress};
use largesse_app::settings::{SettingError, Variables};
use serde::Deserialize;

/// The parts of an event that make a request. Fields that are absent or null have their default.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct HttpEvent {
    raw_path: Option<String>,
    raw_query_string: Option<String>,
    headers: Option<BTreeMap<String, Option<String>>>,
    cookies: Option<Vec<String>>,
    request_context: Option<RequestContext>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RequestContext {
    http: Option<HttpContext>,
    stage: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct HttpContext {
    method: Option<String>,
    #[serde(rename = "sourceIp")]
    source_ip: Option<String>,
}

/// The stage whose name is not part of the path.
const DEFAULT_STAGE: &str = "$default";

/// The request of an event in JSON. A request that cannot be is replaced by an empty one that
/// carries [`MalformedRequest`], which the kernel answers with 400.
#[must_use]
pub fn request_of(json: &str, base_path: &BasePath) -> Request<Body> {
    let Ok(event) = serde_json::from_str::<HttpEvent>(json) else {
        return malformed(Uri::default(), "The event is no request of an HTTP API.");
    };
    let path = encoded(event.routed_path(base_path));
    // The answer has the form of the version that the path names, even to a bad query.
    let bare = uri(&path, "").unwrap_or_default();
    event.request(&path).unwrap_or_else(|why| malformed(bare, why))
}

fn malformed(uri: Uri, why: &'static str) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = uri;
    request.extensions_mut().insert(MalformedRequest(why));
    request
}

impl HttpEvent {
    /// The path without the name of the stage and without the base path.
    fn routed_path(&self, base_path: &BasePath) -> &str {
        let path = self.raw_path.as_deref().unwrap_or_default();
        let stage = self.request_context.as_ref().and_then(|context| context.stage.as_deref());
        let path = match stage {
            Some(stage) if stage != DEFAULT_STAGE => {
                let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
                rest.filter(|rest| is_path(rest)).unwrap_or(path)
            }
            _ => path,
        };
        let rest = path.strip_prefix(base_path.0.as_str()).filter(|rest| is_path(rest));
        rest.unwrap_or(path)
    }

    fn request(self, path: &str) -> Result<Request<Body>, &'static str> {
        let http = self.request_context.and_then(|context| context.http).unwrap_or_default();
        // What API Gateway saw. `x-forwarded-for` holds what the caller wrote into it.
        let source = http.source_ip.and_then(|address| address.parse().ok());
        let method = http.method.unwrap_or_default();
        let method = Method::from_bytes(method.as_bytes());
        let method = method.map_err(|_| "The event has no HTTP method.")?;
        let query = self.raw_query_string.unwrap_or_default();
        let uri =
            uri(path, &query).ok_or("The path or the query string cannot be part of a URI.")?;
        let headers = headers(self.headers.unwrap_or_default(), &self.cookies.unwrap_or_default())?;
        let body = self.body.unwrap_or_default();
        let body = if self.is_base64_encoded.unwrap_or_default() {
            STANDARD.decode(body).map_err(|_| "The body is not the Base64 that it claims to be.")?
        } else {
            body.into_bytes()
        };
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        if let Some(source) = source {
            request.extensions_mut().insert(SourceAddress(source));
        }
        Ok(request)
    }
}

/// Whether what is left of a path after a prefix is a path.
fn is_path(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

fn uri(path: &str, query: &str) -> Option<Uri> {
    // `http` would cut the query at a `#`.
    if query.contains('#') {
        return None;
    }
    let path = if path.is_empty() { "/" } else { path };
    let text = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let path_and_query = PathAndQuery::try_from(text).ok()?;
    path_and_query.as_str().starts_with('/').then(|| Uri::from(path_and_query))
}

/// A decoded path, encoded: every byte that RFC 3986 (section 3.3) does not allow in a path as it
/// is, and the percent sign.
fn encoded(path: &str) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn headers(
    named: BTreeMap<String, Option<String>>,
    cookies: &[String],
) -> Result<HeaderMap, &'static str> {
    let mut headers = HeaderMap::new();
    let value = |text: &str| {
        HeaderValue::from_bytes(text.as_bytes()).map_err(|_| "The value of a header is malformed.")
    };
    // A header without a value says nothing.
    for (name, text) in named.iter().filter_map(|(name, text)| Some((name, text.as_ref()?))) {
        let name = HeaderName::from_bytes(name.as_bytes());
        let name = name.map_err(|_| "The name of a header is malformed.")?;
        // Two names may differ in case only: then the header is there twice.
        headers.append(name, value(text)?);
    }
    if !cookies.is_empty() {
        headers.append(header::COOKIE, value(&cookies.join("; "))?);
    }
    Ok(headers)
}

/// The path under which a custom domain maps to this API, as `/pay`; empty for none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BasePath(String);

impl BasePath {
    /// `BASE_PATH`, where it is set.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn read(variables: &Variables<'_>) -> Result<Self, SettingError> {
        let expected = "a path that begins with `/` and does not end with it, as `/pay`";
        let is_base = |text: &&str| text.starts_with('/') && !text.ends_with('/');
        let read = |text: &str| Some(text).filter(is_base).map(str::to_owned);
        Ok(Self(variables.optional("BASE_PATH", expected, read)?.unwrap_or_default()))
    }
}

#[cfg(test)]
#[path = "http_event_tests.rs"]
mod tests;
