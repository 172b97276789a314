//! The holder of an API key: signs the requests that this program sends (docs/signing.md).
//!
//! The secret comes from the environment or a file, never from the command line, where other users
//! of the machine see it. Neither it nor the key is printed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use largesse_app::ports::Ids;
use largesse_app::settings::{SettingError, Variables};
use largesse_aws::production::{RandomIds, SecureRng, SetupError, SystemClock};
use largesse_domain::key::ApiKey;
use largesse_edge::auth::signature::{
    NONCE_HEADER, Parts, SIGNATURE_HEADER, TIMESTAMP_HEADER, decoded_path, sign, signed_text,
};
use largesse_edge::extract::{ROOM_HEADER, USER_HEADER};
use reqwest::Request;
use reqwest::header::HeaderValue;

/// The variable with the key.
pub const KEY: &str = "LARGESSE_KEY";
/// The variable with the secret of the key.
pub const SECRET: &str = "LARGESSE_SECRET";

/// Why nothing can be signed.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// The environment has no key, or something else in its place.
    #[error(transparent)]
    Key(SettingError),
    /// The environment has no secret, and no file is named.
    #[error("{SECRET} holds the secret of the key, or --secret-file names a file with it")]
    NoSecret(#[source] SettingError),
    /// The file with the secret cannot be read.
    #[error("cannot read {}", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Setup(#[from] SetupError),
}

/// The options with which a command signs its requests.
#[derive(Clone, Debug, Default, Args)]
pub struct Credentials {
    /// The file with the secret of the API key in the variable LARGESSE_KEY; without it, the variable
    /// LARGESSE_SECRET. Without a key no request is signed.
    #[arg(long, value_name = "FILE", global = true)]
    secret_file: Option<PathBuf>,
}

impl Credentials {
    /// The holder of the key that is given; `None` without a key.
    ///
    /// # Errors
    /// [`HolderError`]. A file with a secret and no key is an error: the file would be ignored.
    pub fn holder(&self, variables: &Variables<'_>) -> Result<Option<Holder>, HolderError> {
        let expected = "an API key, as `largesse key create` shows it";
        let parse = |text: &str| text.parse::<ApiKey>().ok();
        let key = match &self.secret_file {
            Some(_) => variables.required(KEY, expected, parse).map(Some),
            None => variables.optional(KEY, expected, parse),
        };
        let Some(key) = key.map_err(HolderError::Key)? else { return Ok(None) };
        let secret = secret(self.secret_file.as_deref(), variables)?;
        Ok(Some(Holder::new(key, secret)?))
    }
}

/// The secret of a key: of the file that is named, else of the environment.
///
/// # Errors
/// [`HolderError`].
pub fn secret(file: Option<&Path>, variables: &Variables<'_>) -> Result<String, HolderError> {
    let Some(file) = file else {
        let text =
            variables.required(SECRET, "the secret of the key", |text| Some(text.to_owned()));
        return text.map_err(HolderError::NoSecret);
    };
    let unreadable = |error| HolderError::Unreadable(file.to_owned(), error);
    // An editor puts a line end behind it.
    Ok(std::fs::read_to_string(file).map_err(unreadable)?.trim_end().to_owned())
}

/// The holder of an API key. Its `Debug` is redacted.
#[derive(Clone)]
pub struct Holder {
    key: ApiKey,
    secret: String,
    ids: Arc<RandomIds>,
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Holder(..)")
    }
}

impl Holder {
    /// The holder of that key, who signs with that secret.
    ///
    /// # Errors
    /// [`SetupError`] when the operating system gives no randomness.
    pub fn new(key: ApiKey, secret: String) -> Result<Self, SetupError> {
        let ids =
            RandomIds { clock: Arc::new(SystemClock), rng: Arc::new(SecureRng::from_system()?) };
        Ok(Self { key, secret, ids: Arc::new(ids) })
    }

    /// Signs a request as it will be sent, at this moment and with a new nonce. The path is signed
    /// without `base`, the path of the deployment's own URL.
    pub fn sign(&self, request: &mut Request, base: &str) {
        let parts = parts_of(request, base);
        // A path that is not UTF-8 is refused, however it is signed.
        let path = decoded_path(parts.path).unwrap_or_default();
        for (name, value) in self.headers(&Parts { path: &path, ..parts }) {
            // The values are ASCII: keys, digits and ULIDs.
            if let Ok(mut value) = HeaderValue::from_str(&value) {
                value.set_sensitive(true);
                request.headers_mut().insert(name, value);
            }
        }
    }

    /// The headers that sign a request of these parts, at this moment and with a new nonce, whatever
    /// time and nonce the parts have.
    #[must_use]
    pub fn headers(&self, parts: &Parts<'_>) -> [(&'static str, String); 4] {
        let timestamp = self.ids.clock.now().ms_unsigned().div_euclid(1_000).to_string();
        let nonce = self.ids.ulid().to_string();
        self.headers_of(&Parts { timestamp: &timestamp, nonce: &nonce, ..*parts })
    }

    fn headers_of(&self, parts: &Parts<'_>) -> [(&'static str, String); 4] {
        [
            ("Authorization", format!("Bearer {}", self.key.reveal())),
            (TIMESTAMP_HEADER, parts.timestamp.to_owned()),
            (NONCE_HEADER, parts.nonce.to_owned()),
            (SIGNATURE_HEADER, sign(&self.secret, &signed_text(parts))),
        ]
    }
}

/// The signed parts of a request, without time and nonce.
fn parts_of<'a>(request: &'a Request, base: &str) -> Parts<'a> {
    let url = request.url();
    let header = |name: &str| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    };
    Parts {
        method: request.method().as_str(),
        path: url.path().strip_prefix(base).unwrap_or_else(|| url.path()),
        query: url.query().unwrap_or_default(),
        timestamp: "",
        nonce: "",
        user: header(USER_HEADER),
        room: header(ROOM_HEADER),
        body: request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use largesse_domain::id::KeyId;
    use reqwest::Method;

    use super::*;
    use crate::client::Sender;

    /// That of docs/signing.md.
    const VECTOR: &str = "6361417eb15fb9a900720404e8d9e0d6aa32c11f1bb42574ac196c1e8f249209";

    fn key() -> ApiKey {
        ApiKey::new(KeyId::from_str("01K9Z3NDEKTSV4RRFFQ69G5FAV").unwrap(), &[0; 32])
    }

    fn holder() -> Holder {
        Holder::new(key(), VECTOR.to_owned()).unwrap()
    }

    fn signature(url: &str, path: &str, base: &str) -> String {
        let http = largesse_money::tls::local_client();
        let request = Sender::new(http, url, None).request(Method::POST, path);
        let request = request.header(USER_HEADER, "ann").body(r#"{"amount":1000}"#);
        let request = request.build().unwrap();
        let parts = parts_of(&request, base);
        let parts = Parts { timestamp: "1700000000", nonce: "0123456789abcdef", ..parts };
        holder().headers_of(&parts)[3].1.clone()
    }

    #[test]
    fn a_request_has_the_signature_of_the_vector_also_below_a_base_path() {
        let path = "/api/v2/wallets/ann/deposits";
        let vector = "v1=49769ddb9d94173527726c06fefacc59b45db2b6f784a763c349555b79f0b26b";
        assert_eq!(signature("http://127.0.0.1", path, ""), vector);
        assert_eq!(signature("https://pay.example/pay/", path, "/pay"), vector);
        assert_ne!(signature("http://127.0.0.1", &format!("{path}?a=1"), ""), vector);
    }

    #[test]
    fn each_request_has_another_nonce_and_no_debug_shows_a_secret() {
        let signed = || {
            let request = largesse_money::tls::local_client().get("http://127.0.0.1/api");
            let mut request = request.build().unwrap();
            holder().sign(&mut request, "");
            request
        };
        let (one, other) = (signed(), signed());
        assert_ne!(one.headers()[NONCE_HEADER], other.headers()[NONCE_HEADER]);
        let shown = format!("{:?} {:?}", one, holder());
        assert!(!shown.contains(key().reveal()) && !shown.contains(VECTOR), "{shown}");
    }

    #[test]
    fn a_key_needs_its_secret_and_a_file_with_a_secret_needs_a_key() {
        let key = key().reveal().to_owned();
        let read = |key: Option<&str>, secret: Option<&str>, file: Option<&str>| {
            let (key, secret) = (key.map(str::to_owned), secret.map(str::to_owned));
            let variables = Variables::new(move |name| match name {
                KEY => key.clone(),
                SECRET => secret.clone(),
                _ => None,
            });
            Credentials { secret_file: file.map(PathBuf::from) }.holder(&variables)
        };
        assert!(read(Some(&key), Some(VECTOR), None).unwrap().is_some());
        assert!(read(None, Some(VECTOR), None).unwrap().is_none());
        assert!(matches!(read(Some(&key), None, None), Err(HolderError::NoSecret(_))));
        assert!(matches!(read(Some("lgs_1"), Some(VECTOR), None), Err(HolderError::Key(_))));
        assert!(matches!(read(None, None, Some("/nope")), Err(HolderError::Key(_))));
        let lost = read(Some(&key), Some(VECTOR), Some("/nope"));
        assert!(matches!(lost, Err(HolderError::Unreadable(..))), "{lost:?}");
    }
}
