//! A runtime on a thread of its own: what runs there is held up by no other task of this process, as
//! in a process of its own.

use std::sync::Arc;
use std::thread;

use largesse_aws::production::SystemClock;
use largesse_money_server::{Faults, Server, Settings, StartError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The thread. It ends when this is dropped, with all that runs there.
pub struct Beside {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Beside {
    /// Starts a thread of that name.
    ///
    /// # Errors
    /// When the operating system gives no thread or no runtime.
    pub fn start(name: &str) -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // It ends with the sender, which never sends.
        let work = move || drop(runtime.block_on(stopped));
        thread::Builder::new().name(name.to_owned()).spawn(work)?;
        Ok(Self { handle, _stop: stop })
    }

    /// What runs tasks there.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Why there is no money server.
#[derive(Debug, thiserror::Error)]
pub enum MoneyBesideError {
    /// There is no thread for it.
    #[error("cannot start a thread")]
    Thread(#[from] std::io::Error),
    /// It did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It failed while it started.
    #[error("the money server did not start")]
    Task(#[from] tokio::task::JoinError),
}

/// The reference money server on a socket of this machine, on a thread of its own.
pub struct MoneyBeside {
    /// The server.
    pub server: Server,
    _beside: Beside,
}

impl MoneyBeside {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// [`MoneyBesideError`].
    pub async fn start(seed: u64, faults: Faults) -> Result<Self, MoneyBesideError> {
        let beside = Beside::start("money-server")?;
        let settings = Settings { seed, faults, ..Settings::default() };
        let starting = Server::start(settings, Arc::new(SystemClock));
        let server = beside.handle().spawn(starting).await??;
        Ok(Self { server, _beside: beside })
    }
}
