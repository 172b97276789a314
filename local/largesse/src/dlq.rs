//! `largesse dlq`: what could not be delivered, why, and another try.
//!
//! # Guarantees
//! * A dead letter is deleted only after its message was taken by the queue, or once nothing is
//!   owed, so a crash in between loses nothing: it is redriven again, and paid once all the same.
//! * What is redriven is paid once, however often it is redriven:
//!   `a_grant_that_failed_for_ever_is_explained_and_redriven_and_paid_once`.
//! * A grant that cannot be read hides and holds up no other:
//!   `a_grant_that_cannot_be_read_is_kept_and_the_rest_is_redriven`.

pub mod command;

mod letters;
mod outbox;
mod text;

use std::convert::Infallible;
use std::sync::Arc;

use aws_sdk_sqs::error::SdkError;
use aws_types::SdkConfig;
use clap::ValueEnum;
use largesse_app::ports::{Grants, PortError, PortErrorKind};
use largesse_aws::production::{self, SecureRng, SetupError, SystemClock};
use largesse_aws::queue::read_body;
use largesse_aws::{Names, Outside, Store};
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{PoolId, UserId};
use largesse_emulator::REGION;

pub use letters::Letter;
use letters::Letters;
pub use outbox::OutboxRedriven;

/// Which dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Queue {
    /// Grants that were not paid.
    Grants,
    /// Stream records that the outbox could not read or gave up on: grants that may never have been
    /// sent to be paid.
    Outbox,
}

/// Why dead letters cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DlqError {
    /// The environment names no credentials or no region.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A table could not be read or written.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Nothing answers where the deployment should be.
    #[error(
        "cannot reach {endpoint}; start `largesse up`, name another place by --endpoint, or take \
         AWS itself by --aws"
    )]
    Unreachable {
        /// Where that is.
        endpoint: String,
        /// What the connection said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A queue could not be read or written.
    #[error("{what}")]
    Sqs {
        /// What was tried.
        what: String,
        /// What the service or the connection said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no such dead letter, or somebody else looks at it at the moment.
    #[error("there is no dead letter {0}; one that is being looked at shows again within a minute")]
    NoSuchLetter(String),
    /// The queue did not take everything.
    #[error("the queue did not take {0} grants; nothing was deleted, try again")]
    NotTaken(usize),
}

/// What became of a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// It is back in its queue, to be tried anew.
    Sent,
    /// It was paid meanwhile: the letter is gone.
    PaidBefore,
    /// Nobody can pay it: the letter stays.
    Kept(&'static str),
}

/// Why a letter stays whose grant is stored in a form that nobody understands.
const UNREADABLE: &str = "the grant cannot be read";

/// A letter with the grant that it is about.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The letter.
    pub letter: Letter,
    /// The grant as it stands.
    pub grant: Option<Grant>,
    /// Why it lies here, in a line.
    pub why: String,
}

/// A grant is stored, and nobody understands how.
struct Unreadable;

/// The dead letters of one deployment.
pub struct Dlq {
    sqs: aws_sdk_sqs::Client,
    store: Store,
    grants: Letters,
    outbox: Letters,
    grants_url: String,
}

/// Where the deployment is: `--aws`, or an endpoint that the embedded AWS serves.
///
/// # Errors
/// [`SetupError`] when the environment lacks something.
pub fn config(endpoint: Option<&str>) -> Result<SdkConfig, SetupError> {
    match endpoint {
        Some(endpoint) => Ok(production::emulator_config(endpoint, REGION)),
        None => production::sdk_config(),
    }
}

impl Dlq {
    /// Looks up the queues of a deployment, by the names that template.yaml gives them.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn open(config: &SdkConfig, stack: &str) -> Result<Self, DlqError> {
        let sqs = aws_sdk_sqs::Client::new(config);
        let url = async |name: String| {
            let got = sqs.get_queue_url().queue_name(&name).send().await;
            let got = got.map_err(|error| match (config.endpoint_url(), error) {
                (Some(endpoint), SdkError::DispatchFailure(failure)) => {
                    let source = Box::new(SdkError::<Infallible>::DispatchFailure(failure));
                    DlqError::Unreachable { endpoint: endpoint.to_owned(), source }
                }
                (_, error) => failed(format!("cannot find the queue {name}"), error),
            })?;
            Ok::<_, DlqError>(got.queue_url.unwrap_or_default())
        };
        let grants_url = url(format!("{stack}-grants.fifo")).await?;
        let grants = Letters::new(sqs.clone(), url(format!("{stack}-grants-dlq.fifo")).await?);
        let outbox = Letters::new(sqs.clone(), url(format!("{stack}-outbox-dlq")).await?);
        let names = Names::from_lookup(|variable| match variable {
            "TABLE_GRANTS" => Some(format!("{stack}-grants")),
            "QUEUE_GRANTS_URL" => Some(grants_url.clone()),
            _ => None,
        });
        let outside = Outside::of(Arc::new(SystemClock), Arc::new(SecureRng::from_system()?));
        let store = Store::new(config, names, outside);
        Ok(Self { sqs, store, grants, outbox, grants_url })
    }

    /// All dead letters that can be seen, each with its reason, and how many others there are:
    /// those that somebody else looks at, or that wait behind ten others of the same member.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn list(&self, queue: Queue) -> Result<(Vec<Explained>, u64), DlqError> {
        let letters = self.letters(queue).take().await?;
        let explained = async {
            let mut explained = Vec::new();
            for letter in &letters {
                explained.push(self.explain(queue, letter).await?);
            }
            let others = self.letters(queue).others(letters.len()).await?;
            Ok::<_, DlqError>((explained, others))
        };
        let explained = explained.await;
        self.letters(queue).put_back(&letters).await?;
        explained
    }

    /// One dead letter.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn show(&self, id: &str) -> Result<Explained, DlqError> {
        for queue in [Queue::Grants, Queue::Outbox] {
            let (letters, _) = self.list(queue).await?;
            if let Some(found) = letters.into_iter().find(|one| one.letter.id == id) {
                return Ok(found);
            }
        }
        Err(DlqError::NoSuchLetter(id.to_owned()))
    }

    /// Sends unpaid grants back to be paid: one, or all that can be seen. A grant that was given up
    /// is first allowed its tries again. Says what became of each.
    ///
    /// # Errors
    /// [`DlqError`]; what was not reached stays a dead letter.
    pub async fn redrive(&self, id: Option<&str>) -> Result<Vec<(String, Redriven)>, DlqError> {
        let letters = self.grants.take().await?;
        let is_wanted = |letter: &&Letter| id.is_none_or(|id| letter.id == id);
        let mut done = Vec::new();
        let redriven = async {
            for letter in letters.iter().filter(is_wanted) {
                done.push((letter.id.clone(), self.redrive_one(letter).await?));
            }
            Ok::<_, DlqError>(())
        };
        let redriven = redriven.await;
        let is_gone = |letter: &&Letter| {
            let outcome = done.iter().find(|(id, _)| *id == letter.id);
            !matches!(outcome, None | Some((_, Redriven::Kept(_))))
        };
        let kept: Vec<Letter> = letters.iter().filter(|l| !is_gone(l)).cloned().collect();
        self.grants.put_back(&kept).await?;
        redriven?;
        match id {
            Some(id) if done.is_empty() => Err(DlqError::NoSuchLetter(id.to_owned())),
            Some(_) | None => Ok(done),
        }
    }

    async fn redrive_one(&self, letter: &Letter) -> Result<Redriven, DlqError> {
        let Ok(wanted) = read_body(&letter.body) else {
            return Ok(Redriven::Kept("the message names no grant"));
        };
        // Read before it is revived: what cannot be read cannot be paid, and is left as it is.
        if self.read(wanted.pool, &wanted.member).await?.is_err() {
            return Ok(Redriven::Kept(UNREADABLE));
        }
        let redriven = match self.store.revive_grant(&wanted).await? {
            None => return Ok(Redriven::Kept("there is no such grant")),
            Some(GrantStatus::Success) => Redriven::PaidBefore,
            Some(_) => {
                self.sqs
                    .send_message()
                    .queue_url(&self.grants_url)
                    .message_body(&letter.body)
                    .message_group_id(wanted.member.as_str())
                    // Not the grant's id: within five minutes of its first sending the queue would
                    // swallow it. Every sending makes a letter with an id of its own, so this id
                    // lets through a grant that died again, and swallows only the same letter sent
                    // twice by a redrive that was cut off before it deleted it.
                    .message_deduplication_id(format!("redrive-{}", letter.id))
                    .send()
                    .await
                    .map_err(|error| failed("cannot send a grant to be paid", error))?;
                Redriven::Sent
            }
        };
        self.grants.delete(letter).await?;
        Ok(redriven)
    }

    async fn explain(&self, queue: Queue, letter: &Letter) -> Result<Explained, DlqError> {
        let letter = letter.clone();
        if queue == Queue::Outbox {
            return self.explain_outbox(letter).await;
        }
        let Ok(wanted) = read_body(&letter.body) else {
            let why = "the message names no grant".to_owned();
            return Ok(Explained { letter, grant: None, why });
        };
        let Ok(grant) = self.read(wanted.pool, &wanted.member).await? else {
            return Ok(Explained { letter, grant: None, why: UNREADABLE.to_owned() });
        };
        let grant = grant.filter(|grant| grant.id == wanted.id);
        let why = text::of_grant(grant.as_ref());
        Ok(Explained { letter, grant, why })
    }

    /// What the member drew from the pool, if anything. The inner error: it is there and cannot be
    /// read, which concerns its own letter and no other.
    async fn read(
        &self,
        pool: PoolId,
        member: &UserId,
    ) -> Result<Result<Option<Grant>, Unreadable>, DlqError> {
        match self.store.grant(pool, member).await {
            Ok(grant) => Ok(Ok(grant)),
            Err(error) if error.kind == PortErrorKind::Corrupt => Ok(Err(Unreadable)),
            Err(error) => Err(error.into()),
        }
    }

    const fn letters(&self, queue: Queue) -> &Letters {
        match queue {
            Queue::Grants => &self.grants,
            Queue::Outbox => &self.outbox,
        }
    }
}

fn failed<E, R>(what: impl Into<String>, error: SdkError<E, R>) -> DlqError
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    DlqError::Sqs { what: what.into(), source: Box::new(error) }
}
