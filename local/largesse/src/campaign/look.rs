//! The commands that show campaigns.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use largesse_domain::id::{CampaignId, UserId};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::api::Api;
use super::csv::Source;
use super::lines::FileLines;
use super::wire::{Campaign, Entry, Row};
use super::{CampaignError, Ended, Say, csv, text, watch};

/// How many rows or campaigns are printed, if it is not said.
const LIMIT: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// The form of the output.
#[derive(Clone, Copy, Debug, Args)]
pub struct Form {
    /// Print JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// A file of a campaign.
#[derive(Clone, Debug, Args)]
pub struct Table {
    /// The id of the campaign.
    id: CampaignId,
    /// Save it there; without it, print it.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// Where a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub enum Status {
    /// To be sent.
    Pending,
    /// Sent, and not known.
    Processing,
    /// Paid.
    Success,
    /// Refused for the last time.
    Failed,
    /// Taken back.
    Reversed,
    /// Paid and not taken back whole.
    Shortfall,
}

/// What to show.
#[derive(Clone, Debug, Subcommand)]
pub enum Look {
    /// List campaigns, the newest first.
    List {
        /// How many are printed.
        #[arg(long, value_name = "N", default_value_t = LIMIT)]
        limit: NonZeroUsize,
        /// As text or as JSON.
        #[command(flatten)]
        form: Form,
    },
    /// Show a campaign: its terms, what was sealed, where its rows stand.
    Show {
        /// The id of the campaign.
        id: CampaignId,
        /// As text or as JSON.
        #[command(flatten)]
        form: Form,
    },
    /// Show live counts until a campaign ends.
    Watch {
        /// The id of the campaign.
        id: CampaignId,
    },
    /// The rows that failed, as CSV that can be loaded again.
    Failures(Table),
    /// The rows that name a member again, as CSV with their parts and lines.
    Duplicates {
        /// Which, and where to.
        #[command(flatten)]
        table: Table,
        /// Name the lines of this file, which was loaded, instead of parts and lines.
        #[arg(long, value_name = "FILE")]
        of: Option<PathBuf>,
    },
    /// Every action on a campaign. `largesse verify audit` checks that none was changed.
    Audit {
        /// The id of the campaign.
        id: CampaignId,
        /// As text or as JSON.
        #[command(flatten)]
        form: Form,
    },
    /// The rows that stand somewhere.
    Rows {
        /// The id of the campaign.
        id: CampaignId,
        /// Where they stand.
        #[arg(long, value_enum, ignore_case = true)]
        status: Status,
        /// How many are printed.
        #[arg(long, value_name = "N", default_value_t = LIMIT)]
        limit: NonZeroUsize,
        /// As text or as JSON.
        #[command(flatten)]
        form: Form,
    },
    /// The row of one member.
    Row {
        /// The id of the campaign.
        id: CampaignId,
        /// The member.
        member: UserId,
        /// As text or as JSON.
        #[command(flatten)]
        form: Form,
    },
}

/// Shows it.
///
/// # Errors
/// [`CampaignError`].
pub(super) async fn run(look: Look, api: &Api, out: &dyn Say) -> Result<Ended, CampaignError> {
    let said = match look {
        Look::Watch { id } => return watch::watch(api, out, &id.to_string()).await,
        Look::Failures(Table { id, csv: file }) => {
            let source = Source { path: format!("/campaigns/{id}/failures.csv"), lines: None };
            return csv::fetch(api, out, &source, file.as_deref()).await;
        }
        Look::Duplicates { table: Table { id, csv: file }, of } => {
            let lines = match of {
                Some(of) => Some(FileLines::read(api, &id.to_string(), &of).await?),
                None => None,
            };
            let path = format!("/campaigns/{id}/duplicates.csv");
            let source = Source { path, lines: lines.as_ref() };
            return csv::fetch(api, out, &source, file.as_deref()).await;
        }
        Look::List { limit, form } => {
            let (campaigns, _) = list(api, "/campaigns?", "campaigns", limit.get()).await?;
            form.list("campaigns", campaigns, |some: &[Campaign]| text::list(some))?
        }
        Look::Show { id, form } => {
            let campaign = api.get(&format!("/campaigns/{id}")).await?;
            form.one(campaign, |campaign: &Campaign| text::show(campaign))?
        }
        Look::Audit { id, form } => {
            let path = format!("/campaigns/{id}/audit?");
            let (entries, _) = list(api, &path, "entries", usize::MAX).await?;
            form.list("entries", entries, |some: &[Entry]| text::audit(some))?
        }
        Look::Rows { id, status, limit, form } => {
            let name = status.to_possible_value();
            let name = name.as_ref().map_or("", |name| name.get_name());
            let path = format!("/campaigns/{id}/rows?status={name}&");
            let (rows, has_more) = list(api, &path, "rows", limit.get()).await?;
            form.list("rows", rows, |some: &[Row]| text::rows(some, has_more))?
        }
        Look::Row { id, member, form } => {
            let row = api.get(&format!("/campaigns/{id}/rows/{member}")).await?;
            form.one(row, |row: &Row| text::row(row))?
        }
    };
    out.say(&said)?;
    Ok(Ended::Done)
}

/// The first items of a list that comes in pages, and whether there are more. `path` ends where the
/// parameters of a page begin.
pub(super) async fn list(
    api: &Api,
    path: &str,
    noun: &str,
    limit: usize,
) -> Result<(Vec<Value>, bool), CampaignError> {
    let (mut items, mut at) = (Vec::new(), path.trim_end_matches(['?', '&']).to_owned());
    loop {
        let mut page: Value = api.get(&at).await?;
        if let Some(Value::Array(some)) = page.get_mut(noun).map(Value::take) {
            items.extend(some);
        }
        let next = page.get("next_cursor").and_then(Value::as_str);
        if items.len() > limit || next.is_none() {
            let has_more = items.len() > limit || next.is_some();
            items.truncate(limit);
            return Ok((items, has_more));
        }
        at = format!("{path}cursor={}", next.unwrap_or_default());
    }
}

impl Form {
    fn list<T: DeserializeOwned>(
        self,
        noun: &str,
        items: Vec<Value>,
        text: impl FnOnce(&[T]) -> String,
    ) -> Result<String, CampaignError> {
        if self.json {
            return Ok(json!({ noun: items }).to_string());
        }
        Ok(text(&read::<Vec<T>>(Value::Array(items))?))
    }

    fn one<T: DeserializeOwned>(
        self,
        item: Value,
        text: impl FnOnce(&T) -> String,
    ) -> Result<String, CampaignError> {
        if self.json { Ok(item.to_string()) } else { Ok(text(&read(item)?)) }
    }
}

pub(super) fn read<T: DeserializeOwned>(value: Value) -> Result<T, CampaignError> {
    let request = "GET".to_owned();
    serde_json::from_value(value).map_err(|source| CampaignError::Unreadable { request, source })
}
