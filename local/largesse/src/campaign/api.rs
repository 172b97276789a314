//! A caller of the HTTP API that gets through: it waits where the service asks for it, and repeats
//! what may be repeated.
//!
//! Every request is safe to repeat: a GET changes nothing, a part is the same part under its number,
//! and every POST has an `Idempotency-Key` that its repeats share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use largesse_app::ports::{Clock, Rng};
use largesse_aws::production::{SecureRng, SystemClock};
use largesse_domain::time::Timestamp;
use largesse_input::Format;
use largesse_money::tls;
use reqwest::header::{CONTENT_TYPE, LINK, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Builder;

use super::CampaignError;
use super::wire::{PartReply, Problem};
use crate::client::Sender;
use crate::holder::Holder;

/// How long a request may take: 4 MB at 40 kB/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(100);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest wait between two attempts, whatever the service asks for.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// The code of a request whose twin is still running.
const IN_FLIGHT: &str = "ERR006";

/// How long is waited.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How often a request is sent at most.
    pub attempts: u32,
    /// The wait after the first attempt; it doubles with each.
    pub backoff: Duration,
    /// The wait that it does not exceed.
    pub backoff_max: Duration,
    /// The time between two looks at a campaign.
    pub poll: Duration,
}

impl Pace {
    /// For people: attempts for about 45 s, and a look each second.
    pub const PEOPLE: Self = Self {
        attempts: 10,
        backoff: Duration::from_millis(200),
        backoff_max: Duration::from_secs(10),
        poll: Duration::from_secs(1),
    };
}

/// A caller of one deployment, as one member.
pub struct Api {
    sender: Sender,
    user: String,
    pace: Pace,
    rng: SecureRng,
    /// Whether the service has answered: a connection that fails later is tried again.
    has_answered: AtomicBool,
}

/// An answer.
struct Reply {
    body: Bytes,
    /// The query of the next page, of a file that comes in pages.
    next: Option<String>,
}

/// What an attempt came to.
enum Attempt {
    Done(Reply),
    /// It may go better later: after that long, if the service says so.
    Again(Option<Duration>, CampaignError),
    Failed(CampaignError),
}

impl Api {
    /// A caller of the service at `url`, for instance `http://127.0.0.1:3000`, as `user`. It signs
    /// nothing.
    ///
    /// # Errors
    /// [`CampaignError`] when the machine has no root certificates or no randomness.
    pub fn new(url: &str, user: &str, pace: Pace) -> Result<Self, CampaignError> {
        Self::holding(url, user, pace, None)
    }

    /// As [`Api::new`], with the key that signs each request, if there is one.
    ///
    /// # Errors
    /// Those of [`Api::new`].
    pub fn holding(
        url: &str,
        user: &str,
        pace: Pace,
        holder: Option<Holder>,
    ) -> Result<Self, CampaignError> {
        let http = if url.starts_with("https:") {
            let config = tls::config(tls::platform_roots()?)?;
            let builder = reqwest::Client::builder().connect_timeout(CONNECT_TIMEOUT);
            builder.tls_backend_preconfigured(config).build().map_err(CampaignError::Client)?
        } else {
            tls::local_client()
        };
        Ok(Self {
            sender: Sender::new(http, url, holder),
            user: user.to_owned(),
            pace,
            rng: SecureRng::from_system()?,
            has_answered: AtomicBool::new(false),
        })
    }

    /// Where the service is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.sender.base()
    }

    /// Waits until the next look at a campaign.
    pub async fn pause(&self) {
        tokio::time::sleep(self.pace.poll).await;
    }

    /// The time of this machine.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    /// A new idempotency key.
    #[must_use]
    pub fn new_key(&self) -> String {
        let mut bytes = [0; 16];
        self.rng.fill(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// Reads what stands at a path.
    ///
    /// # Errors
    /// [`CampaignError`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CampaignError> {
        let reply = self.send(Method::GET, path, |request| request).await?;
        read(Method::GET, path, &reply.body)
    }

    /// Sends a command under an idempotency key.
    ///
    /// # Errors
    /// [`CampaignError`].
    pub async fn post(
        &self,
        path: &str,
        key: &str,
        body: Option<&Value>,
    ) -> Result<Value, CampaignError> {
        let with_body = |request: RequestBuilder| {
            let request = request.header("Idempotency-Key", key);
            body.iter().fold(request, |request, body| request.json(body))
        };
        let reply = self.send(Method::POST, path, with_body).await?;
        if reply.body.is_empty() {
            return Ok(Value::Null);
        }
        read(Method::POST, path, &reply.body)
    }

    /// Uploads a part.
    ///
    /// # Errors
    /// [`CampaignError`].
    pub async fn put_part(
        &self,
        path: &str,
        format: Format,
        body: Bytes,
    ) -> Result<PartReply, CampaignError> {
        let media_type = match format {
            Format::Csv => "text/csv",
            Format::JsonLines => "application/jsonl",
        };
        let with_body =
            |request: RequestBuilder| request.header(CONTENT_TYPE, media_type).body(body.clone());
        let reply = self.send(Method::PUT, path, with_body).await?;
        read(Method::PUT, path, &reply.body)
    }

    /// Gives each page of a file to `each`, as one file: the header of the first page alone.
    ///
    /// # Errors
    /// [`CampaignError`], also of `each`.
    pub async fn download(
        &self,
        path: &str,
        each: &mut impl FnMut(&[u8]) -> Result<(), CampaignError>,
    ) -> Result<(), CampaignError> {
        let mut at = path.to_owned();
        loop {
            let Reply { body, next } = self.send(Method::GET, &at, |request| request).await?;
            // The header is one line: it has no cell with a line break.
            let header = body.iter().position(|byte| *byte == b'\n').filter(|_| at != path);
            let rows = header.map_or(0, |end| end.saturating_add(1));
            each(body.get(rows..).unwrap_or_default())?;
            match next {
                Some(query) => at = format!("{path}?{query}"),
                None => return Ok(()),
            }
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.sender.request(method, &format!("/api/v2{path}")).header("X-USER-ID", &self.user)
    }

    /// Sends a request until it is answered for good, or too often.
    async fn send(
        &self,
        method: Method,
        path: &str,
        with: impl Fn(RequestBuilder) -> RequestBuilder,
    ) -> Result<Reply, CampaignError> {
        let mut backoff = self.pace.backoff;
        let mut left = self.pace.attempts;
        loop {
            let request = self.request(method.clone(), path).timeout(REQUEST_TIMEOUT);
            let (asked, error) = match self.attempt(&method, path, with(request)).await {
                Attempt::Done(reply) => return Ok(reply),
                Attempt::Failed(error) => return Err(error),
                Attempt::Again(asked, error) => (asked, error),
            };
            left = left.saturating_sub(1);
            if left == 0 {
                return Err(error);
            }
            let wait = asked.unwrap_or_else(|| self.jittered(backoff));
            tokio::time::sleep(wait.min(WAIT_MAX)).await;
            backoff = backoff.saturating_mul(2).min(self.pace.backoff_max);
        }
    }

    async fn attempt(&self, method: &Method, path: &str, request: RequestBuilder) -> Attempt {
        let response = match self.sender.send(request).await {
            Ok(response) => response,
            // A service that never answered is not there, or its address is wrong.
            Err(error) if error.is_connect() && !self.has_answered.load(Ordering::Relaxed) => {
                return Attempt::Failed(self.no_answer(error));
            }
            Err(error) => return Attempt::Again(None, self.no_answer(error)),
        };
        self.has_answered.store(true, Ordering::Relaxed);
        let status = response.status();
        if status.is_success() {
            let link = response.headers().get(LINK).and_then(|text| text.to_str().ok());
            let next = link.and_then(next_page).map(str::to_owned);
            return match response.bytes().await {
                Ok(body) => Attempt::Done(Reply { body, next }),
                Err(error) => Attempt::Again(None, self.no_answer(error)),
            };
        }
        let asked = response.headers().get(RETRY_AFTER).and_then(|text| text.to_str().ok());
        let asked = asked.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        let is_passing = matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504);
        let error = self.problem(method, path, response).await;
        let is_in_flight = status.as_u16() == 409 && error.code() == IN_FLIGHT;
        if is_passing || is_in_flight {
            Attempt::Again(asked, error)
        } else {
            Attempt::Failed(error)
        }
    }

    /// The problem that an answer states.
    async fn problem(&self, method: &Method, path: &str, response: Response) -> CampaignError {
        let status = response.status().as_u16();
        match response.text().await {
            Ok(text) => CampaignError::Refused {
                request: format!("{method} {path}"),
                status,
                problem: Box::new(Problem::read(&text)),
            },
            Err(error) => self.no_answer(error),
        }
    }

    fn no_answer(&self, source: reqwest::Error) -> CampaignError {
        let url = self.url().to_owned();
        if source.is_connect() {
            CampaignError::Unreachable { url, source }
        } else {
            CampaignError::NoAnswer { url, source }
        }
    }

    /// Between half of a wait and all of it, so that many callers do not come back together.
    fn jittered(&self, wait: Duration) -> Duration {
        let mut byte = [0; 1];
        self.rng.fill(&mut byte);
        let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let [share] = byte.map(|byte| 128_u64.saturating_add(u64::from(byte.div_euclid(2))));
        Duration::from_millis(ms.saturating_mul(share).div_euclid(255))
    }
}

/// The query of the next page, as the header `Link` names it.
fn next_page(link: &str) -> Option<&str> {
    link.strip_prefix("<?")?.strip_suffix(">; rel=\"next\"")
}

fn read<T: DeserializeOwned>(method: Method, path: &str, body: &[u8]) -> Result<T, CampaignError> {
    serde_json::from_slice(body)
        .map_err(|source| CampaignError::Unreadable { request: format!("{method} {path}"), source })
}
