//! One call of the service: one request, sent once.
//!
//! What `reqwest` and `hyper` would do by themselves is switched off: redirects, proxies of the
//! environment, repeats. One repeat stays and is safe: a request that `hyper` gives back unsent,
//! since its pooled connection had died before a byte was written, goes out on another connection
//! (hyper-util 0.1, `Client::send_request`: only "unstarted" requests).

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, Method};
use largesse_app::invocation;
use largesse_app::ports::Clock;
use largesse_domain::id::Ulid;
use reqwest::Response;
use serde::Serialize;
use tokio::sync::Semaphore;

use crate::answer::Answer;
use crate::connector::Punctual;
use crate::error::{MoneyError, SetupError};
use crate::settings::Settings;
use crate::tls;

/// The largest answer that is read, in bytes. One of the contract has some hundred.
pub const ANSWER_LEN_MAX: usize = 64 * 1024;
/// How long an unused connection is kept: less than the 60 s after which load balancers close one
/// (Elastic Load Balancing, "Connection idle timeout").
const IDLE_MAX: Duration = Duration::from_secs(20);
/// The header with the id under which a call has its effect once.
const KEY: &str = "idempotency-key";

/// A call that has no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// No byte of it was sent: nothing happened.
    NotSent(MoneyError),
    /// It may have had its effect.
    Unknown(MoneyError),
}

pub(crate) struct Client {
    http: reqwest::Client,
    settings: Settings,
    permits: Semaphore,
}

impl Client {
    pub(crate) fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let is_tls = settings.base.is_tls();
        let roots = if is_tls { tls::platform_roots()? } else { rustls::RootCertStore::empty() };
        let mut headers = HeaderMap::new();
        if let Some(secret) = &settings.secret {
            headers.insert(AUTHORIZATION, secret.header());
        }
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(roots)?)
            .https_only(is_tls)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .default_headers(headers)
            .connector_layer(Punctual(clock))
            .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
            .pool_idle_timeout(IDLE_MAX)
            .pool_max_idle_per_host(settings.concurrency_max)
            .build()
            .map_err(SetupError::Client)?;
        let permits = Semaphore::new(settings.concurrency_max.max(1));
        Ok(Self { http, settings, permits })
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The time that a call may take now; `None` when the invocation is over.
    fn timeout(&self, clock: &dyn Clock) -> Option<Duration> {
        let left_ms = invocation::deadline().map(|deadline| deadline.ms_since(clock.now()));
        let timeout_ms = left_ms.unwrap_or(u64::MAX).min(self.settings.timeout_ms);
        (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms))
    }

    pub(crate) async fn get(&self, clock: &dyn Clock, path: &str) -> Result<Answer, Lost> {
        self.send(clock, Method::GET, path, None, None::<&()>).await
    }

    pub(crate) async fn post(
        &self,
        clock: &dyn Clock,
        path: &str,
        key: Ulid,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, Lost> {
        self.send(clock, Method::POST, path, Some(key), body).await
    }

    async fn send(
        &self,
        clock: &dyn Clock,
        method: Method,
        path: &str,
        key: Option<Ulid>,
        body: Option<&impl Serialize>,
    ) -> Result<Answer, Lost> {
        // The semaphore is never closed; if it were, a call would only not be held back.
        let _permit = self.permits.acquire().await.ok();
        // The permit of a rate is of a moment, which the wait for other calls may have outlasted.
        if invocation::sent_until().is_some_and(|until| clock.now() > until) {
            return Err(Lost::NotSent(MoneyError::Late));
        }
        let timeout = self.timeout(clock).ok_or(Lost::NotSent(MoneyError::NoTime))?;
        let mut request = self.http.request(method, self.settings.base.join(path));
        request = request.timeout(timeout);
        if let Some(key) = key {
            request = request.header(KEY, key.to_string());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let response = sent.map_err(|error| {
            if is_late(&error) {
                return Lost::NotSent(MoneyError::Late);
            }
            // Resolving, connecting and the TLS handshake come before the first byte of a request.
            if error.is_connect() || error.is_builder() {
                Lost::NotSent(MoneyError::NotConnected(error))
            } else {
                Lost::Unknown(MoneyError::NoAnswer(error))
            }
        })?;
        let status = response.status().as_u16();
        let header = response.headers().get(RETRY_AFTER);
        let retry_after = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = read(response).await;
        Ok(Answer { status, retry_after, body })
    }
}

/// Whether the connection came after the permit.
fn is_late(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(MoneyError::Late)) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Reads a body up to its limit. A status without its body may still be all that is needed.
async fn read(mut response: Response) -> Result<Vec<u8>, MoneyError> {
    let mut body = Vec::new();
    loop {
        let chunk = response.chunk().await.map_err(reqwest::Error::without_url);
        match chunk.map_err(MoneyError::NoAnswer)? {
            None => return Ok(body),
            Some(chunk) if body.len().saturating_add(chunk.len()) > ANSWER_LEN_MAX => {
                return Err(MoneyError::TooLarge);
            }
            Some(chunk) => body.extend_from_slice(&chunk),
        }
    }
}
