//! The webhook: one request, sent once, and what its answer means.
//!
//! The address is the secret of a webhook: who knows it can post. It stands in no log and in no error.

use std::fmt;
use std::time::Duration;

use largesse_app::invocation;
use largesse_app::ports::{Clock, causes_of};
use largesse_money::wait::retry_after_ms;
use largesse_money::{SetupError, tls};
use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode, Url};
use rustls::RootCertStore;
use serde_json::json;

use crate::text::LinkBase;

/// The address of a webhook: `https`, or `http` to this machine.
#[derive(Clone, PartialEq, Eq)]
pub struct Address(Url);

impl Address {
    /// What an address must be.
    pub const EXPECTED: &str = "the URL of a webhook: https, or http to this machine";

    /// Takes a text as an address.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Url::parse(text).ok().filter(tls::is_private).map(Self)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(redacted)")
    }
}

/// How the webhook is called. [`Settings::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub address: Address,
    /// What links in its texts begin with; without it there are none.
    pub link: Option<LinkBase>,
    /// How long connecting may take, TLS included.
    pub connect_timeout: Duration,
    /// How long a call may take, connecting included: longer than `connect_timeout`, so that a
    /// connection that is not made is known to have sent nothing.
    pub timeout: Duration,
}

/// Over the open internet, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Ten of them, a batch of the queue, fit into the 60 s of an invocation (template.yaml).
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept: less than the 60 s after which load balancers close one
/// (Elastic Load Balancing, "Connection idle timeout").
const IDLE_MAX: Duration = Duration::from_secs(20);

impl Settings {
    /// The defaults: 2 s to connect, 5 s for a call.
    #[must_use]
    pub const fn new(address: Address, link: Option<LinkBase>) -> Self {
        Self { address, link, connect_timeout: CONNECT_TIMEOUT, timeout: TIMEOUT }
    }
}

/// What became of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// The webhook has it.
    Done,
    /// It was not taken, and may be sent again.
    NotNow {
        /// When the webhook wants to be called again, if it says so.
        retry_after_ms: Option<u64>,
        /// Why, for the log.
        why: String,
    },
    /// The webhook may have it: it is not sent again.
    Unknown {
        /// What was heard, for the log.
        why: String,
    },
    /// The webhook refused it for good: the address is wrong, or was revoked.
    Refused {
        /// The status of the answer.
        status: u16,
    },
}

/// A webhook.
pub struct Webhook {
    http: reqwest::Client,
    settings: Settings,
}

impl Webhook {
    /// A webhook with connections of its own; none is opened yet. Redirects, proxies of the
    /// environment and repeats are off: a text goes to the address, once.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let is_tls = settings.address.0.scheme() == "https";
        let roots = if is_tls { tls::platform_roots()? } else { RootCertStore::empty() };
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::config(roots)?)
            .https_only(is_tls)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(IDLE_MAX)
            .build()
            .map_err(SetupError::Client)?;
        Ok(Self { http, settings })
    }

    pub(crate) const fn link(&self) -> Option<&LinkBase> {
        self.settings.link.as_ref()
    }

    /// Posts a text. A call that could not run for its whole time is not begun: else its timeout would
    /// leave unknown what was sent.
    pub(crate) async fn post(&self, clock: &impl Clock, text: &str) -> Posted {
        let timeout = self.settings.timeout;
        let left_ms = invocation::deadline().map(|deadline| deadline.ms_since(clock.now()));
        if left_ms.is_some_and(|left_ms| u128::from(left_ms) < timeout.as_millis()) {
            let why = "no time is left for a call".to_owned();
            return Posted::NotNow { retry_after_ms: None, why };
        }
        let request = self.http.post(self.settings.address.0.clone()).timeout(timeout);
        match request.json(&json!({ "text": text })).send().await {
            Ok(response) => read(&response, clock),
            Err(error) => {
                // The URL of an error is the address.
                let error = error.without_url();
                let why = causes_of(&error);
                // Resolving, connecting and the TLS handshake come before the first byte of a request.
                if error.is_connect() || error.is_builder() {
                    Posted::NotNow { retry_after_ms: None, why }
                } else {
                    Posted::Unknown { why }
                }
            }
        }
    }
}

/// What an answer means. Its body is not read: webhooks say nothing there that changes it.
fn read(response: &Response, clock: &impl Clock) -> Posted {
    let status = response.status();
    let why = format!("answered {}", status.as_u16());
    if status.is_success() {
        Posted::Done
    } else if status == StatusCode::TOO_MANY_REQUESTS {
        let header = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after_ms = header.and_then(|text| retry_after_ms(text, clock.now()));
        Posted::NotNow { retry_after_ms, why }
    } else if status.is_server_error() {
        Posted::Unknown { why }
    } else {
        Posted::Refused { status: status.as_u16() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_or_leads_to_this_machine_and_stands_in_no_text() {
        for url in ["https://hooks.example/T0/B0/canary", "http://127.0.0.1:1/canary?a=b"] {
            let address = Address::read(url).unwrap();
            let settings = Settings::new(address, None);
            assert!(!format!("{settings:?}").contains("canary"));
        }
        for url in ["http://hooks.example/canary", "ftp://127.0.0.1/", "hooks.example", "= ", ""] {
            assert_eq!(Address::read(url), None, "{url}");
        }
    }
}
