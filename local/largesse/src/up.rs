//! `largesse up`: runs everything until Ctrl-C.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use largesse_app::settings::{SettingError, Variables};
use largesse_domain::key::ApiKey;
use notify::webhook::Address;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::serve::{self, Mode, StartError};
use crate::{aws_front, key, limits, plain, prometheus};

/// How often expired items are deleted. DynamoDB's TTL deletes them some days later.
const TTL_SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How long requests under way may take after Ctrl-C.
const GOODBYE: Duration = Duration::from_secs(5);

/// The HTTP money service that pays grants in place of the ledger.
#[derive(Clone, Debug)]
pub struct MoneyPlace {
    /// Its URL.
    pub url: String,
    /// How often it may be called, unless the store has another rate.
    pub rate_per_s: u32,
}

impl MoneyPlace {
    /// What the functions are told.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![("MONEY_URL", self.url.clone()), ("MONEY_RATE_PER_S", self.rate_per_s.to_string())]
    }
}

/// How callers are authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AuthMode {
    /// Not at all.
    Open,
    /// By an API key and a signature.
    Signed,
}

/// Starts everything and runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// [`StartError`].
pub async fn run(
    listen: SocketAddr,
    data: Option<&Path>,
    auth: AuthMode,
    money: Option<&MoneyPlace>,
    webhook: Option<Address>,
) -> Result<(), StartError> {
    let variables = Variables::of_process();
    log_to_stderr(&variables)?;
    let metrics = prometheus::start()?;
    let limits = limits::given(&variables)?;
    let listener = serve::bind(listen).await?;
    let settings = money.map(MoneyPlace::settings).unwrap_or_default();
    let settings: Vec<_> = settings.into_iter().chain(limits).collect();
    let mode = match auth {
        AuthMode::Open => Mode::Open,
        AuthMode::Signed => Mode::Signed(key::of_environment(&variables)?),
    };
    let local = serve::assemble_with(data, &settings, webhook, mode)?;
    serve::check_store(&local).await?;
    let callers = match auth {
        AuthMode::Open => open(reachable(local_address(&listener)?)),
        AuthMode::Signed => signed(serve::first_key(&local).await?),
    };
    let address = local_address(&listener)?;
    let running = local.world.start();
    let (stop, stopped) = watch::channel(false);
    let mut router = local.router.clone().merge(prometheus::router(metrics.clone()));
    if address.ip().is_loopback() {
        router = router.merge(aws_front::router(local.world.clone()));
    }
    let server = tokio::spawn(serve::serve(listener, router, until(stopped.clone())));
    let world = local.world.clone();
    let sweeper = tokio::spawn(async move {
        loop {
            tokio::time::sleep(TTL_SWEEP_EVERY).await;
            // Housekeeping only: what cannot be deleted now is deleted the next time.
            let _ = world.sweep_ttl();
            metrics.run_upkeep();
        }
    });
    // Before the banner: a signal after it stops the process in order.
    let stopping = signal_to_stop()?;
    say(&banner(address, data, money, &callers));
    stopping.await;
    say("\nStopping: requests under way are answered, functions finish.");
    stop.send_replace(true);
    sweeper.abort();
    // A client that keeps its connection open does not keep the process running.
    let served = tokio::time::timeout(GOODBYE, server).await;
    running.shutdown().await;
    say(if data.is_some() { "Stopped. Everything is kept." } else { "Stopped. Nothing is kept." });
    match served {
        Ok(Ok(result)) => result,
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener.local_addr().map_err(StartError::Server)
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // The sender outlives the server. Without it, the server stops too.
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// A future that ends at Ctrl-C or SIGTERM. The process listens for both from this call on.
pub(crate) fn signal_to_stop() -> Result<impl Future<Output = ()>, StartError> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

fn log_to_stderr(variables: &Variables<'_>) -> Result<(), SettingError> {
    let expected = "targets and levels, as `info` or `info,grant_pay=debug`";
    let filter = variables.optional("RUST_LOG", expected, |text| text.parse::<Targets>().ok())?;
    let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::WARN));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    Ok(())
}

/// Says where it is. Where that cannot be written, it serves all the same.
pub(crate) fn say(text: &str) {
    let _ = plain::print(text);
}

/// An address that a client of this machine reaches: all addresses are no address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn banner(
    address: SocketAddr,
    data: Option<&Path>,
    money: Option<&MoneyPlace>,
    callers: &str,
) -> String {
    let kept = match data {
        Some(folder) => format!("in {}, and survives kill -9", folder.display()),
        None => "in memory only; --data DIR keeps it".to_owned(),
    };
    let aws = if address.ip().is_loopback() {
        format!("http://{address}{}, for SDK clients of this machine", aws_front::PATH)
    } else {
        "not served: only while listening on loopback".to_owned()
    };
    let money = match money {
        Some(MoneyPlace { url, rate_per_s }) => {
            format!("{url}, {rate_per_s} calls a second at most")
        }
        None => "the ledger".to_owned(),
    };
    let address = reachable(address);
    format!(
        r#"Largesse is up.

  open   http://{address}/docs
  aws    {aws}
  data   {kept}
  money  {money}
  stop   Ctrl-C

{callers}"#
    )
}

/// What the banner says of callers that are authenticated. The key is shown once: only its hash is
/// kept.
fn signed(first: Option<(ApiKey, String)>) -> String {
    let key = match first {
        Some((key, secret)) => format!(
            "  key     {}\n  secret  {secret}\n\n  Both are shown once. The key has every scope; \
             `largesse key create` makes others.",
            key.reveal(),
        ),
        None => "  The first key was shown before; `largesse key create` makes another.".to_owned(),
    };
    format!(
        "  AUTH=signed: each request needs an API key and a signature (docs/auth.md).\n\n{key}\n"
    )
}

/// What the banner says of callers that are not authenticated, at that address.
fn open(address: SocketAddr) -> String {
    format!(
        r#"  WARNING: AUTH=open. X-USER-ID is believed as it is.

Try it, from another terminal: give alice 10,000 won, spray them to three, let bob and carol claim.

  API=http://{address}/api/v2 JSON='content-type: application/json' KEY=$(date +%s)
  curl -s $API/wallets/alice/deposits -H 'X-USER-ID: alice' -H "Idempotency-Key: $KEY-1" \
    -H "$JSON" -d '{{"amount": 10000}}'
  ROOM=$(curl -s $API/rooms -H 'X-USER-ID: alice' \
    -H "$JSON" -d '{{"name": "lunch", "members": ["bob", "carol"]}}' \
    | sed 's/.*"room_id":"\([^"]*\)".*/\1/')
  TOKEN=$(curl -s $API/sprays -H 'X-USER-ID: alice' -H "X-ROOM-ID: $ROOM" \
    -H "Idempotency-Key: $KEY-2" -H "$JSON" \
    -d '{{"amount": 10000, "recipients": 3, "split": "random", "expires_in_s": 600}}' \
    | sed 's/.*"token":"\([^"]*\)".*/\1/')
  curl -s -X POST $API/sprays/$TOKEN/claims -H 'X-USER-ID: bob' -H "X-ROOM-ID: $ROOM"
  curl -s -X POST $API/sprays/$TOKEN/claims -H 'X-USER-ID: carol' -H "X-ROOM-ID: $ROOM"
  curl -s $API/sprays/$TOKEN -H 'X-USER-ID: alice' -H "X-ROOM-ID: $ROOM"
  curl -s $API/wallets/bob -H 'X-USER-ID: bob'
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands of the first spray: from the line that names the API to the one that reads bob's
    /// wallet, without comments and empty lines.
    fn commands(text: &str) -> Vec<&str> {
        let lines = text.lines().map(str::trim).skip_while(|line| !line.starts_with("API="));
        let end = "curl -s $API/wallets/bob -H 'X-USER-ID: bob'";
        let mut has_ended = false;
        let lines = lines.take_while(|line| !std::mem::replace(&mut has_ended, *line == end));
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
    }

    #[test]
    fn the_banner_of_all_addresses_names_one_that_can_be_reached() {
        let shown = |address: &str| {
            let address = address.parse().unwrap();
            banner(address, None, None, &open(reachable(address)))
        };
        let text = shown("0.0.0.0:4414");
        assert!(text.contains("API=http://127.0.0.1:4414/api/v2"), "{text}");
        assert!(!text.contains("0.0.0.0") && text.contains("not served"), "{text}");
        assert!(shown("[::]:80").contains("http://[::1]:80/docs"));
    }

    #[test]
    fn the_banner_and_the_readme_give_the_same_commands() {
        let banner = open(SocketAddr::from(([127, 0, 0, 1], 3000)));
        let readme = include_str!("../../../README.md");
        assert_eq!(commands(&banner), commands(readme));
        assert!(commands(readme).last().unwrap().starts_with("curl -s $API/wallets/bob"));
    }
}
