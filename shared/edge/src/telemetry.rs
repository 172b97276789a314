//! What the kernel tells about each request: one line of the log, and metrics.

use axum::response::Response;
use http::{HeaderMap, Method};
use largesse_app::invocation;
use largesse_app::ports::Ids;
use largesse_app::telemetry::{REQUEST_MS, REQUESTS};
use largesse_app::trace::TraceId;
use largesse_app::usage::Usage;

use crate::auth::Caller;
use crate::error::Rendered;
use crate::extract::header_once;
use crate::meta::Meta;

/// The trace of a caller (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";
/// The trace of a caller, or the one that API Gateway begins (AWS X-Ray Developer Guide).
const XRAY_TRACE: &str = "x-amzn-trace-id";

/// The request id and the trace of a request: those that are known, else one id that is made for both.
pub(crate) fn identities(
    headers: &HeaderMap,
    request_id: Option<String>,
    ids: &impl Ids,
) -> (String, TraceId) {
    let parent = header_once(headers, TRACEPARENT).ok().and_then(TraceId::of_traceparent);
    let xray = || header_once(headers, XRAY_TRACE).ok().and_then(TraceId::of_xray);
    match (request_id, parent.or_else(xray).or_else(invocation::trace)) {
        (Some(request_id), Some(trace)) => (request_id, trace),
        (request_id, trace) => {
            let made = ids.ulid();
            let request_id = request_id.unwrap_or_else(|| made.to_string());
            (request_id, trace.unwrap_or_else(|| TraceId::of_ulid(made)))
        }
    }
}

/// A request that was answered.
pub(crate) struct Served<'a> {
    pub(crate) meta: &'a Meta,
    pub(crate) trace: TraceId,
    /// Whose key it came with; `None` with `AUTH=open`, on public routes and of what was refused before
    /// the caller was verified.
    pub(crate) caller: Option<Caller>,
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
        let (key, owner) = match &self.caller {
            Some(caller) => (caller.key.to_string(), caller.owner.as_str()),
            None => (String::new(), ""),
        };
        // Of a refusal the code says enough; of a failure an operator needs the causes.
        let cause = error.filter(|_| status >= 500).and_then(|error| error.causes());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request.id = self.meta.request_id,
                    trace.id = %self.trace,
                    owner,
                    key.id = key,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use http::HeaderValue;
    use largesse_app::invocation::Invocation;
    use largesse_domain::time::Timestamp;
    use rstest::rstest;

    const PARENT: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
    const XRAY: &str = "Root=1-11111111-bd862e3fe1be46a994272793";

    fn headers(sent: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[rstest]
    #[case(&[(TRACEPARENT, PARENT), (XRAY_TRACE, XRAY)], "5759e988bd862e3fe1be46a994272793")]
    #[case(&[(TRACEPARENT, "odd"), (XRAY_TRACE, XRAY)], "11111111bd862e3fe1be46a994272793")]
    #[case(&[(XRAY_TRACE, XRAY)], "11111111bd862e3fe1be46a994272793")]
    #[case(&[(XRAY_TRACE, "odd")], "22222222bd862e3fe1be46a994272793")]
    #[case(&[(TRACEPARENT, PARENT), (TRACEPARENT, PARENT)], "22222222bd862e3fe1be46a994272793")]
    #[tokio::test]
    async fn a_trace_is_the_callers_or_the_invocations(
        #[case] sent: &[(&'static str, &'static str)],
        #[case] trace: &str,
    ) {
        let of_invocation = TraceId::of_xray("Root=1-22222222-bd862e3fe1be46a994272793");
        let until = Invocation::until(Timestamp::from_ms(0));
        let invocation = Invocation { trace: of_invocation, ..until };
        let known = async { identities(&headers(sent), Some("r".into()), &Fixture::default()) };
        let (request_id, found) = invocation::scope(invocation, known).await;
        assert_eq!((request_id.as_str(), found.to_string().as_str()), ("r", trace));
    }

    #[test]
    fn one_id_is_made_for_what_a_request_lacks() {
        let fixture = Fixture::default();
        let (request_id, trace) = identities(&HeaderMap::new(), None, &fixture);
        assert_eq!(trace, TraceId::of_ulid(request_id.parse().unwrap()));
        let (request_id, made) = identities(&HeaderMap::new(), Some("mine".into()), &fixture);
        assert_eq!(request_id, "mine");
        assert_ne!(made, trace);
    }
}
