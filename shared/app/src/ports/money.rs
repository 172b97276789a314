//! The money service: where grants are paid. The ledger is its first adapter, an HTTP API the second.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use largesse_domain::grant::{FailedGrant, Grant};
use largesse_domain::ledger::Posted;

use super::{PortError, PortResult};

/// Why the money service refuses a payment. It is the only failure that counts as an attempt.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The member's wallet would hold more than a wallet may.
    #[error("the wallet cannot hold that much")]
    WalletFull,
    /// The service gave a code of its own.
    #[error("the money service refused: {0}")]
    Service(RefusalCode),
}

/// The longest refusal code, in characters: it is stored with the failed grant and read in a table.
pub const REFUSAL_CODE_LEN_MAX: usize = 32;

/// A money service's own word for a refusal: 1 to 32 of `[a-z0-9_]`, for instance `account_closed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalCode(String);

/// A text is no refusal code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a refusal code is 1 to 32 characters of [a-z0-9_]")]
pub struct NoRefusalCode;

impl FromStr for RefusalCode {
    type Err = NoRefusalCode;

    fn from_str(text: &str) -> Result<Self, NoRefusalCode> {
        let length_fits = (1..=REFUSAL_CODE_LEN_MAX).contains(&text.len());
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if length_fits && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoRefusalCode)
        }
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of a payment.
#[derive(Clone, Debug)]
pub enum Payment {
    /// The money moved, by this call.
    Paid,
    /// The money moved before, under the same id.
    AlreadyPaid,
    /// An operator voided the grant: it is never paid.
    Voided,
    /// The service said no. No money moved.
    Refused(Refusal),
    /// The service does not work, or not now. No money moved.
    NotNow {
        /// When to try again, where the service says so.
        retry_after_ms: Option<u64>,
        /// What went wrong.
        cause: PortError,
    },
    /// The service has accepted it and decides later. The same call under the same id finds out.
    Pending,
    /// No answer: the money may have moved. The same call under the same id finds out.
    Unknown(PortError),
}

impl Payment {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::AlreadyPaid => "already_paid",
            Self::Voided => "voided",
            Self::Refused(_) => "refused",
            Self::NotNow { .. } => "not_now",
            Self::Pending => "pending",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Where a grant stands with the money service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is paid.
    Paid,
    /// It is voided.
    Voided,
    /// Neither.
    NotPaid,
    /// The service has accepted it and not decided yet, or its record is not the grant's: the money
    /// may have moved. The grant may be sent again under the same id; it is never voided.
    Unknown,
}

/// What became of taking a payment back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reversal {
    /// The money moved back, by this call.
    Reversed,
    /// It moved back before.
    AlreadyReversed,
    /// The grant was never paid: there is nothing to take back.
    NotPaid,
    /// The member has spent it. Nothing moved.
    Shortfall {
        /// How much is missing, in minor units.
        amount: u64,
    },
}

/// The money service. Every call is idempotent under the grant's permanent id.
pub trait Money: Send + Sync {
    /// Whether a grant that may have been sent before is looked up before it is sent again. So it is
    /// with a service that is not our own: a payment whose outcome it still decides is left to it.
    fn must_look_up(&self) -> bool {
        false
    }

    /// Pays grants; the outcomes stand in the order of the grants. One call may pay all of them
    /// together, but each is paid or not paid by itself.
    fn pay(&self, grants: &[Grant]) -> impl Future<Output = Vec<Payment>> + Send;

    /// Where grants stand, in their order. Strongly consistent.
    fn lookup(&self, grants: &[Grant]) -> impl Future<Output = PortResult<Vec<Standing>>> + Send;

    /// Takes a payment back from the member into the grant's source, whole or not at all.
    fn reverse(&self, grant: &Grant) -> impl Future<Output = PortResult<Reversal>> + Send;
}

/// What became of voiding a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Void {
    /// The amount is back with its funder, by this call.
    Voided,
    /// It was voided before.
    AlreadyVoided,
    /// It is paid, so it cannot be voided.
    Paid,
    /// It was not given up, so it may still be paid.
    NotGivenUp,
    /// The funder's wallet would hold more than a wallet may. Nothing has changed.
    FunderFull,
}

impl From<Posted> for Void {
    /// What a void comes to when something lies under the payment's id already.
    fn from(posted: Posted) -> Self {
        match posted {
            Posted::Voided => Self::AlreadyVoided,
            Posted::Transfer(_) => Self::Paid,
        }
    }
}

/// An operator's way to end a grant that cannot be paid.
pub trait Voids: Send + Sync {
    /// Returns the amount to the funder and bars the payment for ever, in one transaction. Only a
    /// grant that was given up is voided.
    fn void(&self, given_up: &FailedGrant) -> impl Future<Output = PortResult<Void>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_code_is_one_to_32_of_its_letters() {
        let longest = "a".repeat(REFUSAL_CODE_LEN_MAX);
        for code in ["account_closed", "e42", &longest] {
            let read: RefusalCode = code.parse().unwrap();
            assert_eq!(read.to_string(), code);
        }
        for text in ["", "Closed", "a b", "a-b", "é", &format!("{longest}a")] {
            assert_eq!(text.parse::<RefusalCode>(), Err(NoRefusalCode), "{text}");
        }
    }
}
