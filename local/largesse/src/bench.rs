//! `largesse bench`: what an operation costs, how fast one process is, how small a function is.
//!
//! Times on a shared machine drift, counts do not. So counts come first. Every figure that has a mark
//! (docs/limits.md) is printed with it; a missed mark is no failure.

pub mod auth;
pub mod campaign;
pub mod counts;
pub mod dead_letters;
pub mod draws;
pub mod drop;
pub mod functions;
pub mod http;
pub mod prices;
pub mod product;
pub mod refunds;
pub mod report;
pub mod tokens;

mod contest;
mod lab;
mod meter;
mod naive;
mod process;
mod rounds;
mod server;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use largesse_aws::production::SetupError;

use crate::beside::MoneyBesideError;
use crate::campaign::CampaignError;
use crate::client::ClientError;
use crate::compose::ComposeError;
use crate::plain;
use crate::serve::StartError;
use report::Table;

/// How long each row is measured, if it is not said.
const SECONDS: u32 = 3;
/// The same of each share of a limit.
const SHARE_SECONDS: u32 = 60;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Section {
    /// Calls, capacity units and dollars of every operation: exact.
    Counts,
    /// Writes and write units of a draw over whole fillings, and draws a second of one process.
    Draws,
    /// One process over HTTP on loopback: start, claims a second, latencies, memory.
    Http,
    /// What key, signature, nonce and limits of a caller add to a request.
    Auth,
    /// What finding a free token costs while tokens run out.
    Tokens,
    /// Size, start and memory of each function's binary.
    Functions,
    /// Working off a backlog of 100,000 expired sprays: takes minutes, so not part of `all`.
    Refunds,
    /// One run over 100,000 dead-letter messages: takes minutes, so not part of `all`.
    DeadLetters,
    /// As `http`, and the memory after 60,000 claims: takes minutes, so not part of `all`.
    HttpLong,
    /// A campaign of 1,000,000 rows, and the share of a money service's limit that workers use: takes
    /// ten minutes, so not part of `all`.
    Campaign,
    /// What entering a drop costs, and entries a second beside other designs: takes minutes, so not
    /// part of `all`.
    Drop,
    /// The same of investments in a product: takes minutes, so not part of `all`.
    Product,
    /// Everything that does not take minutes.
    All,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The stack could not be put together.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The stack did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The money service did not start.
    #[error(transparent)]
    Money(#[from] MoneyBesideError),
    /// A command about a campaign failed.
    #[error(transparent)]
    Campaign(Box<CampaignError>),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] largesse_app::ports::PortError),
    /// A request failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A process could not be started or read.
    #[error("{what}")]
    Process {
        /// What was tried.
        what: String,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// What was measured did not work.
    #[error("{0}")]
    Broken(String),
}

impl From<CampaignError> for BenchError {
    fn from(error: CampaignError) -> Self {
        Self::Campaign(Box::new(error))
    }
}

/// Measures and prints.
///
/// # Errors
/// [`BenchError`].
pub async fn run(
    section: Section,
    is_json: bool,
    seconds: Option<u32>,
    rows: u32,
    functions: Option<PathBuf>,
) -> Result<(), BenchError> {
    let wanted = |one| section == one || section == Section::All;
    let mut tables = Vec::new();
    let mut keep = |measured: Vec<Table>| {
        if !is_json {
            measured.iter().try_for_each(|table| say(&table.to_text()))?;
        }
        tables.extend(measured);
        Ok::<_, BenchError>(())
    };
    if wanted(Section::Counts) {
        keep(alone(counts::measure).await?)?;
    }
    if wanted(Section::Tokens) {
        keep(vec![alone(tokens::measure).await?])?;
    }
    if section == Section::Refunds {
        keep(vec![alone(refunds::measure).await?])?;
    }
    if section == Section::DeadLetters {
        keep(vec![alone(dead_letters::measure).await?])?;
    }
    if section == Section::Campaign {
        keep(campaign::whole::measure(rows).await?)?;
        keep(vec![campaign::share::measure(seconds.unwrap_or(SHARE_SECONDS)).await?])?;
    }
    let each = Duration::from_secs(u64::from(seconds.unwrap_or(SECONDS)));
    if wanted(Section::Auth) {
        keep(alone(move || auth::measure(each)).await?)?;
        keep(vec![auth::over_http(each).await?])?;
    }
    if section == Section::Drop {
        let size = drop::Size::USUAL;
        keep(vec![alone(move || drop::costs(size.slots)).await?])?;
        keep(vec![alone(move || drop::rates(each, size)).await?])?;
    }
    if section == Section::Product {
        keep(vec![alone(product::costs).await?])?;
        keep(vec![alone(move || product::rates(each, product::Size::USUAL)).await?])?;
    }
    if wanted(Section::Draws) {
        keep(vec![alone(move || draws::measure(each)).await?])?;
    }
    if wanted(Section::Http) {
        keep(http::measure(each, false).await?)?;
    }
    if section == Section::HttpLong {
        keep(http::measure(each, true).await?)?;
    }
    if wanted(Section::Functions) {
        keep(vec![functions::measure(functions).await?])?;
    }
    if is_json {
        say(&report::to_json(&tables).to_string())
    } else {
        say(&report::verdict(&tables))
    }
}

/// Measures on a thread with a runtime of its own, where nothing else runs between two steps.
/// `rounds` relies on that.
async fn alone<T, F, R>(measure: F) -> Result<T, BenchError>
where
    F: FnOnce() -> R + Send + 'static,
    R: Future<Output = Result<T, BenchError>>,
    T: Send + 'static,
{
    let thread = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| process("no runtime", source))?;
        runtime.block_on(measure())
    });
    thread.await.map_err(|error| BenchError::Broken(error.to_string()))?
}

fn broken(error: impl std::error::Error) -> BenchError {
    BenchError::Broken(largesse_app::ports::causes_of(&error))
}

fn process(what: impl Into<String>, source: std::io::Error) -> BenchError {
    BenchError::Process { what: what.into(), source }
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures how long things take")]
fn started() -> Instant {
    Instant::now()
}

fn say(text: &str) -> Result<(), BenchError> {
    plain::print(text).map_err(|source| process("cannot write to standard output", source))
}
