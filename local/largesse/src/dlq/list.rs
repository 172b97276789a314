//! What lies in the dead-letter queues and in the table of refused grants. Looking changes nothing.

use std::collections::BTreeSet;

use largesse_app::ports::{Money, Pools, PortErrorKind, Standing};
use largesse_aws::grant::dead::{DeadRecord, read_dead_record};
use largesse_aws::grant::message::read_body;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::id::{GrantId, PoolId};
use largesse_domain::pool::BucketId;

use super::find::{Known, why_unreadable};
use super::queue::Run;
use super::{DeadMessage, Dlq, DlqError, text};

/// A message or an item about a grant.
#[derive(Clone, Debug)]
pub struct Row {
    /// The message's id; `None` for an item without a message.
    pub message_id: Option<String>,
    /// The grant; `None` when this version cannot read the message.
    pub grant: Option<Known>,
    /// Why it is here.
    pub why: String,
}

/// The dead-letter queue of grants.
#[derive(Debug, Default)]
pub struct GrantsView {
    /// The first rows.
    pub rows: Vec<Row>,
    /// How many messages were received.
    pub messages: u64,
    /// How many of them this version cannot read.
    pub unreadable: u64,
    /// How many others the queue has: another run holds them, or they lie behind others of the same
    /// member.
    pub others: u64,
    /// The grants that have a message.
    pub ids: BTreeSet<GrantId>,
}

/// The grants of the table that have no message in the dead-letter queue.
#[derive(Debug, Default)]
pub struct TableView {
    /// The first rows.
    pub rows: Vec<Row>,
    /// How many FAILED grants there are.
    pub failed: u64,
    /// How many PERMANENTLY_FAILED grants there are.
    pub given_up: u64,
    /// The first keys, pk and sk, of items that cannot be read.
    pub unreadable: Vec<(String, String)>,
    /// How many items cannot be read.
    pub unreadable_count: u64,
}

/// What a message of the outbox's dead-letter queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxKind {
    /// The mapping of the pools wrote it: stream positions that it gave up on.
    Report,
    /// The outbox wrote it: entries that it cannot send. Or the mapping of the campaigns, about
    /// positions whose entries nothing sends again.
    Record,
    /// Neither of them wrote it.
    Unreadable,
}

impl OutboxKind {
    /// Reads a message's body.
    #[must_use]
    pub fn of(body: &str) -> Self {
        match read_dead_record(body) {
            Some(_) => Self::Record,
            None if text::of_report(body).is_none() => Self::Unreadable,
            None if text::is_of_campaigns(body) => Self::Record,
            None => Self::Report,
        }
    }
}

/// A message of the outbox's dead-letter queue.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// The message's id.
    pub message_id: String,
    /// What it is.
    pub kind: OutboxKind,
    /// Why it is here, and what to do.
    pub why: String,
}

/// The dead-letter queue of the outbox.
#[derive(Debug, Default)]
pub struct OutboxView {
    /// The first rows.
    pub rows: Vec<OutboxRow>,
    /// How many messages were received.
    pub messages: u64,
    /// How many of them can be neither a record nor a report.
    pub unreadable: u64,
    /// How many others the queue has: another run holds them.
    pub others: u64,
}

impl Dlq {
    /// The dead-letter queue of grants: the first `limit` messages, and counts of all.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn list_grants(&self, limit: usize) -> Result<GrantsView, DlqError> {
        let mut run = self.grants.run();
        let view = self.read_grants(&mut run, limit).await;
        run.end().await?;
        view
    }

    async fn read_grants(&self, run: &mut Run<'_>, limit: usize) -> Result<GrantsView, DlqError> {
        let mut view = GrantsView::default();
        loop {
            let messages = run.next().await?;
            if messages.is_empty() {
                break;
            }
            for message in messages {
                let is_shown = view.rows.len() < limit;
                view.messages = view.messages.saturating_add(1);
                match read_body(&message.body) {
                    Ok(body) => {
                        view.ids.insert(body.grant.id);
                        if is_shown {
                            view.rows.push(self.explain(message, body.grant).await?);
                        }
                    }
                    Err(error) => {
                        view.unreadable = view.unreadable.saturating_add(1);
                        if is_shown {
                            let (id, why) = (Some(message.id), why_unreadable(&error));
                            view.rows.push(Row { message_id: id, grant: None, why });
                        }
                    }
                }
            }
        }
        view.others = self.grants.count().await?.saturating_sub(run.held());
        Ok(view)
    }

    async fn explain(&self, message: DeadMessage, grant: Grant) -> Result<Row, DlqError> {
        let message_id = Some(message.id);
        Ok(match self.failed_of(&grant).await? {
            Ok(failed) => {
                let grant = self.known(grant, failed).await?;
                Row { message_id, why: text::of_grant(&grant), grant: Some(grant) }
            }
            Err(unreadable) => Row { message_id, grant: None, why: unreadable },
        })
    }

    /// The FAILED and PERMANENTLY_FAILED grants of the table that are not in `ids`: the first
    /// `limit`, and counts of all.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn list_table(
        &self,
        ids: &BTreeSet<GrantId>,
        limit: usize,
    ) -> Result<TableView, DlqError> {
        let mut view = TableView::default();
        let mut after = None;
        loop {
            let page = self.store.scan_failed_grants(after).await?;
            let unreadable = u64::try_from(page.unreadable.len()).unwrap_or(u64::MAX);
            view.unreadable_count = view.unreadable_count.saturating_add(unreadable);
            let room = limit.saturating_sub(view.unreadable.len());
            view.unreadable.extend(page.unreadable.into_iter().take(room));
            let without_message = |failed: &FailedGrant| !ids.contains(&failed.grant.id);
            let mut shown = Vec::new();
            for failed in page.grants.into_iter().filter(without_message) {
                let count = match failed.status {
                    GrantStatus::PermanentlyFailed => &mut view.given_up,
                    GrantStatus::Failed => &mut view.failed,
                    GrantStatus::Pending | GrantStatus::Success | GrantStatus::Voided => continue,
                };
                *count = count.saturating_add(1);
                if view.rows.len().saturating_add(shown.len()) < limit {
                    shown.push(failed);
                }
            }
            let grants: Vec<Grant> = shown.iter().map(|failed| failed.grant.clone()).collect();
            let standings = self.standings(&grants).await?;
            for (failed, standing) in shown.into_iter().zip(standings) {
                let grant = failed.grant.clone();
                let grant = Known { grant, failed: Some(failed), standing };
                let why = text::of_grant(&grant);
                view.rows.push(Row { message_id: None, grant: Some(grant), why });
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(view),
            }
        }
    }

    pub(super) async fn standings(&self, grants: &[Grant]) -> Result<Vec<Standing>, DlqError> {
        if grants.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.store.lookup(grants).await?)
    }

    /// The dead-letter queue of the outbox: the first `limit` messages, and counts of all.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn list_outbox(&self, limit: usize) -> Result<OutboxView, DlqError> {
        let mut run = self.outbox.run();
        let view = self.read_outbox(&mut run, limit).await;
        run.end().await?;
        view
    }

    async fn read_outbox(&self, run: &mut Run<'_>, limit: usize) -> Result<OutboxView, DlqError> {
        let mut view = OutboxView::default();
        loop {
            let messages = run.next().await?;
            if messages.is_empty() {
                break;
            }
            for message in messages {
                view.messages = view.messages.saturating_add(1);
                if OutboxKind::of(&message.body) == OutboxKind::Unreadable {
                    view.unreadable = view.unreadable.saturating_add(1);
                }
                if view.rows.len() < limit {
                    view.rows.push(self.explain_outbox(&message).await?);
                }
            }
        }
        view.others = self.outbox.count().await?.saturating_sub(run.held());
        Ok(view)
    }

    /// What a message of the outbox's dead-letter queue says.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn explain_outbox(&self, message: &DeadMessage) -> Result<OutboxRow, DlqError> {
        let message_id = message.id.clone();
        let kind = OutboxKind::of(&message.body);
        let Some(record) = read_dead_record(&message.body) else {
            let why = text::of_report(&message.body);
            let why = why.unwrap_or_else(|| text::NEITHER.to_owned());
            return Ok(OutboxRow { message_id, kind, why });
        };
        let impossible = self.impossible_now(&record).await?;
        let why = text::of_record(&record, impossible.as_deref());
        Ok(OutboxRow { message_id, kind, why })
    }

    /// The members of the record whose entries cannot be as the bucket stands now; `None` when the
    /// bucket is not there or cannot be read.
    async fn impossible_now(&self, record: &DeadRecord) -> Result<Option<Vec<String>>, DlqError> {
        let Some(id) = bucket_of(&record.bucket) else { return Ok(None) };
        let buckets = match self.store.buckets(id.pool, &[id.number]).await {
            Err(error) if error.kind == PortErrorKind::Corrupt => return Ok(None),
            buckets => buckets?,
        };
        let Some(bucket) = buckets.into_iter().next() else { return Ok(None) };
        let impossible = bucket.impossible_entries().into_iter().map(|member| member.to_string());
        Ok(Some(
            impossible
                .filter(|m| record.members.is_empty() || record.members.contains(m))
                .collect(),
        ))
    }
}

/// The bucket that a key of the table `pools` names.
fn bucket_of(key: &str) -> Option<BucketId> {
    let (pool, number) = key.rsplit_once('#')?;
    Some(BucketId { pool: pool.parse::<PoolId>().ok()?, number: number.parse().ok()? })
}
