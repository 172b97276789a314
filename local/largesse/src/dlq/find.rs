//! Finding one dead letter or one grant by its key.

use largesse_app::drop::standing::{Owned, owned};
use largesse_app::pool::read;
use largesse_app::ports::{Drops, Grants, Money, PortErrorKind, PortResult, Sprays, Standing};
use largesse_aws::grant::message::{BodyError, read_body};
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_domain::id::{DropId, GrantId, PoolId, UserId};

use super::queue::Run;
use super::{DeadMessage, Dlq, DlqError, Queue};

/// The key of a dead letter or a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A grant, by its id.
    Grant(GrantId),
    /// The grant of a member from a source.
    Entry(PoolId, UserId),
    /// A message, by its id in SQS.
    Message(String),
}

impl Wanted {
    /// Reads the words of a command line.
    ///
    /// # Errors
    /// [`DlqError::BadKey`].
    pub fn parse(first: &str, member: Option<&str>) -> Result<Self, DlqError> {
        let words = || [Some(first), member].into_iter().flatten().collect::<Vec<_>>().join(" ");
        let bad = || DlqError::BadKey(words());
        match member {
            Some(member) => {
                let source = first.parse().map_err(|_| bad())?;
                Ok(Self::Entry(source, member.parse().map_err(|_| bad())?))
            }
            None if first.parse::<PoolId>().is_ok() => Err(bad()),
            None => Ok(first.parse().map_or_else(|_| Self::Message(first.to_owned()), Self::Grant)),
        }
    }

    fn is_grant(&self, grant: &Grant) -> bool {
        match self {
            Self::Grant(id) => grant.id == *id,
            Self::Entry(source, member) => grant.source == *source && grant.member == *member,
            Self::Message(_) => false,
        }
    }

    fn is_message(&self, message: &DeadMessage) -> bool {
        match self {
            Self::Message(id) => message.id == *id,
            Self::Grant(_) | Self::Entry(..) => {
                read_body(&message.body).is_ok_and(|body| self.is_grant(&body.grant))
            }
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Grant(id) => write!(f, "grant {id}"),
            Self::Entry(source, member) => write!(f, "grant of {member} from {source}"),
            Self::Message(id) => write!(f, "message {id}"),
        }
    }
}

/// What is known about a key.
#[derive(Debug)]
pub struct Found {
    /// The queue and the message, if there is one.
    pub message: Option<(Queue, DeadMessage)>,
    /// The grant, as the table, the message or the bucket has it, in this order; `None` for a
    /// message that names no grant that this version can read.
    pub grant: Option<Known>,
}

/// A grant and where it stands.
#[derive(Clone, Debug)]
pub struct Known {
    /// The grant.
    pub grant: Grant,
    /// Its item, if the money service refused it.
    pub failed: Option<FailedGrant>,
    /// Whether it is paid or voided.
    pub standing: Standing,
}

impl Known {
    /// Where the grant stands. The ledger has the last word.
    #[must_use]
    pub fn status(&self) -> GrantStatus {
        match (self.standing, &self.failed) {
            (Standing::Paid, _) => GrantStatus::Success,
            (Standing::Voided, _) => GrantStatus::Voided,
            (Standing::NotPaid, Some(failed)) => failed.status,
            (Standing::NotPaid, None) | (Standing::Unknown, _) => GrantStatus::Pending,
        }
    }

    pub(super) fn is_given_up(&self) -> bool {
        self.status() == GrantStatus::PermanentlyFailed
    }
}

impl Dlq {
    /// Everything about a key; nothing changes.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn show(&self, wanted: &Wanted) -> Result<Found, DlqError> {
        let mut run = self.grants.run();
        let found = self.find(wanted, &mut run).await;
        run.end().await?;
        let found = found?;
        if found.message.is_some() || found.grant.is_some() {
            return Ok(found);
        }
        let mut run = self.outbox.run();
        let message = find_message(wanted, &mut run).await;
        run.end().await?;
        match message? {
            Some(message) => Ok(Found { message: Some((Queue::Outbox, message)), grant: None }),
            None => Err(DlqError::not_found(wanted)),
        }
    }

    /// The grant of a key and its message, which `run` holds.
    pub(super) async fn find(&self, wanted: &Wanted, run: &mut Run<'_>) -> Result<Found, DlqError> {
        let message = find_message(wanted, run).await?;
        let body = message.as_ref().and_then(|message| read_body(&message.body).ok());
        let key = match (wanted, &body) {
            (_, Some(body)) => Some((body.grant.source, body.grant.member.clone())),
            (Wanted::Entry(source, member), None) => Some((*source, member.clone())),
            (Wanted::Grant(_) | Wanted::Message(_), None) => None,
        };
        let failed = match (wanted, &key) {
            (_, Some((source, member))) => self.store.failed_grant(*source, member).await?,
            (Wanted::Grant(id), None) => self.scan_for(*id).await?,
            (Wanted::Entry(..) | Wanted::Message(_), None) => None,
        };
        let mut grant = failed.as_ref().map(|failed| failed.grant.clone());
        grant = grant.or(body.map(|body| body.grant));
        if let (None, Wanted::Entry(source, member)) = (&grant, wanted) {
            grant = self.drawn(*source, member).await?;
        }
        let message = message.map(|message| (Queue::Grants, message));
        let Some(grant) = grant else { return Ok(Found { message, grant: None }) };
        let known = self.known(grant, failed).await?;
        Ok(Found { message, grant: Some(known) })
    }

    /// A grant with where it stands.
    pub(super) async fn known(
        &self,
        grant: Grant,
        failed: Option<FailedGrant>,
    ) -> PortResult<Known> {
        let standings = self.store.lookup(std::slice::from_ref(&grant)).await?;
        let standing = standings.first().copied().unwrap_or(Standing::NotPaid);
        Ok(Known { grant, failed, standing })
    }

    /// The item of a grant by its id: the table's key is another, so the whole table is read.
    async fn scan_for(&self, id: GrantId) -> PortResult<Option<FailedGrant>> {
        let mut after = None;
        loop {
            let page = self.store.scan_failed_grants(after).await?;
            let found = page.grants.into_iter().find(|failed| failed.grant.id == id);
            match (found, page.next) {
                (Some(found), _) => return Ok(Some(found)),
                (None, Some(next)) => after = Some(next),
                (None, None) => return Ok(None),
            }
        }
    }

    /// The grant that a member's entry in a pool is; `None` without an entry, and for an entry that
    /// no draw can have written.
    async fn drawn(&self, source: PoolId, member: &UserId) -> PortResult<Option<Grant>> {
        // A campaign pays its rows by itself, and a product is no pool: neither has entries.
        let id = match source {
            PoolId::Spray(id) => id,
            PoolId::Drop(id) => return self.slot(id, member).await,
            PoolId::Campaign(_) | PoolId::Product(_) | PoolId::Waiting(_) | PoolId::Lots(_) => {
                return Ok(None);
            }
        };
        let Some(spray) = self.store.spray(id).await? else { return Ok(None) };
        let buckets = match read::buckets(&self.store, source, spray.recipients).await {
            Err(error) if error.kind == PortErrorKind::Corrupt => return Ok(None),
            buckets => buckets?,
        };
        let drawn = buckets.iter().find_map(|bucket| {
            let entry = bucket.draws.get(member)?;
            let is_possible = !bucket.impossible_entries().contains(member);
            is_possible.then(|| bucket.grant(member, *entry)).flatten()
        });
        Ok(drawn)
    }

    /// The grant of a member's slot, drawn or passed on.
    async fn slot(&self, id: DropId, member: &UserId) -> PortResult<Option<Grant>> {
        let Some(drop) = self.store.drop_terms(id).await? else { return Ok(None) };
        Ok(match owned(&self.store, &drop, member).await? {
            Owned::Slot { grant, .. } => Some(grant),
            Owned::Place { .. } | Owned::Lot { .. } | Owned::Nothing => None,
        })
    }
}

/// The first message of a key that the queue gives; `run` holds it and those before it.
pub(super) async fn find_message(
    wanted: &Wanted,
    run: &mut Run<'_>,
) -> Result<Option<DeadMessage>, DlqError> {
    loop {
        let messages = run.next().await?;
        if messages.is_empty() {
            return Ok(None);
        }
        if let Some(found) = messages.into_iter().find(|message| wanted.is_message(message)) {
            return Ok(Some(found));
        }
    }
}

/// Why a message stays where it is.
pub(super) fn why_unreadable(error: &BodyError) -> String {
    match error {
        BodyError::Newer(_) => format!("{error}: use the newer largesse"),
        BodyError::Shape(_) | BodyError::Field(_) => error.to_string(),
    }
}
