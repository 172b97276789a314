//! The command: its arguments, and what it prints.

use axum::http::Uri;
use clap::{ArgGroup, Args, Subcommand};
use serde_json::Value;

use largesse_app::ports::Clock;
use largesse_domain::id::{GrantId, PoolId};

use super::find::{Wanted, why_unreadable};
use crate::aws_front;

use super::{
    Dlq, DlqError, DropReport, Dropped, Found, Queue, Retry, RetryReport, Tried, config, json, text,
};

/// Where `largesse up` serves the emulator, if its address is not named.
const ENDPOINT: &str = "http://127.0.0.1:3000/_aws";

/// An endpoint that can be one of `largesse up`: the SDK's errors about others are hard to read.
fn endpoint(text: &str) -> Result<String, String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        return Err(format!("it begins with http:// or https://, as {ENDPOINT}"));
    }
    let url = text.parse::<Uri>().map_err(|error| format!("{error}; it is as {ENDPOINT}"))?;
    if url.path().trim_end_matches('/') != aws_front::PATH {
        return Err(format!("its path is {}, as {ENDPOINT}", aws_front::PATH));
    }
    Ok(text.to_owned())
}

/// Which deployment, and how to print.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// The emulator of a running `largesse up`.
    #[arg(long, value_name = "URL", default_value = ENDPOINT, global = true)]
    #[arg(value_parser = endpoint)]
    endpoint: String,
    /// AWS itself, with the credentials and the region of the environment.
    #[arg(long, conflicts_with = "endpoint", global = true)]
    aws: bool,
    /// The name under which template.yaml was deployed.
    #[arg(long, value_name = "NAME", default_value = "largesse", global = true)]
    pub(crate) stack: String,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Where {
    /// The emulator's address; `None` for AWS itself.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        (!self.aws).then_some(self.endpoint.as_str())
    }
}

/// A grant: its id, or its source and its member. A refund: its source alone. Or a message id, as
/// `list` prints it.
#[derive(Clone, Debug, Args)]
pub struct Key {
    /// A grant id, a message id, or a source such as SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV or
    /// DROP#01ARZ3NDEKTSV4RRFFQ69G5FAV.
    key: Option<String>,
    /// The member, after a source.
    #[arg(requires = "key")]
    member: Option<String>,
}

impl Key {
    fn wanted(&self) -> Result<Wanted, DlqError> {
        Wanted::parse(self.key.as_deref().unwrap_or_default(), self.member.as_deref())
    }

    /// A source without a member: its refund is meant.
    fn refund(&self) -> Option<PoolId> {
        let source = self.key.as_deref().filter(|_| self.member.is_none());
        match source?.parse().ok()? {
            id @ (PoolId::Spray(_) | PoolId::Drop(_) | PoolId::Product(_)) => Some(id),
            PoolId::Campaign(_) | PoolId::Waiting(_) | PoolId::Lots(_) => None,
        }
    }
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// List dead-letter messages, grants without a message, and refused refunds, with reasons.
    List {
        /// Only this queue; without it, all.
        #[arg(long, value_enum)]
        queue: Option<Queue>,
        /// How many rows of each list are printed; all are counted.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Show one message, grant or refund in full.
    #[command(group = ArgGroup::new("which").required(true).args(["key"]))]
    Show {
        /// Which one.
        #[command(flatten)]
        key: Key,
    },
    /// Send grants to be paid again, or try refunds again. Each is paid once, whatever is repeated.
    #[command(
        visible_alias = "redrive",
        group = ArgGroup::new("which").required(true).args(["key", "all"])
    )]
    Retry {
        /// Which one.
        #[command(flatten)]
        key: Key,
        /// All messages of the grants queue, all grants that were given up and have none, and all
        /// refunds that are refused.
        #[arg(long)]
        all: bool,
    },
    /// Return the amount of a grant that was given up to its funder. It is never paid.
    #[command(group = ArgGroup::new("which").required(true).args(["key"]))]
    Void {
        /// Which one.
        #[command(flatten)]
        key: Key,
        /// Do it; without this, only say what would be returned.
        #[arg(long)]
        yes: bool,
    },
    /// Delete a message that needs nothing more: of the outbox, or one that is no grant.
    #[command(group = ArgGroup::new("which").required(true).args(["message", "all"]))]
    Drop {
        /// The message's id.
        message: Option<String>,
        /// All reports of the outbox's mapping: pool-sweep sends what they held.
        #[arg(long)]
        all: bool,
    },
}

/// How a command ended that no error stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All is done.
    Done,
    /// Something stays as it was.
    Kept,
}

impl Ended {
    const fn of(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::Kept }
    }
}

/// Does it. Gives what is to be printed, also of a run that ended in an error.
pub async fn run(action: Action, place: Where) -> (Option<String>, Result<Ended, DlqError>) {
    let is_json = place.json;
    let endpoint = place.endpoint().map(str::to_owned);
    let (text, result) = match act(action, place).await {
        Ok(Said { text, json, result }) => {
            (Some(if is_json { json.to_string() } else { text }), result)
        }
        Err(error) => (None, Err(error)),
    };
    (text, result.map_err(|error| endpoint.iter().fold(error, |error, url| error.at(url))))
}

/// What a command says, in both forms, and how it ended.
struct Said {
    text: String,
    json: Value,
    result: Result<Ended, DlqError>,
}

impl Said {
    const fn of(text: String, json: Value, ended: Ended) -> Self {
        Self { text, json, result: Ok(ended) }
    }
}

async fn act(action: Action, place: Where) -> Result<Said, DlqError> {
    let dlq = Dlq::open(&config(place.endpoint())?, &place.stack).await?;
    match action {
        Action::List { queue, limit } => {
            list(&dlq, queue, usize::try_from(limit).unwrap_or(usize::MAX)).await
        }
        Action::Show { key } => show(&dlq, &key).await,
        Action::Retry { all: true, .. } => {
            let mut report = RetryReport::default();
            let result = dlq.retry_all(&mut report).await;
            let result = result.map(|()| Ended::of(report.is_complete()));
            let (text, json) = (text::retry_text(&report), json::retry_json(&report));
            Ok(Said { text, json, result })
        }
        Action::Retry { key, .. } => retry(&dlq, &key).await,
        Action::Void { key, yes } => {
            if let Some(id) = key.refund() {
                return Err(DlqError::RefundNotVoided(id));
            }
            let voided = dlq.void(&key.wanted()?, yes).await?;
            let (text, json) = (text::void_text(&voided), json::void_json(&voided));
            Ok(Said::of(text, json, Ended::of(voided.is_done())))
        }
        Action::Drop { message: Some(id), .. } => {
            if id.parse::<GrantId>().is_ok() || id.parse::<PoolId>().is_ok() {
                return Err(DlqError::NotAMessage(id));
            }
            let (is_deleted, text) = match dlq.drop_one(&Wanted::Message(id.clone())).await? {
                Dropped::Deleted => (true, format!("message {id}: deleted")),
                Dropped::Kept(why) => (false, format!("message {id}: kept: {why}")),
            };
            let json = serde_json::json!({ "deleted": is_deleted });
            Ok(Said::of(text, json, Ended::of(is_deleted)))
        }
        Action::Drop { message: None, .. } => {
            let mut report = DropReport::default();
            let result = dlq.drop_reports(&mut report).await;
            let result = result.map(|()| Ended::of(report.is_complete()));
            let (text, json) = (text::drop_text(&report), json::drop_json(&report));
            Ok(Said { text, json, result })
        }
    }
}

async fn show(dlq: &Dlq, key: &Key) -> Result<Said, DlqError> {
    if let Some(id) = key.refund() {
        let refund = dlq.find_refund(id).await?;
        let now = dlq.store.now();
        let (text, json) = (text::refund_text(&refund, now), json::refund_json(&refund, now));
        return Ok(Said::of(text, json, Ended::Done));
    }
    let found = dlq.show(&key.wanted()?).await?;
    let why = why(dlq, &found).await?;
    let (text, json) = (text::found_text(&found, &why), json::found_json(&found, &why));
    Ok(Said::of(text, json, Ended::Done))
}

async fn retry(dlq: &Dlq, key: &Key) -> Result<Said, DlqError> {
    if let Some(id) = key.refund() {
        let (refund, tried) = dlq.retry_refund(id).await?;
        let text = text::refund_retry_text(&refund, tried);
        let is_done = matches!(tried, Tried::Now { .. } | Tried::Before);
        return Ok(Said::of(text, json::refund_retry_json(tried), Ended::of(is_done)));
    }
    let wanted = key.wanted()?;
    let (word, text) = match dlq.retry(&wanted).await? {
        Retry::Sent => ("sent", format!("{wanted}: sent to be paid")),
        Retry::Paid => ("paid", format!("{wanted}: paid, nothing is owed")),
        Retry::Voided => ("voided", format!("{wanted}: voided, it is never paid")),
        Retry::Kept(why) => ("kept", format!("{wanted}: kept: {why}")),
    };
    Ok(Said::of(text, serde_json::json!({ "outcome": word }), Ended::of(word != "kept")))
}

async fn list(dlq: &Dlq, queue: Option<Queue>, limit: usize) -> Result<Said, DlqError> {
    let mut texts = Vec::new();
    let mut json = serde_json::Map::new();
    if queue != Some(Queue::Outbox) {
        let grants = dlq.list_grants(limit).await?;
        let table = dlq.list_table(&grants.ids, limit).await?;
        texts.extend([text::grants_text(&grants), text::table_text(&table)]);
        json.insert("grants_queue".to_owned(), json::grants_json(&grants));
        json.insert("grants_table".to_owned(), json::table_json(&table));
    }
    if queue.is_none() {
        let refunds = dlq.list_refunds().await?;
        let now = dlq.store.now();
        texts.push(text::refunds_text(&refunds, limit, now));
        json.insert("refunds".to_owned(), json::refunds_json(&refunds, limit, now));
    }
    if queue != Some(Queue::Grants) {
        let outbox = dlq.list_outbox(limit).await?;
        texts.push(text::outbox_text(&outbox));
        json.insert("outbox_queue".to_owned(), json::outbox_json(&outbox));
    }
    Ok(Said::of(texts.join("\n"), Value::Object(json), Ended::Done))
}

async fn why(dlq: &Dlq, found: &Found) -> Result<String, DlqError> {
    if let Some(known) = &found.grant {
        return Ok(text::of_grant(known));
    }
    Ok(match &found.message {
        Some((Queue::Outbox, message)) => dlq.explain_outbox(message).await?.why,
        Some((Queue::Grants, message)) => {
            let error = largesse_aws::grant::message::read_body(&message.body).err();
            error.map_or_else(String::new, |error| why_unreadable(&error))
        }
        None => String::new(),
    })
}
