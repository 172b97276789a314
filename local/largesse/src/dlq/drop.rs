//! Deleting messages that nothing depends on.

use largesse_aws::grant::message::{BodyError, read_body};

use super::find::{Wanted, find_message};
use super::queue::Run;
use super::report::increase;
use super::{Dlq, DlqError, OutboxKind, Queue};

/// What became of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is deleted.
    Deleted,
    /// It stays, for this reason.
    Kept(&'static str),
}

/// What a run over the outbox's dead-letter queue did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropReport {
    /// Reports of the mapping that are deleted.
    pub deleted: u64,
    /// Records of entries that cannot be: they stay.
    pub records: u64,
    /// Messages that are neither: they stay.
    pub unreadable: u64,
    /// Messages that the queue did not delete.
    pub not_deleted: u64,
}

impl DropReport {
    /// Whether nothing stays.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.records == 0 && self.unreadable == 0 && self.not_deleted == 0
    }
}

impl Dlq {
    /// Deletes one message: of the outbox, or one of a grant that is no grant of any version.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn drop_one(&self, wanted: &Wanted) -> Result<Dropped, DlqError> {
        for (name, queue) in [(Queue::Outbox, &self.outbox), (Queue::Grants, &self.grants)] {
            let mut run = queue.run();
            let done = delete_found(wanted, name, &mut run).await;
            run.end().await?;
            if let Some(done) = done? {
                return Ok(done);
            }
        }
        Err(DlqError::not_found(wanted))
    }

    /// Deletes every report of the outbox's mapping. pool-sweep sends what the reported records held.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn drop_reports(&self, report: &mut DropReport) -> Result<(), DlqError> {
        let mut run = self.outbox.run();
        let done = delete_reports(&mut run, report).await;
        run.end().await?;
        done
    }
}

async fn delete_found(
    wanted: &Wanted,
    queue: Queue,
    run: &mut Run<'_>,
) -> Result<Option<Dropped>, DlqError> {
    let Some(message) = find_message(wanted, run).await? else { return Ok(None) };
    let kept = match read_body(&message.body) {
        _ if queue == Queue::Outbox => None,
        Ok(_) => Some("it is about a grant: retry or void it"),
        Err(BodyError::Newer(_)) => Some("a newer version wrote it"),
        // An entry that it may be about is sent again by pool-sweep until it is paid.
        Err(BodyError::Shape(_) | BodyError::Field(_)) => None,
    };
    if let Some(why) = kept {
        return Ok(Some(Dropped::Kept(why)));
    }
    let not_deleted = run.delete(&[&message]).await?;
    let kept = Dropped::Kept("the queue did not delete it, try again");
    Ok(Some(if not_deleted == 0 { Dropped::Deleted } else { kept }))
}

async fn delete_reports(run: &mut Run<'_>, report: &mut DropReport) -> Result<(), DlqError> {
    loop {
        let messages = run.next().await?;
        if messages.is_empty() {
            return Ok(());
        }
        let mut reports = Vec::new();
        for message in &messages {
            match OutboxKind::of(&message.body) {
                OutboxKind::Report => reports.push(message),
                OutboxKind::Record => increase(&mut report.records),
                OutboxKind::Unreadable => increase(&mut report.unreadable),
            }
        }
        let not_deleted = run.delete(&reports).await?;
        report.not_deleted = report.not_deleted.saturating_add(not_deleted);
        let count = u64::try_from(reports.len()).unwrap_or(u64::MAX);
        report.deleted = report.deleted.saturating_add(count.saturating_sub(not_deleted));
    }
}
