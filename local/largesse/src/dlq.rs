//! `largesse dlq`: what was not paid or not sent, why, and what an operator does about it.
//!
//! Four places are read: the dead-letter queue of grants, the dead-letter queue of the outbox, the
//! table of grants that the money service refused, and the sprays, drops and products that owe to a
//! wallet that is too full. A grant that was given up has an item in the table, and a message in the
//! queue for 14 days.
//!
//! # Guarantees
//! * A message is deleted only after its grant was sent again, or when its grant is paid or voided.
//!   A run that is killed in between sends it again, and it is paid once:
//!   `a_message_that_is_there_twice_is_paid_once`.
//! * A retry is paid also within five minutes of the first send:
//!   `a_grant_that_was_given_up_is_explained_retried_and_paid_once`.
//! * One run works through any number of messages, with bounded memory:
//!   `one_run_retries_five_thousand_messages_past_those_that_cannot_be_read`.
//! * A message that cannot be read stays as it is and holds up no other:
//!   `unreadable_and_newer_messages_are_shown_and_put_back`.
//! * A grant that was given up is found without its message:
//!   `a_grant_without_a_message_is_listed_retried_and_voided_by_its_key`.
//! * An entry that no draw can have written is never paid:
//!   `an_entry_that_cannot_be_is_explained_and_never_paid`.
//! * A wallet at its maximum: its claim and its refund are shown, and one run settles both:
//!   `a_full_wallet_is_shown_with_its_claim_and_its_refund_and_settled_by_one_command`.
//! * So are the remainder of a drop and what a product owes:
//!   `a_drop_and_a_product_that_owe_to_full_wallets_are_shown_and_settled_by_one_command`.

pub mod command;

mod drop;
mod find;
mod json;
mod list;
mod queue;
mod refunds;
mod report;
mod retry;
mod text;
mod void;

use std::sync::Arc;

use aws_sdk_sqs::error::{ConnectorError, SdkError};
use aws_types::SdkConfig;
use clap::ValueEnum;
use largesse_app::ports::PortError;
use largesse_app::settings::{SettingError, Variables};
use largesse_aws::production::{self, SecureRng, SetupError, SystemClock};
use largesse_aws::{Environment, Names, Store};
use largesse_domain::id::{GrantId, PoolId};
use largesse_emulator::REGION;

pub use drop::{DropReport, Dropped};
pub use find::{Found, Wanted};
pub use list::{GrantsView, OutboxKind, OutboxRow, OutboxView, Row, TableView};
pub use queue::DeadMessage;
use queue::DeadQueue;
pub use refunds::{Refund, RefundsView, Tried};
pub use report::RetryReport;
pub use retry::Retry;
pub use void::Voided;

/// Which dead-letter queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Queue {
    /// Grants that were not paid.
    Grants,
    /// Entries that the outbox could not read, and stream positions that its mapping gave up on.
    Outbox,
}

/// Why the tool cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DlqError {
    /// The environment names no credentials or no region.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// A table or a queue could not be read or written.
    #[error(transparent)]
    Port(#[from] PortError),
    /// Nothing answers at the endpoint.
    #[error(
        "cannot reach {endpoint}; start `largesse up`, name another address by --endpoint, or use \
         AWS itself by --aws"
    )]
    Unreachable {
        /// The endpoint.
        endpoint: String,
        /// The error of the connection.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A dead-letter queue could not be read or written.
    #[error("{what}")]
    Sqs {
        /// What was tried.
        what: String,
        /// The error of the service or the connection.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No grant that was refused has this id, and no message that is visible.
    #[error(
        "found no failed grant {0}: it is paid, it was never refused, or the id is wrong; \
         `largesse dlq show SOURCE MEMBER` tells. A message that another run has received is visible \
         again after 15 minutes at the latest"
    )]
    NoFailedGrant(GrantId),
    /// The key names neither a message nor a grant.
    #[error(
        "found no {0}; a message that another run has received is visible again after 15 minutes at \
         the latest"
    )]
    NotFound(String),
    /// There is no such spray, drop or product.
    #[error("found no {0}")]
    NoSuchSource(PoolId),
    /// The key is no message id, no grant id, and no source with a member.
    #[error("{0} is no message id, no grant id, and no source and member")]
    BadKey(String),
    /// The key is a refund.
    #[error(
        "{0} is a refund, which cannot be voided: `largesse dlq retry {0}` tries it again; to void a \
         grant, name its member, too"
    )]
    RefundNotVoided(PoolId),
    /// The key of what is to be dropped is no message id.
    #[error(
        "{0} is no message id: drop takes the id of a message, as `largesse dlq list` prints it; \
         retry or void a grant"
    )]
    NotAMessage(String),
}

impl DlqError {
    /// Whether the command line was wrong, and nothing was tried.
    #[must_use]
    pub const fn is_wrong_use(&self) -> bool {
        matches!(self, Self::BadKey(_) | Self::RefundNotVoided(_) | Self::NotAMessage(_))
    }

    fn not_found(wanted: &Wanted) -> Self {
        match wanted {
            Wanted::Grant(id) => Self::NoFailedGrant(*id),
            Wanted::Entry(..) | Wanted::Message(_) => Self::NotFound(wanted.to_string()),
        }
    }

    /// The same error; with the endpoint, if it could not be reached or was lost.
    #[must_use]
    pub fn at(self, endpoint: &str) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&self);
        while let Some(error) = cause {
            if error.is::<ConnectorError>() {
                let endpoint = endpoint.to_owned();
                return Self::Unreachable { endpoint, source: Box::new(self) };
            }
            cause = error.source();
        }
        self
    }

    fn unsendable(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Sqs { what: "cannot make a request to SQS".to_owned(), source: Box::new(error) }
    }
}

/// The dead letters of one deployment.
pub struct Dlq {
    store: Store,
    grants: DeadQueue,
    outbox: DeadQueue,
}

/// The SDK's configuration: an endpoint that serves the emulator, or AWS itself.
///
/// # Errors
/// [`SettingError`] when the environment lacks something.
pub fn config(endpoint: Option<&str>) -> Result<SdkConfig, SettingError> {
    match endpoint {
        Some(endpoint) => Ok(production::emulator_config(endpoint, REGION)),
        None => production::sdk_config(&Variables::of_process()),
    }
}

impl Dlq {
    /// Looks up the queues of a deployment, by the names that template.yaml gives them.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn open(config: &SdkConfig, stack: &str) -> Result<Self, DlqError> {
        Self::open_at(config, stack, Environment::of(Arc::new(SystemClock), rng()?)).await
    }

    /// As [`Dlq::open`], with another clock and other randomness.
    ///
    /// # Errors
    /// [`DlqError`].
    pub async fn open_at(
        config: &SdkConfig,
        stack: &str,
        environment: Environment,
    ) -> Result<Self, DlqError> {
        let sqs = aws_sdk_sqs::Client::new(config);
        let url = async |name: String| {
            let got = sqs.get_queue_url().queue_name(&name).send().await;
            let got =
                got.map_err(|error| failed(format!("cannot find the queue {name}"), error))?;
            Ok::<_, DlqError>(got.queue_url.unwrap_or_default())
        };
        let grants_url = url(format!("{stack}-grants.fifo")).await?;
        let grants = DeadQueue::new(sqs.clone(), url(format!("{stack}-grants-dlq.fifo")).await?);
        let outbox = DeadQueue::new(sqs.clone(), url(format!("{stack}-outbox-dlq")).await?);
        let names = Names {
            grants: format!("{stack}-grants"),
            ledger: format!("{stack}-ledger"),
            pools: format!("{stack}-pools"),
            sprays: format!("{stack}-sprays"),
            drops: format!("{stack}-drops"),
            products: format!("{stack}-products"),
            tokens: format!("{stack}-tokens"),
            queue_grants_url: grants_url,
            ..Names::default()
        };
        Ok(Self { store: Store::new(config, names, environment), grants, outbox })
    }
}

pub(crate) fn rng() -> Result<Arc<SecureRng>, DlqError> {
    Ok(Arc::new(SecureRng::from_system()?))
}

fn failed<E, R>(what: impl Into<String>, error: SdkError<E, R>) -> DlqError
where
    E: std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    DlqError::Sqs { what: what.into(), source: Box::new(error) }
}
