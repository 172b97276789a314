//! The command line.

use std::convert::Infallible;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use largesse_app::settings::Variables;
use largesse_aws::production::SystemClock;
use largesse_domain::id::{CampaignId, PoolId};
use largesse_domain::rate::RATE_LIMIT_MAX;
use notify::webhook::Address;

use crate::bench::{self, Section};
use crate::campaign::{self, CampaignError, command as campaigns};
use crate::demo::command::Scene;
use crate::dlq::command::{Action, Ended, Where};
use crate::money_server::{self, MoneyServerArgs};
use crate::serve::StartError;
use crate::sign::SignArgs;
use crate::up::{AuthMode, MoneyPlace};
use crate::{archive, demo, dlq, key, plain, rate, sign, up, verify};

/// Where `up` listens, if no address is named.
const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 3_000));
/// How often `up` calls an HTTP money service, if no rate is named: as template.yaml has it.
const MONEY_RATE_PER_S: u32 = 1_000;
/// The exit code of a wrong command line, as clap has it.
const WRONG_USE: u8 = 2;

/// The output of a command is lost.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
struct PrintError(#[source] std::io::Error);

/// Money to many people at once, exactly once each: the whole system on one machine.
#[derive(Debug, Parser)]
#[command(name = "largesse", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    up: UpArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything on this machine (the default).
    Up(UpArgs),
    /// Run a demonstration from end to end on a stack of its own, over HTTP.
    Demo {
        #[command(subcommand)]
        scene: Scene,
    },
    /// Measure: what operations cost, how fast one process is, how small a function is.
    Bench(BenchArgs),
    /// Dead letters: what was not paid or not sent, why, and what to do about it.
    Dlq {
        #[command(subcommand)]
        action: Action,
        #[command(flatten)]
        place: Where,
    },
    /// API keys: make, rotate, revoke and list them, directly in the table.
    Key {
        #[command(subcommand)]
        action: key::Action,
        #[command(flatten)]
        place: Where,
    },
    /// The rate at which an HTTP money service is called, over all workers.
    Rate {
        #[command(subcommand)]
        action: rate::Action,
        #[command(flatten)]
        place: Where,
    },
    /// Campaigns: pay the rows of a file.
    Campaign {
        #[command(subcommand)]
        action: campaigns::Action,
        #[command(flatten)]
        place: campaigns::Place,
    },
    /// Recompute what must not have been changed.
    Verify {
        #[command(subcommand)]
        what: Verified,
    },
    /// The archive: how far it is, what it holds, and whether it is whole.
    Archive {
        #[command(subcommand)]
        action: archive::Action,
        #[command(flatten)]
        place: Where,
        #[command(flatten)]
        objects: archive::Objects,
    },
    /// Run a reference of the HTTP money API on this machine, with faults on demand.
    MoneyServer(MoneyServerArgs),
    /// Print the OpenAPI document of all routes.
    Openapi,
    /// Sign one request: print its headers, or a curl command.
    Sign(SignArgs),
}

#[derive(Debug, Subcommand)]
enum Verified {
    /// The audit of a campaign: that no entry was changed, added or removed.
    Audit {
        /// The id of the campaign.
        id: CampaignId,
        #[command(flatten)]
        place: campaigns::Place,
    },
    /// The ledger: that all money is where it should be, also while it moves.
    Ledger {
        #[command(flatten)]
        place: Where,
    },
    /// List the pools that are frozen, since when and why.
    Frozen {
        #[command(flatten)]
        place: Where,
    },
    /// Lift the freeze of a pool: members draw from it, and it pays, refunds and settles again.
    Unfreeze {
        /// The pool, as SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV.
        pool: PoolId,
        #[command(flatten)]
        place: Where,
    },
}

#[derive(Debug, Args)]
struct UpArgs {
    /// The address to listen on [default: 127.0.0.1:3000].
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Keep all data in this folder; without it, in memory only.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How callers are authenticated: `open` believes X-USER-ID, `signed` needs an API key and a
    /// signature [default: open].
    #[arg(long, value_enum)]
    auth: Option<AuthMode>,
    /// Pay grants by this HTTP money service, as `largesse money-server`; without it, by the ledger.
    #[arg(long, value_name = "URL", value_parser = money_url)]
    money_url: Option<String>,
    /// Calls a second to that service, until `largesse rate set` sets another rate [default: 1000].
    #[arg(long, value_name = "N", value_parser = per_second())]
    money_rate: Option<u32>,
    /// A Slack-compatible webhook that is told when a campaign ends: https, or http to this machine.
    // An address that cannot be used is refused later: clap would repeat it, and it is a secret.
    #[arg(long, value_name = "URL", value_parser = webhook)]
    webhook_url: Option<Webhook>,
}

/// The address of a webhook; `None` when the text is none.
type Webhook = Arc<Option<Address>>;

fn webhook(text: &str) -> Result<Webhook, Infallible> {
    Ok(Arc::new(Address::read(text)))
}

/// The calls a second that a rate may have.
fn per_second() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(RATE_LIMIT_MAX))
}

fn money_url(text: &str) -> Result<String, String> {
    let base = text.parse::<largesse_money::Base>();
    base.map(|_| text.to_owned()).map_err(|error| error.to_string())
}

impl UpArgs {
    /// The options before and behind the command `up`: each stands once.
    fn joined(self, behind: Self) -> Result<Self, clap::Error> {
        let is_twice = (self.listen.is_some() && behind.listen.is_some())
            || (self.data.is_some() && behind.data.is_some())
            || (self.auth.is_some() && behind.auth.is_some())
            || (self.money_url.is_some() && behind.money_url.is_some())
            || (self.money_rate.is_some() && behind.money_rate.is_some())
            || (self.webhook_url.is_some() && behind.webhook_url.is_some());
        if is_twice {
            return Err(wrong("an option stands before `up` and behind it"));
        }
        Ok(Self {
            listen: self.listen.or(behind.listen),
            data: self.data.or(behind.data),
            auth: self.auth.or(behind.auth),
            money_url: self.money_url.or(behind.money_url),
            money_rate: self.money_rate.or(behind.money_rate),
            webhook_url: self.webhook_url.or(behind.webhook_url),
        })
    }

    const fn is_given(&self) -> bool {
        self.listen.is_some()
            || self.data.is_some()
            || self.auth.is_some()
            || self.money_url.is_some()
            || self.money_rate.is_some()
            || self.webhook_url.is_some()
    }

    /// Where grants are paid. A rate alone would be ignored.
    fn money(&self) -> Result<Option<MoneyPlace>, clap::Error> {
        match (&self.money_url, self.money_rate) {
            (Some(url), rate) => {
                let rate_per_s = rate.unwrap_or(MONEY_RATE_PER_S);
                Ok(Some(MoneyPlace { url: url.clone(), rate_per_s }))
            }
            (None, Some(_)) => Err(wrong("--money-rate is the rate of --money-url")),
            (None, None) => Ok(None),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "it is an IP address and a port, as 127.0.0.1:3000; port 0 is any free one".to_owned()
    })
}

/// A command line whose arguments do not go together.
fn wrong(why: &str) -> clap::Error {
    Cli::command().error(ErrorKind::ArgumentConflict, why)
}

#[derive(Debug, Args)]
struct BenchArgs {
    /// What to measure.
    #[arg(value_enum, default_value = "all")]
    section: Section,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
    /// How long each row of draws, of claims over HTTP, of `drop` and of `product` is measured
    /// [default: 3], and each share of a limit of `campaign` [default: 60].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: Option<u32>,
    /// The rows of `campaign`, 1,000 to 1,000,000.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1_000..=1_000_000))]
    rows: u32,
    /// The folder of the functions' binaries; without it target/lambda, shipped and release.
    #[arg(long, value_name = "DIR")]
    functions: Option<PathBuf>,
}

/// Runs the command of the command line.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            print_error(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> Result<ExitCode, Box<dyn Error>> {
    let is_for_up = matches!(cli.command, None | Some(Command::Up(_)));
    if !is_for_up && cli.up.is_given() {
        // They would be ignored.
        wrong(
            "--listen, --data, --auth, --money-url, --money-rate and --webhook-url are options of \
             `up`, and cannot be used with this command",
        )
        .exit()
    }
    match cli.command {
        None => up(cli.up).await?,
        Some(Command::Up(args)) => {
            up(cli.up.joined(args).unwrap_or_else(|error| error.exit())).await?
        }
        Some(Command::Demo { scene }) => {
            if let Some(why) = scene.contradiction() {
                wrong(why).exit()
            }
            demo::command::run(scene).await?;
        }
        Some(Command::Bench(args)) => {
            let BenchArgs { section, json, seconds, rows, functions } = args;
            bench::run(section, json, seconds, rows, functions).await?;
        }
        Some(Command::Dlq { action, place }) => {
            let (text, result) = dlq::command::run(action, place).await;
            if let Some(text) = text {
                print(&text)?;
            }
            return match result {
                Ok(Ended::Done) => Ok(ExitCode::SUCCESS),
                Ok(Ended::Kept) => Ok(ExitCode::FAILURE),
                Err(error) if error.is_wrong_use() => {
                    print_error(&error);
                    Ok(ExitCode::from(WRONG_USE))
                }
                Err(error) => Err(error.into()),
            };
        }
        Some(Command::Key { action, place }) => print(&key::run(action, &place).await?)?,
        Some(Command::Rate { action, place }) => print(&rate::run(action, &place).await?)?,
        Some(Command::Campaign { action, place }) => {
            let output = campaign::Output;
            return ended(campaigns::run(action, &place, &output).await);
        }
        Some(Command::Archive { action, place, objects }) => {
            let said = archive::run(action, &place, &objects).await?;
            print(&said.text)?;
            return Ok(if said.is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Some(Command::Verify { what }) => return verified(what).await,
        Some(Command::MoneyServer(args)) => money_server::run(args).await?,
        Some(Command::Sign(args)) => {
            let (clock, rng) = (Arc::new(SystemClock), dlq::rng()?);
            print(&sign::run(&args, &Variables::of_process(), clock, rng)?)?;
        }
        Some(Command::Openapi) => {
            print(include_str!("../../../docs/openapi.json").trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn verified(what: Verified) -> Result<ExitCode, Box<dyn Error>> {
    match what {
        Verified::Audit { id, place } => {
            let api = place.api()?;
            return ended(campaign::verify::audit(&api, &campaign::Output, id).await);
        }
        Verified::Ledger { place } => {
            let proved = verify::ledger(&place).await?;
            print(&proved.text)?;
            return Ok(if proved.is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        Verified::Frozen { place } => print(&verify::frozen(&place).await?)?,
        Verified::Unfreeze { pool, place } => print(&verify::lift(&place, pool).await?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The exit code of a command about campaigns.
fn ended(result: Result<campaign::Ended, CampaignError>) -> Result<ExitCode, Box<dyn Error>> {
    match result {
        Ok(campaign::Ended::Done) => Ok(ExitCode::SUCCESS),
        Ok(campaign::Ended::Left) => Ok(ExitCode::FAILURE),
        Err(error) if error.is_wrong_use() => {
            print_error(&error);
            Ok(ExitCode::from(WRONG_USE))
        }
        Err(error) => Err(error.into()),
    }
}

async fn up(args: UpArgs) -> Result<(), StartError> {
    let listen = args.listen.unwrap_or(LISTEN);
    let money = args.money().unwrap_or_else(|error| error.exit());
    let webhook = args.webhook_url.map(|given| match &*given {
        Some(address) => address.clone(),
        None => wrong(&format!("--webhook-url must be {}", Address::EXPECTED)).exit(),
    });
    let auth = args.auth.unwrap_or(AuthMode::Open);
    up::run(listen, args.data.as_deref(), auth, money.as_ref(), webhook).await
}

fn print(text: &str) -> Result<(), PrintError> {
    plain::print(text).map_err(PrintError)
}

/// Prints an error and its causes in one line.
#[expect(clippy::print_stderr, reason = "this is a command's error output")]
fn print_error(error: &dyn Error) {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        line.push_str(": ");
        line.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    eprintln!("largesse: {line}");
}
