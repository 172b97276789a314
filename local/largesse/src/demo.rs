//! Demonstrations: each runs over HTTP on a stack of its own.

pub mod campaign;
pub mod command;
pub mod drop;
pub mod product;
pub mod spray;

mod claims;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use largesse_emulator::{Running, World};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::beside::MoneyBesideError;
use crate::campaign::CampaignError;
use crate::client::{Client, ClientError};
use crate::compose::Local;
use crate::limits;
use crate::serve::{self, StartError};
use crate::up::MoneyPlace;

/// Why a demonstration failed.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The stack did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A request failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The books could not be read.
    #[error(transparent)]
    Port(#[from] largesse_app::ports::PortError),
    /// The audit found a discrepancy.
    #[error("money is not conserved: {0:?}")]
    NotConserved(Vec<String>),
    /// The money service did not start.
    #[error(transparent)]
    Money(#[from] MoneyBesideError),
    /// A command about the campaign failed.
    #[error(transparent)]
    Campaign(Box<CampaignError>),
    /// The output is lost.
    #[error("cannot write to standard output")]
    Print(#[source] std::io::Error),
    /// The outcome is not the expected one.
    #[error("{0}")]
    Broken(String),
}

impl From<CampaignError> for DemoError {
    fn from(error: CampaignError) -> Self {
        Self::Campaign(Box::new(error))
    }
}

/// A running stack on a free port.
pub struct Stage {
    /// A caller of its HTTP API.
    pub client: Client,
    /// Where its HTTP API is.
    pub url: String,
    /// Its parts.
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
    pub async fn start() -> Result<Self, StartError> {
        Self::start_on(None).await
    }

    /// Starts a stack on the data of a folder, or in memory, on a free port of the loopback
    /// interface.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_on(data: Option<&Path>) -> Result<Self, StartError> {
        Self::serve(serve::assemble(data, &limits::out_of_reach(), None)?).await
    }

    /// Starts a stack in memory that pays by an HTTP money service.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start_paying_by(money: &MoneyPlace) -> Result<Self, StartError> {
        let settings: Vec<_> = money.settings().into_iter().chain(limits::out_of_reach()).collect();
        Self::serve(serve::assemble(None, &settings, None)?).await
    }

    /// Starts a stack that is put together, on a free port of the loopback interface.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn serve(local: Local) -> Result<Self, StartError> {
        let listener = serve::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr().map_err(StartError::Server)?;
        let running = local.world.start();
        let (stop, stopped) = oneshot::channel();
        let until = async {
            // The server also stops when the stage is dropped.
            let _ = stopped.await;
        };
        let server = tokio::spawn(serve::serve(listener, local.router.clone(), until));
        let url = format!("http://{address}");
        let client = Client::new(&url);
        Ok(Self { client, url, local, running, stop, server })
    }

    /// The emulator.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.local.world
    }

    /// Stops everything.
    pub async fn stop(self) {
        let Self { client, running, stop, server, .. } = self;
        drop(client);
        let _ = stop.send(());
        running.shutdown().await;
        server.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "a demonstration measures how long it takes")]
fn started() -> Instant {
    Instant::now()
}

fn bar(len: u32, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(u64::from(len));
    let style = ProgressStyle::with_template("{msg:>9} [{bar:40}] {pos}/{len}  {rate}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("█▉ ");
    bar.set_style(style.with_key(
        "rate",
        |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(out, "{:.0}/s", state.per_sec());
        },
    ));
    bar.set_message(what);
    bar
}
