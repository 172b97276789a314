//! The command line.

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::up::say;
use crate::{demo, up};

/// Money to many people at once, exactly once each: the whole system on one machine.
#[derive(Debug, Parser)]
#[command(name = "largesse", version, about, max_term_width = 100)]
// What stands before a command belongs to no command: refused, not ignored.
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
    /// Play a scene from end to end in a world of its own, over HTTP.
    Demo {
        #[command(subcommand)]
        scene: Scene,
    },
    /// Print the OpenAPI document of all routes.
    Openapi,
}

#[derive(Debug, Subcommand)]
enum Scene {
    /// Many people claim one spray at once.
    Spray(SprayArgs),
}

#[derive(Debug, Args)]
struct UpArgs {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Keep everything in this folder; without it, in memory only.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct SprayArgs {
    /// How many people claim.
    #[arg(long, default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    people: u32,
    /// How many shares there are.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    shares: u32,
    /// What is sprayed, in won.
    #[arg(long, default_value_t = 1_000_000)]
    amount: u64,
    /// How many requests are under way at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1_024))]
    clients: u16,
}

/// Runs what the command line says.
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
            complain(&*error);
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
            Ok(demo::spray::play(people, shares, amount, clients).await?)
        }
        Some(Command::Openapi) => {
            say(include_str!("../../../docs/openapi.json").trim_end());
            Ok(())
        }
    }
}

/// Says what went wrong, and why, in a line.
#[expect(clippy::print_stderr, reason = "this is where a command complains")]
fn complain(error: &dyn Error) {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        line.push_str(": ");
        line.push_str(&deeper.to_string());
        cause = deeper.source();
    }
    eprintln!("largesse: {line}");
}
