//! What goes wrong. No text holds a body, a member or a secret.

use std::sync::Arc;

use largesse_app::ports::{PortError, PortErrorKind};

/// Why the adapter could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The URL is none that the adapter may call.
    #[error(
        "the money service's URL is https, or http to this machine, without user, query and fragment"
    )]
    Base,
    /// The secret cannot stand in a header.
    #[error("the money service's secret is visible ASCII")]
    Secret,
    /// This machine trusts no certificate authority.
    #[error("no root certificate was found on this machine")]
    NoRoots,
    /// The TLS settings do not fit each other.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP client could not be made.
    #[error("the HTTP client could not be made")]
    Client(#[source] reqwest::Error),
}

/// What went wrong with a call.
#[derive(Debug, thiserror::Error)]
pub enum MoneyError {
    /// The invocation ends before a call could.
    #[error("no time is left for a call")]
    NoTime,
    /// The call waited for others, or for its connection, until its permit was over.
    #[error("the permit is over")]
    Late,
    /// No connection: no byte of the request was sent.
    #[error("not connected")]
    NotConnected(#[source] reqwest::Error),
    /// The request may have been received, and its answer did not arrive in whole.
    #[error("no answer")]
    NoAnswer(#[source] reqwest::Error),
    /// The answer is larger than [`crate::ANSWER_LEN_MAX`].
    #[error("the answer is too large")]
    TooLarge,
    /// The answer is not what the contract says.
    #[error("the answer to it, {0}, cannot be read")]
    Unreadable(u16),
    /// The answer is about another transfer, amount or member.
    #[error("the answer is not about what was asked for")]
    Mismatch,
    /// The service has accepted the transfer and not decided it.
    #[error("accepted, and not decided yet")]
    Pending,
    /// The service refused the transfer, at this attempt or an earlier one.
    #[error("refused, perhaps at an earlier attempt")]
    RefusedBefore,
    /// The id stands for other content.
    #[error("the id stands for a transfer with other content")]
    OtherContent,
    /// A status that says that nothing was done, or nothing at all.
    #[error("answered {0}")]
    Status(u16),
}

impl MoneyError {
    /// The port's error for a call that was not sent.
    pub(crate) fn not_sent(self, operation: &'static str) -> PortError {
        let kind = match self {
            Self::Late => PortErrorKind::Contended,
            _ => PortErrorKind::Throttled,
        };
        self.port(operation, kind)
    }

    /// The port's error.
    pub(crate) fn port(self, operation: &'static str, kind: PortErrorKind) -> PortError {
        PortError { operation, kind, cause: Some(Arc::new(self)) }
    }
}
