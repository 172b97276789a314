//! HTTP on a socket of this machine.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use largesse_app::ports::Rng;
use largesse_aws::production::{SecureRng, SetupError};
use largesse_edge::cursor::CursorKey;
use largesse_emulator::World;
use tokio::net::TcpListener;

use crate::compose::{self, ComposeError, Local};

/// Why the stack could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somebody listens there, or this process may not.
    #[error("cannot listen on {listen}: is another program using it? Try --listen 127.0.0.1:0")]
    Listen {
        /// Where.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The stack could not be put together.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// There is no randomness.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The secret beside the data cannot be read or written.
    #[error("cannot keep the cursor secret in {}", file.display())]
    Secret {
        /// Where.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Signals cannot be taken.
    #[error("cannot listen for Ctrl-C")]
    Signals(#[source] std::io::Error),
    /// The server stopped by itself.
    #[error("the server stopped")]
    Server(#[source] std::io::Error),
}

/// The file that keeps the secret of cursors, so that they outlive a restart.
const SECRET_FILE: &str = "cursor.secret";

/// Everything in this process; in `data`, or in memory.
///
/// # Errors
/// [`StartError`].
pub fn assemble(data: Option<&Path>) -> Result<Local, StartError> {
    let stack = compose::stack()?;
    let world = match data {
        Some(folder) => World::on_disk(&stack, folder),
        None => World::memory(&stack),
    };
    let world = world.map_err(ComposeError::from)?;
    let store = Arc::new(compose::store(&world, SecureRng::from_system()?));
    let secret = secret(data, &*store)?;
    Ok(compose::compose(world, store, &secret)?)
}

fn secret(data: Option<&Path>, rng: &impl Rng) -> Result<String, StartError> {
    let file = data.map(|folder| folder.join(SECRET_FILE));
    if let Some(file) = &file
        && let Ok(kept) = std::fs::read_to_string(file)
        && CursorKey::new(&kept).is_some()
    {
        return Ok(kept);
    }
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    let made = hex::encode(bytes);
    if let Some(file) = &file {
        keep(file, &made).map_err(|source| StartError::Secret { file: file.clone(), source })?;
    }
    Ok(made)
}

/// Writes the secret for this user's eyes only; killed in between, the next start makes another
/// one, and only the cursors of the moment are lost.
fn keep(file: &Path, secret: &str) -> std::io::Result<()> {
    let unfinished = file.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&unfinished)?.write_all(secret.as_bytes())?;
    std::fs::rename(unfinished, file)
}

/// Takes the address.
///
/// # Errors
/// [`StartError::Listen`].
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(listen).await.map_err(|source| StartError::Listen { listen, source })
}

/// Answers requests until `stop`; those under way are answered first.
///
/// # Errors
/// [`StartError::Server`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    // The embedded AWS answers this machine only, so it has to know who asks.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await.map_err(StartError::Server)
}
