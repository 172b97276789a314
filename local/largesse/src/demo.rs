//! Scenes that show what the system does, over HTTP, in a world of their own.

pub mod spray;

use std::net::{Ipv4Addr, SocketAddr};

use largesse_emulator::{Running, World};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{Client, ClientError};
use crate::compose::Local;
use crate::serve::{self, StartError};

/// Why a scene broke off.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The stack did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A request went wrong.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The books could not be read.
    #[error(transparent)]
    Port(#[from] largesse_app::ports::PortError),
    /// Money is not where it should be.
    #[error("money is not conserved: {0:?}")]
    NotConserved(Vec<String>),
    /// What came out is not what was promised.
    #[error("{0}")]
    Broken(String),
}

/// A stack of its own on a free port.
pub struct Stage {
    /// A caller of it.
    pub client: Client,
    /// The parts.
    pub local: Local,
    running: Running,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), StartError>>,
}

impl Stage {
    /// Starts a stack in memory, on a free port of the loopback interface.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn set() -> Result<Self, StartError> {
        let listener = serve::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr().map_err(StartError::Server)?;
        let local = serve::assemble(None)?;
        let running = local.world.start();
        let (stop, stopped) = oneshot::channel();
        let until = async {
            // A dropped stage stops as well.
            let _ = stopped.await;
        };
        let server = tokio::spawn(serve::serve(listener, local.router.clone(), until));
        let client = Client::new(format!("http://{address}"));
        Ok(Self { client, local, running, stop, server })
    }

    /// The embedded AWS.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.local.world
    }

    /// Ends everything.
    pub async fn strike(self) {
        let Self { client, running, stop, server, .. } = self;
        drop(client);
        let _ = stop.send(());
        running.shutdown().await;
        server.abort();
    }
}
