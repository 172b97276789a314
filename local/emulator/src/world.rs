//! The world itself: what holds everything, and how to get at it.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::auth::SharedAuthScheme;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::bus::Bus;
use crate::clock::WorldClock;
use crate::connector::{Connector, Services};
use crate::dynamo::Database;
use crate::faults::FaultHook;
use crate::names;
use crate::pump::{Activity, Progress, Pump, SchedulePump, StreamPump};
use crate::recorder::Recorder;
use crate::signals::Signals;
use crate::sqs::{QueueView, Sqs};
use crate::stack::Stack;

/// The file that one process holds locked while it uses a folder.
const LOCK_FILE: &str = "lock";
/// The file that holds tables, queues and positions.
const DATA_FILE: &str = "world.db";

/// Why a world could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The folder cannot be made or written to.
    #[error("cannot write to the data folder {}", folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another process uses the folder.
    #[error("another process uses the data folder {}", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The embedded engine failed.
    #[error("the embedded DynamoDB failed")]
    Engine(#[from] dynoxide::DynoxideError),
    /// A mapping names a queue, a table with a stream, or a schedule that is not there.
    #[error("there is no {0}")]
    Unknown(String),
}

/// One embedded AWS. Cloning shares it.
#[derive(Clone)]
pub struct World {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) stack: Stack,
    pub(crate) clock: WorldClock,
    pub(crate) services: Arc<Services>,
    pub(crate) pumps: Mutex<Vec<Arc<dyn Pump>>>,
    pub(crate) schedules: Mutex<Vec<Arc<SchedulePump>>>,
    pub(crate) streams: Mutex<Vec<Arc<StreamPump>>>,
    /// When this process opened the world, in epoch milliseconds.
    pub(crate) opened_ms: i64,
    pub(crate) activity: Activity,
    pub(crate) progress: Progress,
    /// Released by the system when the process ends, however it ends.
    _lock: Option<File>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// A world in memory, at the system's time.
    ///
    /// # Errors
    /// When the engine refuses a table of the stack.
    pub fn memory(stack: &Stack) -> Result<Self, WorldError> {
        Self::memory_at(stack, WorldClock::real())
    }

    /// A world in memory, at the time of `clock`.
    ///
    /// # Errors
    /// When the engine refuses a table of the stack.
    pub fn memory_at(stack: &Stack, clock: WorldClock) -> Result<Self, WorldError> {
        let database = Database::memory(&clock)?;
        Self::build(stack, clock, database, None)
    }

    /// A world that lives in `folder` and goes on where it ended. It survives being killed at any
    /// moment; see `dynamo` for what a power cut may cost.
    ///
    /// # Errors
    /// When the folder cannot be written to, another process uses it, or the engine refuses.
    pub fn on_disk(stack: &Stack, folder: &Path) -> Result<Self, WorldError> {
        Self::on_disk_at(stack, folder, WorldClock::real())
    }

    /// As [`World::on_disk`], at the time of `clock`.
    ///
    /// # Errors
    /// As [`World::on_disk`].
    pub fn on_disk_at(stack: &Stack, folder: &Path, clock: WorldClock) -> Result<Self, WorldError> {
        let unwritable = |source| WorldError::Unwritable { folder: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        let lock = File::create(folder.join(LOCK_FILE)).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(WorldError::Locked { folder: folder.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(unwritable(source)),
        }
        let database = Database::on_disk(&folder.join(DATA_FILE), &clock)?;
        Self::build(stack, clock, database, Some(lock))
    }

    fn build(
        stack: &Stack,
        clock: WorldClock,
        database: Database,
        lock: Option<File>,
    ) -> Result<Self, WorldError> {
        database.create(&stack.tables)?;
        let signals = Signals::default();
        let disk = lock.is_some().then(|| database.clone());
        let sqs = Sqs::open(&stack.queues, disk, &clock, &signals)?;
        let bus = Bus::new(&stack.buses, &clock, &signals);
        let recorder = Recorder::default();
        let hook = RwLock::new(None);
        let services = Services { database, sqs, bus, recorder, signals, hook };
        Ok(Self {
            inner: Arc::new(Inner {
                stack: stack.clone(),
                opened_ms: clock.now_ms(),
                clock,
                services: Arc::new(services),
                pumps: Mutex::default(),
                schedules: Mutex::default(),
                streams: Mutex::default(),
                activity: Activity::default(),
                progress: Progress::default(),
                _lock: lock,
            }),
        })
    }

    /// What SDK clients are made from. Retries are the caller's choice: none are configured here.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new("local", "local", None, None, "world");
        let connector = Connector { services: Arc::clone(&self.inner.services) };
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(names::REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(connector)
            .time_source(self.inner.clock.clone())
            .sleep_impl(TokioSleep::new())
            // It guards against slow sockets, of which there are none.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    }

    /// An auth scheme for clients of this world: it signs nothing, because nothing checks signatures
    /// here. Push it into a client's configuration to save the work.
    #[must_use]
    pub fn auth_scheme(&self) -> SharedAuthScheme {
        crate::auth::unsigned()
    }

    /// Answers a request as AWS would, for processes that reach the world over a socket of the
    /// caller's: `target` is the value of `X-Amz-Target`. `None`: no service is named so, or the
    /// connection breaks and the other side hears nothing.
    pub async fn answer(&self, target: &str, body: Vec<u8>) -> Option<http::Response<Vec<u8>>> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.headers_mut().try_insert("x-amz-target", target.to_owned()).ok()?;
        let response = self.inner.services.serve(&request).await.ok()?;
        let response = response.try_into_http1x().ok()?;
        Some(response.map(|body| body.bytes().unwrap_or_default().to_vec()))
    }

    /// What this world was built from.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.inner.stack
    }

    /// The world's clock.
    #[must_use]
    pub fn clock(&self) -> &WorldClock {
        &self.inner.clock
    }

    /// Counts of round trips and units.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.inner.services.recorder
    }

    /// The tables, behind the SDK's back.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.inner.services.database
    }

    /// The event buses.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.inner.services.bus
    }

    /// What lies in a queue; `None` when there is no such queue.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<QueueView> {
        self.inner.services.sqs.view(name)
    }

    /// Deletes expired items of all tables with a TTL attribute; says how many. Streams see it.
    ///
    /// # Errors
    /// When the engine fails.
    pub fn sweep_ttl(&self) -> Result<usize, WorldError> {
        let deleted = self.database().sweep_ttl()?;
        for table in &self.inner.stack.tables {
            let topic = crate::signals::Topic::Table(table.name.clone());
            self.inner.services.signals.raise(&topic);
        }
        Ok(deleted)
    }

    /// Installs a fault hook for all calls, or removes the installed one.
    pub fn set_fault_hook(&self, hook: Option<Arc<dyn FaultHook>>) {
        let installed = &self.inner.services.hook;
        *installed.write().unwrap_or_else(PoisonError::into_inner) = hook;
    }

    /// The former name of [`World::set_fault_hook`].
    pub fn interpose(&self, hook: Option<Arc<dyn FaultHook>>) {
        self.set_fault_hook(hook);
    }
}
