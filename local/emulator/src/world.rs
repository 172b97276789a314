//! The world: one value that owns all services, and the ways to reach them.

use std::fs::File;
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
use object_store::ObjectStore;
use object_store::memory::InMemory;

use crate::bus::Bus;
use crate::clock::WorldClock;
use crate::connector::{Connector, Services};
use crate::dynamo::Database;
use crate::faults::FaultHook;
use crate::pump::{Activity, Progress, Pump, SchedulePump, StreamPump};
use crate::recorder::Recorder;
use crate::signals::Signals;
use crate::sqs::{QueueView, Sqs};
use crate::stack::{Stack, TableSpec};
use crate::{folder, names};

/// The reason why a world cannot be created.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// What should be the folder is a file.
    #[error("{} is a file, not a folder", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// The folder cannot be created or written.
    #[error("cannot write to the data folder {}", folder.display())]
    Unwritable {
        /// The folder.
        folder: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// Another process uses the folder.
    #[error("another process uses the data folder {}", folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds other files, and its data is missing or empty.
    #[error(
        "{} is missing or empty, but its folder holds other files, so it was used before: restore \
         the file, or choose an empty folder",
        file.display()
    )]
    Lost {
        /// The file of the data.
        file: PathBuf,
    },
    /// The file of the data is another program's.
    #[error(
        "{} is a database of another program: restore Largesse's, or choose an empty folder",
        file.display()
    )]
    Foreign {
        /// The file of the data.
        file: PathBuf,
    },
    /// The file of the data cannot be used.
    #[error(
        "cannot use {}; if it is damaged, restore it from a copy, or choose an empty folder",
        file.display()
    )]
    Damaged {
        /// The file of the data.
        file: PathBuf,
        /// The error of the engine.
        #[source]
        source: dynoxide::DynoxideError,
    },
    /// The database engine failed.
    #[error("the emulated DynamoDB failed")]
    Engine(#[from] dynoxide::DynoxideError),
    /// A mapping names an unknown queue, table stream, schedule or consumer.
    #[error("there is no {0}")]
    Unknown(String),
}

/// One emulated AWS region. Clones share it.
#[derive(Clone)]
pub struct World {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) stack: Stack,
    pub(crate) clock: WorldClock,
    pub(crate) services: Arc<Services>,
    /// What stands for the bucket of the archive.
    pub(crate) objects: Arc<dyn ObjectStore>,
    pub(crate) pumps: Mutex<Vec<Arc<dyn Pump>>>,
    pub(crate) schedules: Mutex<Vec<Arc<SchedulePump>>>,
    pub(crate) streams: Mutex<Vec<Arc<StreamPump>>>,
    /// When this process opened the world, in epoch milliseconds.
    pub(crate) opened_ms: i64,
    pub(crate) activity: Activity,
    pub(crate) progress: Progress,
    /// The operating system releases it when the process ends.
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
        Self::build(stack, clock, database, Arc::new(InMemory::new()), None)
    }

    /// A world whose data is in `folder` and survives the process, also when the process is killed.
    /// Module `dynamo` says what a power failure may cost.
    ///
    /// # Errors
    /// When the folder cannot be written to, another process uses it, its data is missing, damaged
    /// or another program's, or the engine refuses. A folder that was not used before may hold
    /// folders and hidden files, and nothing else.
    pub fn on_disk(stack: &Stack, folder: &Path) -> Result<Self, WorldError> {
        Self::on_disk_at(stack, folder, WorldClock::real())
    }

    /// As [`World::on_disk`], at the time of `clock`.
    ///
    /// # Errors
    /// As [`World::on_disk`].
    pub fn on_disk_at(stack: &Stack, folder: &Path, clock: WorldClock) -> Result<Self, WorldError> {
        let folder::Folder { data, objects, lock } = folder::open(folder)?;
        let world = Database::on_disk(&data, &clock)
            .map_err(WorldError::from)
            .and_then(|database| Self::build(stack, clock, database, objects, Some(lock)));
        world.map_err(|error| match error {
            WorldError::Engine(source) => WorldError::Damaged { file: data, source },
            other => other,
        })
    }

    fn build(
        stack: &Stack,
        clock: WorldClock,
        database: Database,
        objects: Arc<dyn ObjectStore>,
        lock: Option<File>,
    ) -> Result<Self, WorldError> {
        database.create(&stack.tables)?;
        let signals = Signals::default();
        let disk = lock.is_some().then(|| database.clone());
        let sqs = Sqs::open(&stack.queues, disk, &clock, &signals)?;
        let bus = Bus::new(stack, &sqs, &clock, &signals);
        let recorder = Recorder::default();
        let hook = RwLock::new(None);
        let hash_key = |table: &TableSpec| {
            let mut keys = table.keys.iter();
            let hash = keys.find(|(_, kind)| kind == "HASH");
            hash.map(|(attribute, _)| (table.name.clone(), attribute.clone()))
        };
        let partition_keys = stack.tables.iter().filter_map(hash_key).collect();
        let services = Services { database, sqs, bus, recorder, partition_keys, signals, hook };
        Ok(Self {
            inner: Arc::new(Inner {
                stack: stack.clone(),
                opened_ms: clock.now_ms(),
                clock,
                services: Arc::new(services),
                objects,
                pumps: Mutex::default(),
                schedules: Mutex::default(),
                streams: Mutex::default(),
                activity: Activity::default(),
                progress: Progress::default(),
                _lock: lock,
            }),
        })
    }

    /// What stands for the bucket of the archive: a folder beside the data, or memory.
    #[must_use]
    pub fn objects(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.inner.objects)
    }

    /// The configuration for SDK clients. It sets no retries; the caller chooses them.
    #[must_use]
    pub fn sdk_config(&self) -> SdkConfig {
        let credentials = Credentials::new("local", "local", None, None, "emulator");
        let connector = Connector { services: Arc::clone(&self.inner.services) };
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(names::REGION))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(connector)
            .time_source(self.inner.clock.clone())
            .sleep_impl(TokioSleep::new())
            // There are no sockets that could be slow.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build()
    }

    /// An auth scheme for clients of this world: it signs nothing, because the emulator checks no
    /// signature. Push it into a client's configuration to save the work.
    #[must_use]
    pub fn auth_scheme(&self) -> SharedAuthScheme {
        crate::auth::unsigned()
    }

    /// Serves one HTTP request, for callers that open a socket for other processes. `target` is the
    /// value of `X-Amz-Target`. `None` means that the service is unknown, or that a fault broke the
    /// connection.
    pub async fn answer(&self, target: &str, body: Vec<u8>) -> Option<http::Response<Vec<u8>>> {
        let mut request = HttpRequest::new(SdkBody::from(body));
        request.headers_mut().try_insert("x-amz-target", target.to_owned()).ok()?;
        let response = self.inner.services.serve(&request).await.ok()?;
        let response = response.try_into_http1x().ok()?;
        Some(response.map(|body| body.bytes().unwrap_or_default().to_vec()))
    }

    /// The stack of this world.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.inner.stack
    }

    /// The clock of this world.
    #[must_use]
    pub fn clock(&self) -> &WorldClock {
        &self.inner.clock
    }

    /// Counts of round trips and units.
    #[must_use]
    pub fn recorder(&self) -> &Recorder {
        &self.inner.services.recorder
    }

    /// Direct access to the tables, without SDK, faults and counting.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.inner.services.database
    }

    /// The event buses.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.inner.services.bus
    }

    /// The content of a queue; `None` when it does not exist.
    #[must_use]
    pub fn queue(&self, name: &str) -> Option<QueueView> {
        self.inner.services.sqs.view(name)
    }

    /// Deletes the expired items of all tables with a TTL attribute and gives their number. Streams
    /// get records of it.
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
}
