//! Sending grants to be paid again: one by its key, or all.
//!
//! A run over all works in three steps. First it goes through the dead-letter queue, ten messages at a
//! time: take, send again, delete. Then it goes through the table, for grants whose message is gone.
//! At the end it tries the refunds that are refused.

use std::collections::BTreeSet;

use futures::future::join_all;
use largesse_app::grant::operate::{self, Retried, Unpaid};
use largesse_app::ports::{Clock, Grants, PortError, PortErrorKind, PortResult, Standing};
use largesse_aws::grant::message::read_body;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::time::Timestamp;

use super::find::{Known, Wanted, why_unreadable};
use super::queue::Run;
use super::report::{RetryReport, increase};
use super::text::CONTENDED;
use super::{DeadMessage, Dlq, DlqError};

/// Grants of the table that are retried at the same time.
const AT_ONCE: usize = 10;
/// How old the last refusal of a FAILED grant is before its message counts as lost: longer than any
/// delay that grant-pay sets, which is 15 minutes at most.
const LOST_AFTER_MS: u64 = 1_200_000;
/// Keys of unreadable items that a report names.
const UNREADABLE_MAX: usize = 100;

/// What became of one grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It is sent to be paid.
    Sent,
    /// It is paid: nothing is owed.
    Paid,
    /// It is voided: it is never paid.
    Voided,
    /// It stays as it is, for this reason.
    Kept(String),
}

/// A grant that is to be sent, or what became of it without that.
type Decided = PortResult<Result<Unpaid, Retry>>;

/// A message of a batch whose grant can be read.
struct Readable {
    message: DeadMessage,
    grant: Grant,
}

impl Dlq {
    /// Sends one grant to be paid again, with its message or without, and deletes its message.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn retry(&self, wanted: &Wanted) -> Result<Retry, DlqError> {
        let mut run = self.grants.run();
        let done = self.retry_found(wanted, &mut run).await;
        run.end().await?;
        done
    }

    async fn retry_found(&self, wanted: &Wanted, run: &mut Run<'_>) -> Result<Retry, DlqError> {
        let found = self.find(wanted, run).await?;
        let message = found.message.map(|(_, message)| message);
        let Some(grant) = found.grant else {
            let unreadable = message.and_then(|message| read_body(&message.body).err());
            let unreadable = unreadable.map(|error| Retry::Kept(why_unreadable(&error)));
            return unreadable.ok_or_else(|| DlqError::not_found(wanted));
        };
        let decided = vec![self.decide(grant).await];
        let done = self.send_again(decided).await.pop();
        let done = match done.ok_or_else(|| DlqError::not_found(wanted))? {
            Err(error) if error.kind == PortErrorKind::Contended => {
                return Ok(Retry::Kept(CONTENDED.to_owned()));
            }
            done => done?,
        };
        if let Some(message) = message {
            run.delete(&[&message]).await?;
        }
        Ok(done)
    }

    /// Sends every grant that was given up or lost to be paid again, and tries every refund that is
    /// refused. `report` says what was done, also after an error.
    ///
    /// # Errors
    /// [`DlqError`]; a message that was not handled stays.
    pub async fn retry_all(&self, report: &mut RetryReport) -> Result<(), DlqError> {
        let started = self.store.now();
        loop {
            // Messages that stay are met again by each pass.
            report.kept.clear();
            report.came_back = 0;
            let mut run = self.grants.run();
            let deleted = self.retry_pass(&mut run, started, report).await;
            run.end().await?;
            // What stays may have hidden others of the same member. Each further pass deletes at
            // least one message, so there is a last one.
            if deleted? == 0 || (report.kept.is_empty() && report.came_back == 0) {
                break;
            }
        }
        self.retry_table(started, report).await?;
        self.retry_refunds(report).await
    }

    /// Goes through the queue once; gives how many messages it deleted.
    async fn retry_pass(
        &self,
        run: &mut Run<'_>,
        started: Timestamp,
        report: &mut RetryReport,
    ) -> Result<u64, DlqError> {
        let mut deleted = 0_u64;
        loop {
            let messages = run.next().await?;
            if messages.is_empty() {
                return Ok(deleted);
            }
            let (done, failure) = self.retry_batch(messages, started, report).await?;
            let count = u64::try_from(done.len()).unwrap_or(u64::MAX);
            let not_deleted = run.delete(&done.iter().collect::<Vec<_>>()).await?;
            report.not_deleted = report.not_deleted.saturating_add(not_deleted);
            deleted = deleted.saturating_add(count.saturating_sub(not_deleted));
            if let Some(failure) = failure {
                return Err(failure.into());
            }
        }
    }

    /// Acts on the messages of a batch. Gives those that are to be deleted, and the failure that ends
    /// the run.
    async fn retry_batch(
        &self,
        messages: Vec<DeadMessage>,
        started: Timestamp,
        report: &mut RetryReport,
    ) -> Result<(Vec<DeadMessage>, Option<PortError>), DlqError> {
        let (mut done, mut open) = (Vec::new(), Vec::new());
        let mut in_batch = BTreeSet::new();
        for message in messages {
            let body = match read_body(&message.body) {
                Ok(body) => body,
                Err(error) => {
                    report.keep(why_unreadable(&error), &message.id);
                    continue;
                }
            };
            let (grant, retry) = (body.grant, body.retry);
            let is_new = retry.is_some_and(|retry| retry.timestamp_ms() >= started.ms_unsigned());
            if report.sent_ids.contains(&grant.id) && is_new {
                // Refused again since this run sent it. Once more would not end.
                increase(&mut report.came_back);
            } else if report.sent_ids.contains(&grant.id) || !in_batch.insert(grant.id) {
                increase(&mut report.twice);
                done.push(message);
            } else {
                open.push(Readable { message, grant });
            }
        }
        let grants: Vec<Grant> = open.iter().map(|one| one.grant.clone()).collect();
        let standings = self.standings(&grants).await?;
        let decided = open.iter().zip(standings).map(async |(one, standing)| {
            match self.failed_of(&one.grant).await? {
                Ok(failed) => {
                    self.decide(Known { grant: one.grant.clone(), failed, standing }).await
                }
                Err(unreadable) => Ok(Err(Retry::Kept(unreadable))),
            }
        });
        let outcomes = self.send_again(join_all(decided).await).await;
        let mut failure = None;
        for (outcome, one) in outcomes.into_iter().zip(&open) {
            match outcome {
                Ok(Retry::Sent) => {
                    increase(&mut report.sent);
                    report.sent_ids.insert(one.grant.id);
                }
                Ok(Retry::Paid) => increase(&mut report.paid),
                Ok(Retry::Voided) => increase(&mut report.voided),
                Ok(Retry::Kept(why)) => {
                    report.keep(why, &one.message.id);
                    continue;
                }
                Err(error) if error.kind == PortErrorKind::Contended => {
                    report.keep(CONTENDED.to_owned(), &one.message.id);
                    continue;
                }
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            }
            done.push(one.message.clone());
        }
        Ok((done, failure))
    }

    /// Goes through the table for grants that have no message: those that were given up, and those
    /// whose last refusal is so old that their message must be lost.
    async fn retry_table(
        &self,
        started: Timestamp,
        report: &mut RetryReport,
    ) -> Result<(), DlqError> {
        let mut after = None;
        loop {
            let page = self.store.scan_failed_grants(after).await?;
            let room = UNREADABLE_MAX.saturating_sub(report.unreadable_items.len());
            report.unreadable_items.extend(page.unreadable.into_iter().take(room));
            let mut lost = Vec::new();
            for failed in page.grants {
                if report.sent_ids.contains(&failed.grant.id) {
                    continue;
                }
                match failed.status {
                    // Given up since this run began: an operator has not seen it.
                    GrantStatus::PermanentlyFailed if failed.failed_at >= started => {
                        increase(&mut report.came_back);
                    }
                    GrantStatus::PermanentlyFailed => lost.push(failed),
                    GrantStatus::Failed if is_lost(&failed, started) => lost.push(failed),
                    GrantStatus::Failed => increase(&mut report.still_retried),
                    GrantStatus::Pending | GrantStatus::Success | GrantStatus::Voided => {}
                }
            }
            for some in lost.chunks(AT_ONCE) {
                self.retry_items(some, report).await?;
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn retry_items(
        &self,
        lost: &[FailedGrant],
        report: &mut RetryReport,
    ) -> Result<(), DlqError> {
        let grants: Vec<Grant> = lost.iter().map(|failed| failed.grant.clone()).collect();
        let standings = self.standings(&grants).await?;
        let decided = lost.iter().zip(standings).map(|(failed, standing)| {
            let grant = failed.grant.clone();
            self.decide(Known { grant, failed: Some(failed.clone()), standing })
        });
        let outcomes = self.send_again(join_all(decided).await).await;
        let mut failure = None;
        for (outcome, failed) in outcomes.into_iter().zip(lost) {
            match outcome {
                Ok(Retry::Sent) => increase(&mut report.sent_from_table),
                Ok(Retry::Paid) => increase(&mut report.paid_in_table),
                Ok(Retry::Voided) => {}
                Ok(Retry::Kept(why)) => report.keep(why, &failed.grant.id.to_string()),
                Err(error) if error.kind == PortErrorKind::Contended => {
                    report.keep(CONTENDED.to_owned(), &failed.grant.id.to_string());
                }
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// The item of a grant; the inner error says that it cannot be read.
    pub(super) async fn failed_of(
        &self,
        grant: &Grant,
    ) -> PortResult<Result<Option<FailedGrant>, String>> {
        match self.store.failed_grant(grant.source, &grant.member).await {
            Ok(failed) => Ok(Ok(failed.filter(|failed| failed.grant.id == grant.id))),
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                Ok(Err("its item in the table grants cannot be read".to_owned()))
            }
            Err(error) => Err(error),
        }
    }

    /// What is done about a grant: it is to be sent, or that is settled.
    async fn decide(&self, known: Known) -> Decided {
        let Known { grant, failed, standing } = known;
        match standing {
            // Of an unknown outcome, a retry under the same id finds out.
            Standing::NotPaid | Standing::Unknown => Ok(Ok(Unpaid { grant, failed })),
            Standing::Voided => Ok(Err(Retry::Voided)),
            Standing::Paid => {
                // Killed between the payment and the end of the item: a paid grant has none.
                if failed.is_some() {
                    self.store.remove_failed(&grant).await?;
                }
                Ok(Err(Retry::Paid))
            }
        }
    }

    /// Sends what is to be sent; the outcomes stand in the order of the decisions.
    async fn send_again(&self, decided: Vec<Decided>) -> Vec<PortResult<Retry>> {
        let unpaid = decided.iter().filter_map(|one| one.as_ref().ok()?.as_ref().ok()).cloned();
        let unpaid: Vec<Unpaid> = unpaid.collect();
        let mut sent = operate::retry_each(&self.store, &unpaid).await.into_iter();
        let outcome = |one: Decided| match one? {
            Err(settled) => Ok(settled),
            // There is an outcome for each that was to be sent.
            Ok(_) => Ok(match sent.next().unwrap_or(Ok(Retried::Sent))? {
                Retried::Sent => Retry::Sent,
                Retried::Voided => Retry::Voided,
            }),
        };
        decided.into_iter().map(outcome).collect()
    }
}

fn is_lost(failed: &FailedGrant, now: Timestamp) -> bool {
    now >= failed.failed_at.plus_ms(LOST_AFTER_MS)
}
