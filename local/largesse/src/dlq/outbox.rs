//! The outbox's dead letters: records that it could not read, and positions that its mapping gave
//! up.

use largesse_app::ports::{GrantQueue, GrantRef};
use largesse_aws::dead::{DeadRecord, read_letter};
use largesse_domain::grant::{Grant, GrantStatus};

use super::{Dlq, DlqError, Explained, Letter, UNREADABLE, text};

/// What became of the outbox's dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxRedriven {
    /// Dead letters that are gone.
    pub letters: usize,
    /// Grants that nobody had tried to pay, and that were sent again.
    pub sent: usize,
    /// Dead letters that stay, each with its reason.
    pub kept: Vec<(String, &'static str)>,
}

/// Why positions in the stream stay a letter.
const POSITIONS_KEPT: &str = "there is a grant that cannot be read and has no letter of its own";

impl Dlq {
    /// Sends what the outbox did not, then deletes its dead letters. A record that it could not
    /// read is sent once somebody has mended the grant in the table; until then its letter stays.
    /// For positions in a stream that forgets after a day, every grant that nobody has tried to pay
    /// is sent: the table knows what is unpaid. So it is when all letters are meant, though there
    /// be none: a letter is kept for 14 days, and an outbox that is switched off writes none. What
    /// was on its way anyhow is sent twice and paid once.
    ///
    /// # Errors
    /// [`DlqError`]; what was not sent stays a dead letter.
    pub async fn redrive_outbox(&self, id: Option<&str>) -> Result<OutboxRedriven, DlqError> {
        // Letters first: those that come while the table is read may be about grants behind the
        // scan.
        let letters = self.outbox.take().await?;
        let explained: Vec<_> = letters.iter().filter_map(|l| read_letter(&l.body)).collect();
        let (mut wanted, others): (Vec<Letter>, Vec<Letter>) =
            letters.into_iter().partition(|letter| id.is_none_or(|id| letter.id == id));
        self.outbox.put_back(&others).await?;
        if let (true, Some(id)) = (wanted.is_empty(), id) {
            return Err(DlqError::NoSuchLetter(id.to_owned()));
        }
        let mut done = OutboxRedriven::default();
        let redriven = self.redrive_these(&mut wanted, id.is_none(), &explained, &mut done).await;
        self.outbox.put_back(&wanted).await?;
        redriven.map(|()| done)
    }

    /// Leaves in `letters` those that stay. `explained`: all that the outbox could not read.
    async fn redrive_these(
        &self,
        letters: &mut Vec<Letter>,
        is_all: bool,
        explained: &[DeadRecord],
        done: &mut OutboxRedriven,
    ) -> Result<(), DlqError> {
        let tells_positions = letters.iter().any(|letter| read_letter(&letter.body).is_none());
        let is_hidden = (is_all || tells_positions) && self.send_untried(explained, done).await?;
        for letter in letters.clone() {
            let kept = match read_letter(&letter.body) {
                Some(record) => self.redrive_record(&record, done).await?,
                None => is_hidden.then_some(POSITIONS_KEPT),
            };
            if let Some(why) = kept {
                done.kept.push((letter.id, why));
                continue;
            }
            self.outbox.delete(&letter).await?;
            done.letters = done.letters.saturating_add(1);
            letters.retain(|other| other.id != letter.id);
        }
        Ok(())
    }

    /// Sends the grant of a record that the outbox could not read, if it can be read by now; says
    /// why its letter stays, if it does.
    async fn redrive_record(
        &self,
        record: &DeadRecord,
        done: &mut OutboxRedriven,
    ) -> Result<Option<&'static str>, DlqError> {
        let Some((pool, member)) = record.grant() else {
            return Ok(Some("the record names no grant"));
        };
        let grant = match self.read(pool, &member).await? {
            Err(_) => return Ok(Some(UNREADABLE)),
            Ok(None) => return Ok(Some("there is no such grant")),
            Ok(Some(grant)) => grant,
        };
        // Whatever was tried goes its own way, to the end or to the other dead letters.
        if grant.status == GrantStatus::Pending {
            let Grant { id, pool, member, .. } = grant;
            self.send_all(&[GrantRef { pool, member, id }], done).await?;
        }
        Ok(None)
    }

    /// Sends every grant that nobody has tried to pay; says whether there is one that cannot be
    /// read and that no letter explains.
    async fn send_untried(
        &self,
        explained: &[DeadRecord],
        done: &mut OutboxRedriven,
    ) -> Result<bool, DlqError> {
        let is_explained = |(pk, sk): &(String, String)| {
            explained.iter().any(|record| record.pk == *pk && record.sk == *sk)
        };
        let (mut after, mut is_hidden) = (None, false);
        loop {
            let untried = self.store.untried_grants(after).await?;
            is_hidden |= !untried.unreadable.iter().all(is_explained);
            self.send_all(&untried.grants, done).await?;
            match untried.next {
                Some(next) => after = Some(next),
                None => return Ok(is_hidden),
            }
        }
    }

    async fn send_all(
        &self,
        grants: &[GrantRef],
        done: &mut OutboxRedriven,
    ) -> Result<(), DlqError> {
        for batch in grants.chunks(largesse_app::grant::dispatch::SEND_BATCH_MAX) {
            let not_taken = self.store.send(batch).await?;
            if !not_taken.is_empty() {
                return Err(DlqError::NotTaken(not_taken.len()));
            }
            done.sent = done.sent.saturating_add(batch.len());
        }
        Ok(())
    }

    /// Why a letter of the outbox's lies here.
    pub(super) async fn explain_outbox(&self, letter: Letter) -> Result<Explained, DlqError> {
        let Some(record) = read_letter(&letter.body) else {
            let why = text::of_positions(&letter.body);
            return Ok(Explained { letter, grant: None, why });
        };
        let grant = match record.grant() {
            Some((pool, member)) => self.read(pool, &member).await?.ok().flatten(),
            None => None,
        };
        let why = text::of_record(&record, grant.is_some());
        Ok(Explained { letter, grant, why })
    }
}
