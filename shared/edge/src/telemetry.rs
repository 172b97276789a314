//! What the kernel tells about each request: one line of the log, and metrics.

use axum::response::Response;
use http::Method;
use largesse_app::telemetry::{REQUEST_MS, REQUESTS};
use largesse_app::usage::Usage;

use crate::error::Rendered;
use crate::meta::Meta;

/// A request that was answered.
pub(crate) struct Served<'a> {
    pub(crate) meta: &'a Meta,
    pub(crate) method: Method,
    /// The pattern that its path matched. The path itself is told nowhere: it holds tokens and members.
    pub(crate) route: Option<String>,
    pub(crate) response: &'a Response,
    pub(crate) elapsed_ms: u64,
    pub(crate) used: Usage,
}

impl Served<'_> {
    /// Logs the line and counts the request.
    pub(crate) fn tell(&self) {
        let status = self.response.status().as_u16();
        let error = self.response.extensions().get::<Rendered>().map(|Rendered(error)| error);
        let code = error.map_or("", |error| error.code().as_str());
        self.count(if code.is_empty() { "OK" } else { code });
        let (read, write) = (self.used.read.to_string(), self.used.write.to_string());
        // Of a refusal the code says enough; of a failure an operator needs the causes.
        let cause = error.filter(|_| status >= 500).and_then(|error| error.causes());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request.id = self.meta.request_id,
                    http.method = self.method.as_str(),
                    http.route = self.route.as_deref().unwrap_or("none"),
                    http.status = status,
                    http.elapsed_ms = self.elapsed_ms,
                    dynamo.calls = self.used.calls,
                    dynamo.read_units = read,
                    dynamo.write_units = write,
                    error.code = code,
                    error.cause = cause,
                )
            };
        }
        if status < 500 {
            line!(info);
        } else {
            line!(error);
        }
    }

    fn count(&self, code: &'static str) {
        // A caller can send any path and any method: neither may make metrics without end.
        let route = self.route.as_deref().map_or_else(
            || "none".to_owned(),
            |route| format!("{} {route}", known_method(&self.method)),
        );
        metrics::counter!(REQUESTS.name, "route" => route.clone(), "code" => code).increment(1);
        let elapsed_ms = u32::try_from(self.elapsed_ms).unwrap_or(u32::MAX);
        metrics::histogram!(REQUEST_MS.name, "route" => route, "code" => code).record(elapsed_ms);
    }
}

fn known_method(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::DELETE => method.as_str(),
        _ => "OTHER",
    }
}
