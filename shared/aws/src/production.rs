//! The environment in production: the machine's clock, its randomness, and AWS itself.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_http_client::tls::{self, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::SdkConfig;
use aws_types::region::Region;
use largesse_app::ports::{Clock, Ids, Rng};
use largesse_app::settings::{SettingError, Variables};
use largesse_domain::id::Ulid;
use largesse_domain::time::Timestamp;
use object_store::ObjectStore;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};

use crate::archive::s3;
use crate::cache::lock;
use crate::names::{Names, url};
use crate::store::{Environment, Store};

/// Why the store could not be set up: the operating system gave no randomness.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct SetupError(#[source] rand::rngs::SysError);

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the Clock port's one way to the clock")]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_ms(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A cryptographically secure generator, seeded once from the operating system.
pub struct SecureRng(Mutex<StdRng>);

impl SecureRng {
    /// Seeds it.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn from_system() -> Result<Self, SetupError> {
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(SetupError)?;
        Ok(Self(Mutex::new(rng)))
    }

    /// A generator that repeats itself, for tests.
    #[must_use]
    pub fn from_seed(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Rng for SecureRng {
    fn fill(&self, bytes: &mut [u8]) {
        rand::Rng::fill_bytes(&mut *lock(&self.0), bytes);
    }
}

/// ULIDs from a clock and a generator: 48 bits of time, 80 of randomness.
pub struct RandomIds {
    /// Tells their time.
    pub clock: Arc<dyn Clock>,
    /// Makes the rest.
    pub rng: Arc<dyn Rng>,
}

impl Ids for RandomIds {
    fn ulid(&self) -> Ulid {
        let mut random = [0; 16];
        self.rng.fill(&mut random);
        Ulid::from_parts(self.clock.now().ms_unsigned(), u128::from_be_bytes(random))
    }
}

impl Environment {
    /// A clock and a generator, with ids made of the two.
    #[must_use]
    pub fn of(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let ids = Arc::new(RandomIds { clock: clock.clone(), rng: rng.clone() });
        Self { clock, ids, rng }
    }
}

/// The store of a deployed function.
///
/// # Errors
/// [`SetupError`].
pub fn store(config: &SdkConfig, names: Names) -> Result<Store, SetupError> {
    let rng = Arc::new(SecureRng::from_system()?);
    Ok(Store::new(config, names, Environment::of(Arc::new(SystemClock), rng)))
}

/// The SDK's configuration from the environment that Lambda sets, so that no chain of credential
/// providers is linked in; `AWS_ENDPOINT_URL` leads to a local emulator.
///
/// # Errors
/// [`SettingError`].
pub fn sdk_config(variables: &Variables<'_>) -> Result<SdkConfig, SettingError> {
    let text = |text: &str| Some(text.to_owned());
    let credential = "a credential of AWS, as Lambda sets it";
    let credentials = Credentials::new(
        variables.required("AWS_ACCESS_KEY_ID", credential, text)?,
        variables.required("AWS_SECRET_ACCESS_KEY", credential, text)?,
        variables.optional("AWS_SESSION_TOKEN", credential, text)?,
        None,
        "environment",
    );
    let region = variables.required("AWS_REGION", "a region such as ap-northeast-2", |text| {
        let is_known = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        text.bytes().all(is_known).then(|| text.to_owned())
    })?;
    let builder = config(credentials, Region::new(region));
    let endpoint = variables.optional("AWS_ENDPOINT_URL", "the URL of an emulator of AWS", url)?;
    Ok(match endpoint {
        Some(url) => builder.endpoint_url(url).build(),
        None => builder.build(),
    })
}

/// The archive of a function, where it has one.
pub type Archive = Option<Arc<dyn ObjectStore>>;

/// The archive of a deployed function: the bucket that `ARCHIVE_BUCKET` names, if it names one.
///
/// # Errors
/// [`SettingError`].
pub fn archive(variables: &Variables<'_>) -> Result<Archive, SettingError> {
    s3(variables)
}

/// The SDK's configuration for an emulator on this machine, which looks at no credentials.
#[must_use]
pub fn emulator_config(endpoint: &str, region: &'static str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "emulator");
    config(credentials, Region::from_static(region)).endpoint_url(endpoint).build()
}

/// Over real sockets, with real sleeps.
fn config(credentials: Credentials, region: Region) -> aws_types::sdk_config::Builder {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(CryptoMode::Ring))
        .build_https();
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(region)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .http_client(http)
}
