//! `load`: a file becomes a sealed campaign, and runs if that is wanted.

use std::path::{Path, PathBuf};

use largesse_domain::campaign::State;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_input::{Format, Scope, Summary};
use serde_json::{Value, json};

use super::api::Api;
use super::progress::Progress;
use super::split::Size;
use super::state::{self, Receipt};
use super::upload::Target;
use super::wire::{Campaign, Sealed};
use super::{CampaignError, Ended, Say, check, text, watch};
use crate::plain;

/// How many problems of rows are printed.
const PROBLEMS_SHOWN: usize = 20;

/// What to load, and how far to go.
#[derive(Clone, Debug)]
pub struct Load {
    /// The file of rows.
    pub file: PathBuf,
    /// Which campaign takes them.
    pub into: Into,
    /// Start it.
    pub start: bool,
    /// Go on without the rows that were refused or name a member again.
    pub accept_refused: bool,
    /// Pay rows that another campaign sealed before.
    pub accept_same: bool,
    /// Stay until its end.
    pub watch: bool,
}

/// Which campaign takes the rows.
#[derive(Clone, Debug)]
pub enum Into {
    /// The one of the receipt, or a new one.
    New {
        /// The body of the request that makes it.
        terms: Value,
        /// Where the receipt lies.
        receipt: PathBuf,
    },
    /// One that is there.
    Campaign(String),
}

/// Loads, seals, and starts and watches if that is wanted. A load that is repeated goes on where it
/// stood.
///
/// # Errors
/// [`CampaignError`].
pub async fn load(api: &Api, out: &dyn Say, load: &Load) -> Result<Ended, CampaignError> {
    if load.file.as_os_str() == "-" {
        return Err(CampaignError::StandardInput);
    }
    let format = check::format_of(&load.file)?;
    let (known, size) = match &load.into {
        Into::Campaign(id) => (Some(get(api, id).await?), Size::LOAD),
        Into::New { terms, receipt } => known(api, terms, receipt).await?,
    };
    let summary = checked(&load.file, format, &load.into, known.as_ref()).await?;
    out.say(&file_text(&load.file, &summary))?;
    let campaign = match (known, &load.into) {
        (Some(campaign), _) => campaign,
        (None, Into::New { terms, receipt }) => create(api, terms, receipt).await?,
        (None, Into::Campaign(id)) => get(api, id).await?,
    };
    out.say(&format!("campaign {}", campaign.campaign_id))?;
    upload(api, out, load, &campaign, (format, size), summary.rows).await?;
    let campaign = seal(api, campaign).await?;
    let Some(sealed) = &campaign.sealed else {
        return Err(CampaignError::NotSealed("the service does not say what it sealed".to_owned()));
    };
    out.say(&text::sealed(&campaign, sealed))?;
    if !load.start || campaign.state.0 != State::Waiting || campaign.queued.is_some() {
        if !load.watch {
            out.say(&text::next_step(&campaign))?;
        }
        return finish(api, out, load, &campaign).await;
    }
    if let Some(why) = decision(sealed, load) {
        out.say(&why)?;
        return Ok(Ended::Left);
    }
    let (id, hash) = (&campaign.campaign_id, &sealed.content_hash);
    let body = json!({ "content_hash": hash });
    api.post(&format!("/campaigns/{id}/start"), &api.new_key(), Some(&body)).await?;
    out.say("started")?;
    finish(api, out, load, &campaign).await
}

/// What follows when nothing more is to be decided.
async fn finish(
    api: &Api,
    out: &dyn Say,
    load: &Load,
    campaign: &Campaign,
) -> Result<Ended, CampaignError> {
    let id = &campaign.campaign_id;
    if load.watch {
        return watch::watch(api, out, id).await;
    }
    // A load starts no campaign that was stopped: why it was is for a person to know.
    let stands = load.start && matches!(campaign.state.0, State::Stopped | State::Failed);
    Ok(if stands { Ended::Left } else { Ended::Done })
}

/// Why the start needs a decision that the command line does not state.
fn decision(sealed: &Sealed, load: &Load) -> Option<String> {
    let left_out = sealed.refused.saturating_add(sealed.duplicates);
    if left_out > 0 && !load.accept_refused {
        return Some(
            "not started: rows are refused or name a member again. Load the file again with \
             --accept-refused to start what was sealed, or correct it and load it as another \
             campaign, by --receipt with a new place"
                .to_owned(),
        );
    }
    let same = sealed.warnings.iter().any(|warning| warning.code == "same_rows");
    (same && !load.accept_same).then(|| {
        "not started: another campaign has the same rows. Load the file again with --accept-same \
         to pay each member once more"
            .to_owned()
    })
}

/// The campaign that the receipt names, if there is one, and how its file is split.
async fn known(
    api: &Api,
    terms: &Value,
    path: &Path,
) -> Result<(Option<Campaign>, Size), CampaignError> {
    let Some(receipt) = state::read(path)? else { return Ok((None, Size::LOAD)) };
    let other = |what| Err(CampaignError::OtherLoad { path: path.to_owned(), what });
    if receipt.url != api.url() {
        return other("--url");
    }
    if receipt.terms != *terms {
        return other("name or other terms");
    }
    let campaign = match &receipt.campaign_id {
        Some(id) => Some(get(api, id).await?),
        None => None,
    };
    Ok((campaign, receipt.size()))
}

/// Makes the campaign, under a key that is kept before it is sent.
async fn create(api: &Api, terms: &Value, path: &Path) -> Result<Campaign, CampaignError> {
    let new = Receipt {
        url: api.url().to_owned(),
        key: api.new_key(),
        terms: terms.clone(),
        part_bytes: Size::LOAD.bytes,
        part_rows: Size::LOAD.rows,
        campaign_id: None,
    };
    let mut receipt = state::read_or_write(path, &new)?;
    let made = api.post("/campaigns", &receipt.key, Some(&receipt.terms)).await?;
    let id = made.get("campaign_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    receipt.campaign_id = Some(id.clone());
    state::write(path, &receipt)?;
    get(api, &id).await
}

pub(super) async fn get(api: &Api, id: &str) -> Result<Campaign, CampaignError> {
    api.get(&format!("/campaigns/{id}")).await
}

/// Reads the file to its end, with the defaults of the campaign.
async fn checked(
    path: &Path,
    format: Format,
    into: &Into,
    known: Option<&Campaign>,
) -> Result<Summary, CampaignError> {
    let (amount, reason) = match (known, into) {
        (Some(campaign), _) => {
            (campaign.terms.default_amount, campaign.terms.default_reason.clone())
        }
        (None, Into::New { terms, .. }) => {
            let reason = terms.get("default_reason").and_then(Value::as_str).unwrap_or_default();
            (terms.get("default_amount").and_then(Value::as_u64), reason.to_owned())
        }
        (None, Into::Campaign(_)) => (None, String::new()),
    };
    let amount = amount.and_then(|minor| Amount::new(minor).ok());
    let reason = Memo::new(&reason).ok();
    let len = std::fs::metadata(path).map_err(|source| check::unreadable(path, source))?.len();
    let file = path.to_owned();
    let reading = tokio::task::spawn_blocking(move || {
        let progress = Progress::begin("reading", "bytes", len);
        let summary = check::check(&file, format, amount, reason, &progress);
        progress.end();
        summary
    });
    let summary = reading.await??;
    if summary.stopped {
        let problem = of_file(&summary);
        return Err(CampaignError::FileRefused { path: path.to_owned(), problem });
    }
    if summary.accepted == 0 {
        let problems = file_text(path, &summary);
        return Err(CampaignError::NoRows { path: path.to_owned(), problems });
    }
    Ok(summary)
}

/// What refuses the file: of a header all that is wrong with it.
fn of_file(summary: &Summary) -> String {
    let problems = summary.problems.iter().filter(|problem| problem.code.scope() == Scope::File);
    let lines: Vec<String> = problems.take(PROBLEMS_SHOWN).map(ToString::to_string).collect();
    lines.join("\n  ")
}

fn file_text(path: &Path, summary: &Summary) -> String {
    let name = path.display();
    let mut lines = vec![format!("{name}: {} rows, {} refused", summary.rows, summary.refused)];
    let problems = summary.problems.iter().take(PROBLEMS_SHOWN);
    lines.extend(problems.map(|problem| format!("  {problem}")));
    let shown = u64::try_from(PROBLEMS_SHOWN).unwrap_or(u64::MAX);
    let more = summary.problem_count.saturating_sub(shown);
    if more > 0 {
        lines.push(format!("  and {more} more problems"));
    }
    lines.join("\n")
}

async fn upload(
    api: &Api,
    out: &dyn Say,
    load: &Load,
    campaign: &Campaign,
    (format, size): (Format, Size),
    rows: u64,
) -> Result<(), CampaignError> {
    let state = campaign.state.0;
    let closed = (state != State::Draft).then_some(state.as_str());
    let target = Target { api, campaign: &campaign.campaign_id, closed };
    let progress = Progress::begin("uploading", "rows", rows);
    let uploaded = target.upload(&load.file, format, size, &progress).await;
    progress.end();
    let uploaded = uploaded?;
    let before = match uploaded.before {
        0 => String::new(),
        before => format!(", {before} of them were there before"),
    };
    let parts = plain::counted(uploaded.parts, "part", "parts");
    out.say(&format!("{parts}{before}"))?;
    Ok(())
}

/// Has the campaign sealed, and waits for it.
async fn seal(api: &Api, campaign: Campaign) -> Result<Campaign, CampaignError> {
    let id = campaign.campaign_id.clone();
    if campaign.state.0 == State::Draft {
        api.post(&format!("/campaigns/{id}/seal"), &api.new_key(), None).await?;
    }
    loop {
        let campaign = get(api, &id).await?;
        match campaign.state.0 {
            State::Sealing => api.pause().await,
            State::Draft => {
                return Err(CampaignError::NotSealed(campaign.problem.unwrap_or_default()));
            }
            _ => return Ok(campaign),
        }
    }
}
