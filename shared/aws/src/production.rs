//! What stands outside in production: the machine's clock, its randomness, and AWS itself.

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
use largesse_domain::id::Ulid;
use largesse_domain::time::Timestamp;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};

use crate::cache::lock;
use crate::store::{Names, Outside, Store};

/// Why the store could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// An environment variable that Lambda always sets is missing.
    #[error("the environment variable {0} is not set")]
    Missing(&'static str),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness(#[source] rand::rngs::SysError),
}

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
    /// [`SetupError::Randomness`].
    pub fn from_system() -> Result<Self, SetupError> {
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(SetupError::Randomness)?;
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

impl Outside {
    /// A clock and a generator, with ids made of the two.
    #[must_use]
    pub fn of(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>) -> Self {
        let ids = Arc::new(RandomIds { clock: clock.clone(), rng: rng.clone() });
        Self { clock, ids, rng }
    }
}

/// The store of a deployed function. Everything comes from the environment that Lambda sets, so no
/// chain of credential providers is linked in.
///
/// # Errors
/// [`SetupError`].
pub fn store_from_env() -> Result<Store, SetupError> {
    let config = sdk_config()?;
    let rng = Arc::new(SecureRng::from_system()?);
    let names = Names::from_lookup(|name| std::env::var(name).ok());
    Ok(Store::new(&config, names, Outside::of(Arc::new(SystemClock), rng)))
}

/// The SDK's configuration from the environment that Lambda sets; `AWS_ENDPOINT_URL` leads to a
/// local emulator.
///
/// # Errors
/// [`SetupError::Missing`].
pub fn sdk_config() -> Result<SdkConfig, SetupError> {
    let variable = |name: &'static str| std::env::var(name).map_err(|_| SetupError::Missing(name));
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        std::env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    );
    let builder = outside(credentials, Region::new(variable("AWS_REGION")?));
    let endpoint = std::env::var("AWS_ENDPOINT_URL").ok();
    Ok(match endpoint {
        Some(url) => builder.endpoint_url(url).build(),
        None => builder.build(),
    })
}

/// The SDK's configuration for an emulator on this machine, which looks at no credentials.
#[must_use]
pub fn emulator_config(endpoint: &str, region: &'static str) -> SdkConfig {
    let credentials = Credentials::new("local", "local", None, None, "emulator");
    outside(credentials, Region::from_static(region)).endpoint_url(endpoint).build()
}

/// Over real sockets, with real sleeps.
fn outside(credentials: Credentials, region: Region) -> aws_types::sdk_config::Builder {
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
