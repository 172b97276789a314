//! How the service is called.

use std::fmt;
use std::str::FromStr;

use http::HeaderValue;
use reqwest::Url;

use crate::error::SetupError;
use crate::tls;

/// Where the service is: `https`, or `http` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base(Url);

impl FromStr for Base {
    type Err = SetupError;

    /// A secret in the clear would be anybody's, so `http` leads to this machine only; a secret in
    /// the URL would stand in logs.
    fn from_str(text: &str) -> Result<Self, SetupError> {
        let mut url = Url::parse(text).map_err(|_| SetupError::Base)?;
        let has_user = !url.username().is_empty() || url.password().is_some();
        if !tls::is_private(&url) || has_user || url.query().is_some() || url.fragment().is_some() {
            return Err(SetupError::Base);
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }
}

impl Base {
    pub(crate) fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The URL of a path below the base; ids need no escape.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        url
    }
}

/// The bearer secret.
#[derive(Clone)]
pub struct Secret(HeaderValue);

impl Secret {
    /// Takes a text as the secret.
    ///
    /// # Errors
    /// [`SetupError::Secret`] when it is empty or holds anything but visible ASCII.
    pub fn new(text: &str) -> Result<Self, SetupError> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SetupError::Secret);
        }
        let value = HeaderValue::try_from(format!("Bearer {text}"));
        let mut value = value.map_err(|_| SetupError::Secret)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

/// How the service is called. [`Settings::new`] has the defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub base: Base,
    /// What it knows us by; `None` sends no secret.
    pub secret: Option<Secret>,
    /// How long connecting may take, TLS included, in milliseconds.
    pub connect_timeout_ms: u64,
    /// How long a call may take, from connecting to the last byte of the answer, in milliseconds.
    /// Never beyond the invocation.
    pub timeout_ms: u64,
    /// How many calls are under way at once, of all callers of the adapter.
    pub concurrency_max: usize,
    /// Whether a payment or reversal in doubt is looked up by a second request. Behind a rate it is
    /// not: that request would have no permit.
    pub looks_up: bool,
}

/// A service in the same region connects in a few milliseconds.
const CONNECT_TIMEOUT_MS: u64 = 1_000;
/// Half of what one call to AWS may take: a payment may need a second call, to look it up.
const TIMEOUT_MS: u64 = 2_500;
/// A batch of the queue holds ten payments (Amazon SQS Developer Guide); a chunk of a campaign
/// holds more, and a service that is paid by the second needs no more at once.
const CONCURRENCY_MAX: usize = 32;

impl Settings {
    /// The defaults: 1 s to connect, 2.5 s for a call, 32 calls at once, no secret; what is in doubt
    /// is looked up.
    #[must_use]
    pub const fn new(base: Base) -> Self {
        Self {
            base,
            secret: None,
            connect_timeout_ms: CONNECT_TIMEOUT_MS,
            timeout_ms: TIMEOUT_MS,
            concurrency_max: CONCURRENCY_MAX,
            looks_up: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_https_or_leads_to_this_machine() {
        for url in ["https://money.example", "https://money.example/v1/", "http://127.0.0.1:3200"] {
            assert!(url.parse::<Base>().is_ok(), "{url}");
        }
        let wrong = [
            "http://money.example",
            "https://key@money.example",
            "https://:key@money.example",
            "https://money.example/?key=1",
            "https://money.example/#a",
            "ftp://127.0.0.1",
            "money",
            "",
        ];
        for url in wrong {
            assert!(matches!(url.parse::<Base>(), Err(SetupError::Base)), "{url}");
        }
    }

    #[test]
    fn paths_are_put_below_the_base() {
        for (base, joined) in [
            ("https://money.example", "https://money.example/transfers"),
            ("https://money.example/v1/", "https://money.example/v1/transfers"),
        ] {
            assert_eq!(base.parse::<Base>().unwrap().join("/transfers").as_str(), joined);
        }
    }

    #[test]
    fn the_secret_stands_in_no_text() {
        let mut settings = Settings::new("https://money.example".parse().unwrap());
        settings.secret = Some(Secret::new("tiger").unwrap());
        assert!(!format!("{settings:?} {:?}", settings.secret).contains("tiger"));
        assert!(!format!("{:?}", settings.secret.unwrap().header()).contains("tiger"));
        for text in ["", "a b", "a\n", "ä"] {
            assert!(matches!(Secret::new(text), Err(SetupError::Secret)));
        }
    }
}
