//! The command line.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::bench::{self, Section};
use crate::dlq::command::{Action, Where};
use crate::money_server::{self, MoneyServerArgs};
use crate::up::say;
use crate::{demo, dlq, up};

/// Money to many people at once, exactly once each: the whole system on one machine.
#[derive(Debug, Parser)]
#[command(name = "largesse", version, about, max_term_width = 100)]
// Arguments before a command belong to no command: they are refused, not ignored.
#[command(args_conflicts_with_subcommands = true)]
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
    /// Run a reference of the HTTP money API on this machine, with faults on demand.
    MoneyServer(MoneyServerArgs),
    /// Print the OpenAPI document of all routes.
    Openapi,
}

#[derive(Debug, Subcommand)]
enum Scene {
    /// Many members claim one spray at once.
    Spray(SprayArgs),
}

#[derive(Debug, Args)]
struct UpArgs {
    /// The address to listen on.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Keep all data in this folder; without it, in memory only.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct SprayArgs {
    /// How many members claim.
    #[arg(long, default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    people: u32,
    /// How many shares there are.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    shares: u32,
    /// The amount, in won.
    #[arg(long, default_value_t = 1_000_000)]
    amount: u64,
    /// How many requests are under way at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    clients: u16,
}

#[derive(Debug, Args)]
struct BenchArgs {
    /// What to measure.
    #[arg(value_enum, default_value = "all")]
    section: Section,
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
    /// How long each row of draws and of claims over HTTP is measured.
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3_600))]
    seconds: u32,
    /// The folder of the functions' binaries; without it target/lambda, shipped and release.
    #[arg(long, value_name = "DIR")]
    functions: Option<PathBuf>,
}

/// Runs the command of the command line.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result: Result<(), Box<dyn Error>> = match runtime {
        Ok(runtime) => runtime.block_on(dispatch(cli)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> Result<(), Box<dyn Error>> {
    match cli.command {
        None => Ok(up::run(cli.up.listen, cli.up.data.as_deref()).await?),
        Some(Command::Up(args)) => Ok(up::run(args.listen, args.data.as_deref()).await?),
        Some(Command::Demo { scene: Scene::Spray(args) }) => {
            let SprayArgs { people, shares, amount, clients } = args;
            Ok(demo::spray::run(people, shares, amount, clients).await?)
        }
        Some(Command::Bench(args)) => {
            let BenchArgs { section, json, seconds, functions } = args;
            Ok(bench::run(section, json, seconds, functions).await?)
        }
        Some(Command::Dlq { action, place }) => {
            let (text, result) = dlq::command::run(action, place).await;
            if let Some(text) = text {
                say(&text);
            }
            Ok(result?)
        }
        Some(Command::MoneyServer(args)) => Ok(money_server::run(args).await?),
        Some(Command::Openapi) => {
            say(include_str!("../../../docs/openapi.json").trim_end());
            Ok(())
        }
    }
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
