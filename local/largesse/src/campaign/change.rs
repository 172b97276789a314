//! The commands that change a campaign.

use clap::{Args, Subcommand};
use largesse_domain::campaign::Hash;
use largesse_domain::id::CampaignId;
use serde_json::{Value, json};

use super::api::Api;
use super::command::memo;
use super::wire::{Campaign, Preview};
use super::{CampaignError, Ended, Say, text, watch};

/// The content that is meant.
#[derive(Clone, Copy, Debug, Args)]
pub struct Content {
    /// The id of the campaign.
    id: CampaignId,
    /// The hash of the content, as the seal showed it.
    #[arg(long)]
    hash: Hash,
}

/// A campaign, and why it is changed.
#[derive(Clone, Debug, Args)]
pub struct Why {
    /// The id of the campaign.
    id: CampaignId,
    /// Why: it stands in the audit.
    #[arg(long, value_name = "TEXT", value_parser = memo)]
    memo: String,
}

/// Whether to stay.
#[derive(Clone, Copy, Debug, Args)]
pub struct Stay {
    /// Show live counts until the campaign ends.
    #[arg(long)]
    watch: bool,
}

/// What to change.
#[derive(Clone, Debug, Subcommand)]
pub enum Change {
    /// Approve the content that was sealed: another member than the creator does.
    Approve(Content),
    /// Start the content that was sealed, or go on after a stop.
    Start {
        /// What.
        #[command(flatten)]
        content: Content,
        /// Whether to stay.
        #[command(flatten)]
        stay: Stay,
    },
    /// Start beside other campaigns: a privilege.
    Force {
        /// What.
        #[command(flatten)]
        content: Content,
        /// Why: it stands in the audit.
        #[arg(long, value_name = "TEXT", value_parser = memo)]
        memo: String,
        /// Whether to stay.
        #[command(flatten)]
        stay: Stay,
    },
    /// Stop: nothing is paid 5 s later.
    Stop(Why),
    /// Pay the failed rows again, and no other.
    Retry {
        /// The id of the campaign.
        id: CampaignId,
        /// Whether to stay.
        #[command(flatten)]
        stay: Stay,
    },
    /// Take back everything that was paid.
    Rollback {
        /// What, and why.
        #[command(flatten)]
        why: Why,
        /// Only say what it would do.
        #[arg(long, conflicts_with = "watch")]
        dry_run: bool,
        /// Whether to stay.
        #[command(flatten)]
        stay: Stay,
    },
}

/// An action as the API has it.
struct Call {
    id: CampaignId,
    action: &'static str,
    body: Option<Value>,
}

impl Change {
    /// The action, and whether to stay until the campaign ends.
    fn call(self) -> (Call, bool) {
        let hash = |content: Content| content.hash.to_string();
        let (id, action, body, stays) = match self {
            Self::Approve(content) => {
                (content.id, "approve", Some(json!({ "content_hash": hash(content) })), false)
            }
            Self::Start { content, stay } => {
                (content.id, "start", Some(json!({ "content_hash": hash(content) })), stay.watch)
            }
            Self::Force { content, memo, stay } => {
                let body = json!({ "content_hash": hash(content), "memo": memo });
                (content.id, "force", Some(body), stay.watch)
            }
            Self::Stop(why) => (why.id, "stop", Some(json!({ "memo": why.memo })), false),
            Self::Retry { id, stay } => (id, "retry", None, stay.watch),
            Self::Rollback { why, dry_run, stay } => {
                let body = json!({ "memo": why.memo, "dry_run": dry_run });
                (why.id, "rollback", Some(body), stay.watch)
            }
        };
        (Call { id, action, body }, stays)
    }
}

/// Does it, and says where the campaign stands.
///
/// # Errors
/// [`CampaignError`].
pub(super) async fn run(change: Change, api: &Api, out: &dyn Say) -> Result<Ended, CampaignError> {
    let is_dry_run = matches!(change, Change::Rollback { dry_run: true, .. });
    let (Call { id, action, body }, stays) = change.call();
    let path = format!("/campaigns/{id}/{action}");
    let answer: Value = api.post(&path, &api.new_key(), body.as_ref()).await?;
    if stays {
        return watch::watch(api, out, &id.to_string()).await;
    }
    let unreadable = |source| CampaignError::Unreadable { request: format!("POST {path}"), source };
    if is_dry_run {
        let preview: Preview = serde_json::from_value(answer).map_err(unreadable)?;
        out.say(&text::would(&preview))?;
        return Ok(Ended::Done);
    }
    let campaign: Campaign = serde_json::from_value(answer).map_err(unreadable)?;
    out.say(&text::state(&campaign))?;
    Ok(Ended::Done)
}
