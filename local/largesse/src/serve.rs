//! HTTP on a socket of this machine.

use std::fs::OpenOptions;
use std::future::Future;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use largesse_app::invocation::SourceAddress;
use largesse_app::key::KeyError;
use largesse_app::key::create::create;
use largesse_app::key::list::list;
use largesse_app::ports::{Clock, PortError, Rng};
use largesse_app::settings::SettingError;
use largesse_aws::production::{SecureRng, SetupError};
use largesse_domain::key::{ApiKey, Networks, Scopes, Terms};
use largesse_edge::EdgeConfig;
use largesse_edge::auth::SignatureSecrets;
use largesse_edge::config::Auth;
use largesse_edge::cursor::CursorKey;
use largesse_emulator::World;
use metrics_exporter_prometheus::BuildError;
use notify::webhook::Address;
use tokio::net::TcpListener;

use crate::compose::{self, ComposeError, Local};

/// Why the stack could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process listens there, or this process may not.
    #[error("cannot listen on {listen}: {}", hint(source.kind()))]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The stack could not be put together.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// An environment variable is malformed.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A secret beside the data cannot be read or written.
    #[error("cannot keep a secret in {}", file.display())]
    Secret {
        /// The file.
        file: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The store lacks a property that draws rely on.
    #[error("nothing is served: the store does not behave as DynamoDB does")]
    Store(#[source] PortError),
    /// The metrics cannot be counted.
    #[error("the metrics cannot be counted")]
    Metrics(#[from] BuildError),
    /// The first key cannot be made.
    #[error("cannot make the first API key")]
    Key(#[from] KeyError),
    /// The process cannot listen for signals.
    #[error("cannot listen for Ctrl-C")]
    Signals(#[source] std::io::Error),
    /// The server stopped by itself.
    #[error("the server stopped")]
    Server(#[source] std::io::Error),
}

/// What an operator may do about an address.
fn hint(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::AddrInUse => "is another program using it? Try --listen 127.0.0.1:0",
        ErrorKind::AddrNotAvailable => {
            "this machine has no such address; 127.0.0.1 is for this machine, 0.0.0.0 for all"
        }
        ErrorKind::PermissionDenied => "this user may not; ports from 1024 are free for all",
        _ => "try --listen 127.0.0.1:0",
    }
}

/// The file of the secret that signs cursors: cursors stay valid after a restart.
const SECRET_FILE: &str = "cursor.secret";
/// The file of the master secret of request signatures: keys stay usable after a restart.
const SIGNATURE_FILE: &str = "signature.secret";

/// Puts everything together in this process, with its data in `data` or in memory. `settings` stand
/// in place of the functions' environment variables of that name. The webhook is told, if there is
/// one.
///
/// # Errors
/// [`StartError`].
pub fn assemble(
    data: Option<&Path>,
    settings: &[(&str, String)],
    webhook: Option<Address>,
) -> Result<Local, StartError> {
    assemble_with(data, settings, webhook, Mode::Open)
}

/// How callers are authenticated.
#[derive(Clone, Debug)]
pub enum Mode {
    /// Not at all.
    Open,
    /// By API keys and signatures that follow from these secrets, or from the one beside the data.
    Signed(Option<SignatureSecrets>),
}

/// As [`assemble`], in that mode.
///
/// # Errors
/// [`StartError`].
pub fn assemble_with(
    data: Option<&Path>,
    settings: &[(&str, String)],
    webhook: Option<Address>,
    mode: Mode,
) -> Result<Local, StartError> {
    let stack = compose::stack_with(settings)?;
    let world = match data {
        Some(folder) => World::on_disk(&stack, folder),
        None => World::memory(&stack),
    };
    let world = world.map_err(ComposeError::from)?;
    let store = Arc::new(compose::store(&world, SecureRng::from_system()?));
    let is_key = |text: &str| CursorKey::new(text).is_some();
    let cursors = secret(data, SECRET_FILE, &*store, is_key)?;
    let cursors = CursorKey::new(&cursors).ok_or(ComposeError::CursorSecret)?;
    let auth = match mode {
        Mode::Open => Auth::Open,
        Mode::Signed(Some(secrets)) => Auth::Signed(secrets),
        Mode::Signed(None) => {
            let is_secret = |text: &str| SignatureSecrets::read(text).is_some();
            let made = secret(data, SIGNATURE_FILE, &*store, is_secret)?;
            Auth::Signed(SignatureSecrets::read(&made).ok_or(ComposeError::CursorSecret)?)
        }
    };
    let edge = EdgeConfig { auth, ..EdgeConfig::open(cursors) };
    Ok(compose::compose_serving(world, store, &edge, webhook, &[])?)
}

/// The owner of the first key of a local stack.
const FIRST_OWNER: &str = "local";

/// A key with every scope and its secret, for a stack that authenticates callers and whose first owner
/// has no key that lives.
///
/// # Errors
/// [`StartError::Key`].
pub async fn first_key(local: &Local) -> Result<Option<(ApiKey, String)>, StartError> {
    let Auth::Signed(secrets) = &local.auth else { return Ok(None) };
    let (store, Ok(owner)) = (&*local.store, FIRST_OWNER.parse()) else { return Ok(None) };
    let keys = list(store, &owner).await.map_err(KeyError::from)?;
    if keys.iter().any(|key| key.is_live(store.now())) {
        return Ok(None);
    }
    let terms = Terms { owner, scopes: Scopes::all(), networks: Networks::default() };
    let (key, record) = create(store, terms, None).await?;
    Ok(Some((key, secrets.secret_of(record.id))))
}

/// Probes the store before anything is served: a store that adds with too few digits gives every
/// member the same part.
///
/// # Errors
/// [`StartError::Store`], with the property that the store lacks.
pub async fn check_store(local: &Local) -> Result<(), StartError> {
    local.store.probe().await.map_err(StartError::Store)
}

/// The secret of that name beside the data; a new one where there is none that can be used.
fn secret(
    data: Option<&Path>,
    name: &str,
    rng: &impl Rng,
    is_usable: impl Fn(&str) -> bool,
) -> Result<String, StartError> {
    let file = data.map(|folder| folder.join(name));
    if let Some(file) = &file {
        match std::fs::read_to_string(file) {
            Ok(kept) if is_usable(&kept) => return Ok(kept),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Ok(_) | Err(_) => tracing::warn!(
                "{} cannot be used and is made again: what was made with it is refused",
                file.display()
            ),
        }
    }
    let mut bytes = [0; 32];
    rng.fill(&mut bytes);
    let made = hex::encode(bytes);
    if let Some(file) = &file {
        keep(file, &made).map_err(|source| StartError::Secret { file: file.clone(), source })?;
    }
    Ok(made)
}

/// Writes the secret so that only this user can read it. If the process is killed before the rename,
/// the next start makes another secret, and the cursors of before are refused.
fn keep(file: &Path, secret: &str) -> std::io::Result<()> {
    let unfinished = file.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(&unfinished)?.write_all(secret.as_bytes())?;
    std::fs::rename(unfinished, file)
}

/// Listens on the address.
///
/// # Errors
/// [`StartError::Listen`].
pub async fn bind(listen: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(listen).await.map_err(|source| StartError::Listen { listen, source })
}

/// Answers requests until `stop`, and then those under way.
///
/// # Errors
/// [`StartError::Server`].
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), StartError> {
    let router = router.layer(middleware::from_fn(to_the_end));
    let router = router.layer(middleware::from_fn(with_source));
    // `aws_front` answers callers on this machine only, and keys have lists of addresses.
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop).await.map_err(StartError::Server)
}

/// Tells the kernel the address of the peer, as the runtime tells it that of the event.
async fn with_source(mut request: Request, next: Next) -> Response {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied()
    {
        request.extensions_mut().insert(SourceAddress(peer.ip()));
    }
    next.run(request).await
}

/// Finishes a request whose caller hung up, as a function of Lambda does: else its money has moved and
/// a repeat under its key hears for a while that it is still running.
async fn to_the_end(request: Request, next: Next) -> Response {
    let answered = tokio::spawn(next.run(request)).await;
    answered.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

#[cfg(test)]
mod tests {
    use largesse_app::budget::miss::Misses;
    use largesse_app::ports::{Clock, Ids, Room, Rooms};
    use largesse_app::spray::claim::{Claim, claim};
    use largesse_app::spray::create::{Create, create as spray};
    use largesse_app::wallet::deposit::{Deposit, deposit};
    use largesse_aws::production::SystemClock;
    use largesse_domain::id::{RoomId, SprayId, TransferId, UserId};
    use largesse_domain::money::Amount;
    use largesse_domain::room::RoomName;
    use largesse_domain::split::Split;
    use largesse_domain::spray::Terms;
    use largesse_emulator::{Faults, Matching, Service, keep_digits};
    use largesse_money_server::{Server, Settings};

    use super::*;

    #[tokio::test]
    async fn a_store_that_adds_with_too_few_digits_is_not_served() {
        let local = assemble(None, &[], None).unwrap();
        check_store(&local).await.unwrap();
        let dynamo = Matching::any().of(Service::DynamoDb);
        let faulty = Faults::seeded(1).rewrite(dynamo, |_, reply| keep_digits(reply, 20));
        local.world.set_fault_hook(Some(Arc::new(faulty)));
        let error = check_store(&local).await.unwrap_err();
        let why = "nothing is served: the store does not behave as DynamoDB does";
        assert_eq!(error.to_string(), why);
        assert!(matches!(error, StartError::Store(_)));
    }

    /// As `largesse up --money-url` does: the ledger gives the sender's money away, and the service
    /// pays the member, under its rate.
    #[tokio::test]
    async fn a_share_is_paid_by_the_money_service_that_is_named() {
        let server = Server::start(Settings::default(), Arc::new(SystemClock)).await.unwrap();
        let settings = [("MONEY_URL", server.url()), ("MONEY_RATE_PER_S", "50".to_owned())];
        let local = assemble(None, &settings, None).unwrap();
        let store = &*local.store;
        let [ann, bob]: [UserId; 2] = ["ann", "bob"].map(|name| name.parse().unwrap());
        let (id, amount) = (TransferId(store.ulid()), Amount::new(10).unwrap());
        deposit(store, Deposit { id, user: ann.clone(), amount, memo: None }).await.unwrap();
        let room = Room { id: RoomId(store.ulid()), name: RoomName::new("room").unwrap() };
        store.create_room(&room, &[ann.clone(), bob.clone()], store.now()).await.unwrap();
        let (id, terms) = (SprayId(store.ulid()), Terms::new(10, 1, Split::Equal, 600).unwrap());
        let wish = Create { id, room: room.id, sender: ann, terms };
        let token = spray(store, wish).await.unwrap().token;
        let request = Claim { room: room.id, token, member: bob, misses: Misses::NONE };
        claim(store, &request).await.unwrap();
        local.world.settle().await;
        let report = server.report();
        assert_eq!((report.calls, report.paid, report.paid_sum), (1, 1, 10));
        let service = "money".parse().unwrap();
        assert_eq!(store.rate(&service).await.unwrap().unwrap().rate.limit(), 50);
    }
}
