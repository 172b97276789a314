//! Answers, and how they are spoilt.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::Serialize;

use crate::faults::{Fault, Faults};
use crate::line::Line;
use crate::wire::Problem;

/// The length of [`Fault::Oversized`]: twice what Largesse reads.
const OVERSIZED_LEN: usize = 128 * 1024;

/// A whole answer, in JSON.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
    body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: StatusCode, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self { status, retry_after: None, body }
    }

    pub(crate) fn problem(status: StatusCode, code: &str, detail: &str) -> Self {
        let problem = Problem { code: code.to_owned(), detail: detail.to_owned(), missing: None };
        Self::new(status, &problem)
    }

    pub(crate) fn retry_after(mut self, when: Option<String>) -> Self {
        self.retry_after = when;
        self
    }

    fn into_response(self, body: Body) -> Response {
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(when) = self.retry_after.and_then(|when| HeaderValue::try_from(when).ok()) {
            headers.insert(RETRY_AFTER, when);
        }
        response
    }

    /// Sends the answer, or what the fault makes of it.
    pub(crate) async fn send(
        mut self,
        fault: Option<Fault>,
        faults: &Faults,
        line: &Line,
    ) -> Response {
        tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
        match fault {
            Some(Fault::ResetBefore | Fault::ResetAfter) => line.cut(),
            Some(Fault::Stall) => tokio::time::sleep(Duration::from_millis(faults.stall_ms)).await,
            Some(Fault::FailAfter) => {
                let detail = "The answer was lost behind the gateway.";
                self = Self::problem(StatusCode::GATEWAY_TIMEOUT, "gateway_timeout", detail);
            }
            Some(Fault::Malformed) => self.body.truncate(self.body.len().div_euclid(2)),
            // White space: a reader without a bound would find sound JSON in front of it.
            Some(Fault::Oversized) => self.body.resize(OVERSIZED_LEN, b' '),
            Some(Fault::Trickle) => {
                let body = trickle(std::mem::take(&mut self.body), faults.trickle_ms);
                return self.into_response(body);
            }
            Some(
                Fault::Refuse
                | Fault::Pend
                | Fault::WrongAmount
                | Fault::WrongMember
                | Fault::Throttle
                | Fault::Deny
                | Fault::Fail,
            )
            | None => {}
        }
        let body = Body::from(std::mem::take(&mut self.body));
        self.into_response(body)
    }
}

/// A body that comes byte by byte.
fn trickle(body: Vec<u8>, every_ms: u64) -> Body {
    let bytes = futures::stream::unfold(body.into_iter(), move |mut rest| async move {
        let byte = rest.next()?;
        tokio::time::sleep(Duration::from_millis(every_ms)).await;
        Some((Ok::<_, std::io::Error>(Bytes::copy_from_slice(&[byte])), rest))
    });
    Body::from_stream(bytes)
}
