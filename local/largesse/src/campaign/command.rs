//! The commands and their arguments.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use largesse_app::settings::Variables;
use largesse_domain::campaign::{CampaignName, Duplicates, PRIORITY_MAX};
use largesse_domain::id::{CampaignId, UserId};
use largesse_domain::ledger::Memo;
use largesse_domain::money::AMOUNT_MAX;
use largesse_edge::time;
use largesse_input::Format;
use serde_json::{Map, Value, json};

use super::api::{Api, Pace};
use super::change::{self, Change};
use super::generate::{self, Generate};
use super::load::{self, Into, Load};
use super::look::{self, Look};
use super::{CampaignError, Ended, Say, state};
use crate::holder::Credentials;

/// Where `largesse up` listens, if its address is not named.
const URL: &str = "http://127.0.0.1:3000";

/// Which deployment, and as whom.
#[derive(Clone, Debug, Args)]
pub struct Place {
    /// The deployment.
    #[arg(long, value_name = "URL", default_value = URL, env = "LARGESSE_URL", global = true)]
    #[arg(value_parser = url)]
    url: String,
    /// The user who acts: it stands in the audit.
    #[arg(long, value_name = "USER", default_value = "operator", env = "LARGESSE_USER")]
    #[arg(global = true)]
    user: UserId,
    #[command(flatten)]
    credentials: Credentials,
}

impl Place {
    /// A caller of it, who signs with the key that is given.
    ///
    /// # Errors
    /// [`CampaignError`].
    pub fn api(&self) -> Result<Api, CampaignError> {
        let holder = self.credentials.holder(&Variables::of_process())?;
        Api::holding(&self.url, self.user.as_str(), Pace::PEOPLE, holder)
    }
}

fn url(text: &str) -> Result<String, String> {
    let is_http = text.starts_with("http://") || text.starts_with("https://");
    if is_http { Ok(text.to_owned()) } else { Err(format!("it begins as {URL} or https://")) }
}

/// The format of a file that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FileFormat {
    /// CSV with a header.
    Csv,
    /// JSON Lines.
    Jsonl,
}

/// What to load.
#[derive(Clone, Debug, Args)]
pub struct LoadArgs {
    /// The file: CSV with a header, or JSON Lines (docs/campaign-input.md).
    file: PathBuf,
    /// The name of the campaign.
    #[arg(long, required_unless_present = "id", value_parser = name)]
    name: Option<String>,
    /// The reason of a row that has none.
    #[arg(long, value_parser = memo)]
    reason: Option<String>,
    /// The amount of a row that has none.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=AMOUNT_MAX))]
    amount: Option<u64>,
    /// What happens to a member who is named twice: first (the others are left out), refuse (nothing
    /// is sealed) or sum [default: first].
    #[arg(long, value_parser = duplicates)]
    duplicates: Option<String>,
    /// How many members other than the creator approve it, 0 or 1 [default: 0].
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=1))]
    approvals: Option<u8>,
    /// Nothing is paid earlier: RFC 3339, as 2026-01-31T09:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    starts_at: Option<String>,
    /// Which runs first of campaigns that are due at the same time, 0 to 9: the higher one.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=i64::from(PRIORITY_MAX)))]
    priority: Option<u8>,
    /// Load into this campaign, which is there, and keep no receipt.
    #[arg(long, value_name = "ID")]
    #[arg(conflicts_with_all = ["name", "reason", "amount", "duplicates", "approvals"])]
    #[arg(conflicts_with_all = ["starts_at", "priority", "receipt"])]
    id: Option<CampaignId>,
    /// Where the receipt of the load lies [default: FILE.largesse.json]. With it, a load that is
    /// repeated goes on with the same campaign.
    #[arg(long, value_name = "PATH")]
    receipt: Option<PathBuf>,
    /// Start it when it is sealed. A campaign that needs an approval is started after it.
    #[arg(long)]
    start: bool,
    /// Start it without the rows that are refused or name a member again.
    #[arg(long, requires = "start")]
    accept_refused: bool,
    /// Start it although another campaign has the same rows: each member is paid once more.
    #[arg(long, requires = "start")]
    accept_same: bool,
    /// Show live counts until the campaign ends.
    #[arg(long, requires = "start")]
    watch: bool,
}

fn name(text: &str) -> Result<String, String> {
    CampaignName::new(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// A reason or a memo that says something.
///
/// # Errors
/// What it has to be.
pub(super) fn memo(text: &str) -> Result<String, String> {
    let is_blank = text.trim().is_empty();
    let fits = !is_blank && Memo::new(text).is_ok();
    if fits { Ok(text.to_owned()) } else { Err("it is 1 to 200 characters".to_owned()) }
}

fn duplicates(text: &str) -> Result<String, String> {
    let policy = Duplicates::from_name(text);
    policy.map(|_| text.to_owned()).ok_or_else(|| "it is first, refuse or sum".to_owned())
}

fn moment(text: &str) -> Result<String, String> {
    let at = time::parse(text).ok_or_else(|| "it is as 2026-01-31T09:00:00Z".to_owned())?;
    Ok(time::format(at))
}

impl From<LoadArgs> for Load {
    fn from(args: LoadArgs) -> Self {
        let into = match args.id {
            Some(id) => Into::Campaign(id.to_string()),
            None => Into::New {
                receipt: args.receipt.clone().unwrap_or_else(|| state::beside(&args.file)),
                terms: args.terms(),
            },
        };
        let LoadArgs { file, start, accept_refused, accept_same, watch, .. } = args;
        Self { file, into, start, accept_refused, accept_same, watch }
    }
}

impl LoadArgs {
    /// The body of the request that makes the campaign: a default that is not given is not sent.
    fn terms(&self) -> Value {
        let reason = self.reason.clone().unwrap_or_default();
        let mut terms = Map::from_iter([
            ("name".to_owned(), json!(self.name)),
            ("default_reason".to_owned(), json!(reason)),
        ]);
        let given = [
            ("default_amount", self.amount.map(|amount| json!(amount))),
            ("duplicates", self.duplicates.as_ref().map(|policy| json!(policy))),
            ("approvals", self.approvals.map(|count| json!(count))),
            ("starts_at", self.starts_at.as_ref().map(|at| json!(at))),
            ("priority", self.priority.map(|priority| json!(priority))),
        ];
        let given = given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        terms.extend(given);
        Value::Object(terms)
    }
}

/// What to generate.
#[derive(Clone, Debug, Args)]
pub struct GenerateArgs {
    /// How many rows, bad ones and duplicates included.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rows: u64,
    /// Another seed makes other amounts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many of the rows are refused.
    #[arg(long, value_name = "N", default_value_t = 0)]
    bad_rows: u64,
    /// How many of the rows name the member of the row before.
    #[arg(long, value_name = "N", default_value_t = 0)]
    duplicates: u64,
    /// The format.
    #[arg(long, value_enum, default_value = "csv")]
    format: FileFormat,
    /// The file.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

impl From<GenerateArgs> for Generate {
    fn from(args: GenerateArgs) -> Self {
        let GenerateArgs { rows, seed, bad_rows, duplicates, format, output: file } = args;
        let format = match format {
            FileFormat::Csv => Format::Csv,
            FileFormat::Jsonl => Format::JsonLines,
        };
        Self { rows, seed, bad_rows, duplicates, format, file }
    }
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Make a campaign of a file: check it, upload it in parts, seal it. A load that was cut off goes
    /// on where it stood when it is repeated.
    Load(LoadArgs),
    /// Write a file of rows for trials.
    Generate(GenerateArgs),
    /// What changes a campaign.
    #[command(flatten)]
    Change(Change),
    /// What shows one.
    #[command(flatten)]
    Look(Look),
}

/// Does it.
///
/// # Errors
/// [`CampaignError`].
pub async fn run(action: Action, place: &Place, out: &dyn Say) -> Result<Ended, CampaignError> {
    match action {
        Action::Generate(args) => {
            let wanted = Generate::from(args);
            if !wanted.is_possible() {
                return Err(CampaignError::NothingGood);
            }
            generate::generate(&wanted)?;
            out.say(&format!("{}: {} rows", wanted.file.display(), wanted.rows))?;
            Ok(Ended::Done)
        }
        Action::Load(args) if args.start && args.approvals == Some(1) => {
            Err(CampaignError::ApprovalFirst)
        }
        Action::Load(args) => load::load(&place.api()?, out, &args.into()).await,
        Action::Change(change) => change::run(change, &place.api()?, out).await,
        Action::Look(look) => look::run(look, &place.api()?, out).await,
    }
}
