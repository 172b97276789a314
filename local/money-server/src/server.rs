//! The server on its socket.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use largesse_app::ports::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::faults::{Faults, FaultsError};
use crate::line::{Line, Lines};
use crate::report::Report;
use crate::state::Shared;
use crate::wire::Transfer;
use crate::{control, transfers};

/// How a server starts.
#[derive(Clone, Default)]
pub struct Settings {
    /// The port on loopback; 0: any that is free.
    pub port: u16,
    /// The bearer secret that callers must give; without it, they need none.
    pub secret: Option<String>,
    /// Decides which calls meet which faults.
    pub seed: u64,
    /// What goes wrong from the start.
    pub faults: Faults,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port, secret, seed, faults } = self;
        let secret = secret.as_ref().map(|_| "redacted");
        let mut shown = f.debug_struct("Settings");
        shown.field("port", port).field("secret", &secret);
        shown.field("seed", seed).field("faults", faults).finish()
    }
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The faults are none.
    #[error(transparent)]
    Faults(#[from] FaultsError),
    /// The port is taken, or this process may not have it.
    #[error("cannot listen on port {port} of this machine")]
    Listen {
        /// The port.
        port: u16,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
}

/// A running server. It accepts no connection any more when it is dropped.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Listens on loopback and answers until it is dropped. `clock` tells the time of limits,
    /// outages and verdicts; latencies pass by tokio's clock.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let Settings { port, secret, seed, faults } = settings;
        faults.check()?;
        let listen = |source| StartError::Listen { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared::new(clock, seed, secret, faults));
        let router = transfers::router().merge(control::router()).with_state(shared.clone());
        let service = router.into_make_service_with_connect_info::<Line>();
        let accepting = tokio::spawn(async move {
            // It ends by being aborted only: accepting retries what fails.
            let _ = axum::serve(Lines(listener), service).await;
        });
        Ok(Self { address, shared, accepting })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The base of its URLs, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets what goes wrong from now on.
    ///
    /// # Errors
    /// [`FaultsError`], and nothing has changed.
    pub fn set_faults(&self, faults: Faults) -> Result<(), FaultsError> {
        faults.check()?;
        self.shared.set_faults(faults);
        Ok(())
    }

    /// Calls so far, refused ones included. Unlike [`Server::report`], it holds up no call.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.shared.lock().calls
    }

    /// A transfer, as a look-up would show it now; `None` when there is none.
    #[must_use]
    pub fn transfer(&self, id: &str) -> Option<Transfer> {
        let now_ms = self.shared.now_ms();
        self.shared.lock().books.look_up(id, now_ms)
    }

    /// What the books hold.
    #[must_use]
    pub fn report(&self) -> Report {
        self.shared.report()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
