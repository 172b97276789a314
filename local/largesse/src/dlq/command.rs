//! The command: its arguments, and what it prints.

use clap::{ArgGroup, Args, Subcommand};
use serde_json::Value;

use largesse_domain::id::{PoolId, SprayId};

use super::find::{Wanted, why_unreadable};
use super::{
    Dlq, DlqError, DropReport, Dropped, Found, Queue, Retry, RetryReport, config, json, text,
};

/// Which deployment, and how to print.
#[derive(Clone, Debug, Args)]
pub struct Where {
    /// The emulator of a running `largesse up`.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3000/_aws", global = true)]
    endpoint: String,
    /// AWS itself, with the credentials and the region of the environment.
    #[arg(long, conflicts_with = "endpoint", global = true)]
    aws: bool,
    /// The name under which template.yaml was deployed.
    #[arg(long, value_name = "NAME", default_value = "largesse", global = true)]
    stack: String,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    json: bool,
}

/// A grant: its id, or its source and its member. A refund: its source alone. Or a message id, as
/// `list` prints it.
#[derive(Clone, Debug, Args)]
pub struct Key {
    /// A grant id, a message id, or a source such as SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV.
    key: Option<String>,
    /// The member, after a source.
    #[arg(requires = "key")]
    member: Option<String>,
}

impl Key {
    fn wanted(&self) -> Result<Wanted, DlqError> {
        Wanted::parse(self.key.as_deref().unwrap_or_default(), self.member.as_deref())
    }

    /// The spray of a source without a member: its refund is meant.
    fn refund(&self) -> Option<SprayId> {
        let source = self.key.as_deref().filter(|_| self.member.is_none());
        let PoolId::Spray(id) = source?.parse().ok()?;
        Some(id)
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

/// Does it. Gives what is to be printed, also of a run that ended in an error.
pub async fn run(action: Action, place: Where) -> (Option<String>, Result<(), DlqError>) {
    let is_json = place.json;
    match act(action, place).await {
        Ok(Said { text, json, result }) => {
            (Some(if is_json { json.to_string() } else { text }), result)
        }
        Err(error) => (None, Err(error)),
    }
}

/// What a command says, in both forms, and how it ended.
struct Said {
    text: String,
    json: Value,
    result: Result<(), DlqError>,
}

impl Said {
    const fn of(text: String, json: Value) -> Self {
        Self { text, json, result: Ok(()) }
    }
}

async fn act(action: Action, place: Where) -> Result<Said, DlqError> {
    let endpoint = (!place.aws).then_some(place.endpoint.as_str());
    let dlq = Dlq::open(&config(endpoint)?, &place.stack).await?;
    match action {
        Action::List { queue, limit } => {
            list(&dlq, queue, usize::try_from(limit).unwrap_or(usize::MAX)).await
        }
        Action::Show { key } => show(&dlq, &key).await,
        Action::Retry { all: true, .. } => {
            let mut report = RetryReport::default();
            let result = dlq.retry_all(&mut report).await;
            let (text, json) = (text::retry_text(&report), json::retry_json(&report));
            Ok(Said { text, json, result })
        }
        Action::Retry { key, .. } => retry(&dlq, &key).await,
        Action::Void { key, yes } => {
            let voided = dlq.void(&key.wanted()?, yes).await?;
            Ok(Said::of(text::void_text(&voided), json::void_json(&voided)))
        }
        Action::Drop { message: Some(id), .. } => {
            let (is_deleted, text) = match dlq.drop_one(&Wanted::Message(id.clone())).await? {
                Dropped::Deleted => (true, format!("message {id}: deleted")),
                Dropped::Kept(why) => (false, format!("message {id}: kept: {why}")),
            };
            Ok(Said::of(text, serde_json::json!({ "deleted": is_deleted })))
        }
        Action::Drop { message: None, .. } => {
            let mut report = DropReport::default();
            let result = dlq.drop_reports(&mut report).await;
            let (text, json) = (text::drop_text(&report), json::drop_json(&report));
            Ok(Said { text, json, result })
        }
    }
}

async fn show(dlq: &Dlq, key: &Key) -> Result<Said, DlqError> {
    if let Some(id) = key.refund() {
        let spray = dlq.find_spray(id).await?;
        return Ok(Said::of(text::refund_text(&spray), json::refund_json(&spray)));
    }
    let found = dlq.show(&key.wanted()?).await?;
    let why = why(dlq, &found).await?;
    Ok(Said::of(text::found_text(&found, &why), json::found_json(&found, &why)))
}

async fn retry(dlq: &Dlq, key: &Key) -> Result<Said, DlqError> {
    if let Some(id) = key.refund() {
        let (spray, refunded) = dlq.retry_refund(id).await?;
        let text = text::refund_retry_text(&spray, refunded);
        return Ok(Said::of(text, json::refund_retry_json(refunded)));
    }
    let wanted = key.wanted()?;
    let (word, text) = match dlq.retry(&wanted).await? {
        Retry::Sent => ("sent", format!("{wanted}: sent to be paid")),
        Retry::Paid => ("paid", format!("{wanted}: paid, nothing is owed")),
        Retry::Voided => ("voided", format!("{wanted}: voided, it is never paid")),
        Retry::Kept(why) => ("kept", format!("{wanted}: kept: {why}")),
    };
    Ok(Said::of(text, serde_json::json!({ "outcome": word })))
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
        texts.push(text::refunds_text(&refunds, limit));
        json.insert("refunds".to_owned(), json::refunds_json(&refunds, limit));
    }
    if queue != Some(Queue::Grants) {
        let outbox = dlq.list_outbox(limit).await?;
        texts.push(text::outbox_text(&outbox));
        json.insert("outbox_queue".to_owned(), json::outbox_json(&outbox));
    }
    Ok(Said::of(texts.join("\n"), Value::Object(json)))
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
