//! A campaign of generated rows, for demonstrations and benchmarks: a file in a folder of its own, and
//! the path that users take with it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use largesse_input::Format;
use serde::Deserialize;
use serde_json::json;

use super::api::Api;
use super::generate::{self, Generate};
use super::load::{self, Into, Load};
use super::wire::{Campaign, Row};
use super::{CampaignError, Say, state, watch};

/// The rows of a page.
const PAGE: u32 = 100;

/// Output that is not wanted.
pub struct Silent;

impl Say for Silent {
    fn say(&self, _: &str) -> std::io::Result<()> {
        Ok(())
    }
}

/// A file of rows. It is removed when this is dropped.
pub struct Trial {
    folder: PathBuf,
    rows: u64,
}

impl Trial {
    /// Writes a file of so many good rows.
    ///
    /// # Errors
    /// [`CampaignError::Write`].
    pub fn generate(rows: u64) -> Result<Self, CampaignError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("largesse-trial-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let failed = |source| CampaignError::Write { path: folder.clone(), source };
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let trial = Self { folder, rows };
        let (seed, bad_rows, duplicates, format) = (1, 0, 0, Format::Csv);
        let file = trial.file();
        generate::generate(&Generate { rows, seed, bad_rows, duplicates, format, file })?;
        Ok(trial)
    }

    fn file(&self) -> PathBuf {
        self.folder.join("rows.csv")
    }

    /// How many rows it has.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// As `largesse campaign load`, with `--start` if that is wanted: gives the campaign, sealed.
    ///
    /// # Errors
    /// [`CampaignError`].
    pub async fn load(
        &self,
        api: &Api,
        out: &dyn Say,
        name: &str,
        start: bool,
    ) -> Result<Campaign, CampaignError> {
        let receipt = self.folder.join("receipt.json");
        let terms = json!({ "name": name, "default_reason": name });
        let into = Into::New { terms, receipt: receipt.clone() };
        // It has no such rows, and is watched elsewhere.
        let (accept_refused, accept_same, watch) = (false, false, false);
        let file = self.file();
        let wanted = Load { file, into, start, accept_refused, accept_same, watch };
        load::load(api, out, &wanted).await?;
        let id = state::read(&receipt)?.and_then(|receipt| receipt.campaign_id);
        let id = id.ok_or_else(|| CampaignError::NotSealed("it was not made".to_owned()))?;
        load::get(api, &id).await
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        // A folder of the system's temporary files: what is left there is removed sooner or later.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// As `largesse campaign start`.
///
/// # Errors
/// [`CampaignError`].
pub async fn start(api: &Api, campaign: &Campaign) -> Result<(), CampaignError> {
    let hash = campaign.sealed.as_ref().map(|sealed| sealed.content_hash.as_str());
    let body = json!({ "content_hash": hash.unwrap_or_default() });
    let path = format!("/campaigns/{}/start", campaign.campaign_id);
    api.post(&path, &api.new_key(), Some(&body)).await.map(drop)
}

/// As `largesse campaign watch`: gives the campaign when it has ended.
///
/// # Errors
/// [`CampaignError`].
pub async fn finish(
    api: &Api,
    out: &dyn Say,
    campaign: &Campaign,
) -> Result<Campaign, CampaignError> {
    watch::watch(api, out, &campaign.campaign_id).await?;
    load::get(api, &campaign.campaign_id).await
}

/// A page of rows.
#[derive(Deserialize)]
struct Page {
    rows: Vec<Row>,
    next_cursor: Option<String>,
}

/// Reads all rows of a campaign, page by page, and gives each to `each`.
///
/// # Errors
/// [`CampaignError`].
pub async fn rows(api: &Api, id: &str, mut each: impl FnMut(Row)) -> Result<(), CampaignError> {
    let path = format!("/campaigns/{id}/rows?limit={PAGE}");
    let mut cursor = String::new();
    loop {
        let page: Page = api.get(&format!("{path}{cursor}")).await?;
        page.rows.into_iter().for_each(&mut each);
        match page.next_cursor {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(()),
        }
    }
}

/// Reads the row of a member.
///
/// # Errors
/// [`CampaignError`].
pub async fn row(api: &Api, id: &str, member: &str) -> Result<Row, CampaignError> {
    api.get(&format!("/campaigns/{id}/rows/{member}")).await
}
