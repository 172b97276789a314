//! What an answer means. docs/money.md has the same table in words.

use largesse_app::ports::{
    Payment, PortErrorKind, PortResult, Refusal, RefusalCode, Reversal, Standing,
};
use largesse_domain::grant::Grant;
use largesse_domain::time::Timestamp;
use serde::de::DeserializeOwned;

use crate::error::MoneyError;
use crate::wait::retry_after_ms;
use crate::wire::{Problem, Status, Transfer};

const PAY: &str = "pay over HTTP";
const LOOK_UP: &str = "look up over HTTP";
const REVERSE: &str = "reverse over HTTP";

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<String>,
    /// Why it could not be read, if so.
    pub(crate) body: Result<Vec<u8>, MoneyError>,
}

/// What a call comes to.
pub(crate) enum Read<T> {
    /// It is known.
    Known(T),
    /// It may have had its effect: look it up.
    Doubt(Doubt),
}

/// Why a call is in doubt.
pub(crate) struct Doubt {
    pub(crate) cause: MoneyError,
    /// When the service wants to be asked again, if it says so.
    pub(crate) retry_after_ms: Option<u64>,
}

impl From<MoneyError> for Doubt {
    fn from(cause: MoneyError) -> Self {
        Self { cause, retry_after_ms: None }
    }
}

impl Answer {
    fn json<T: DeserializeOwned>(&mut self) -> Result<T, MoneyError> {
        let body = std::mem::replace(&mut self.body, Ok(Vec::new()))?;
        // The reader's error may repeat the body, so it goes no further.
        serde_json::from_slice(&body).map_err(|_| MoneyError::Unreadable(self.status))
    }

    /// The transfer, if it is the grant's.
    fn transfer(&mut self, grant: &Grant) -> Result<Transfer, MoneyError> {
        let transfer: Transfer = self.json()?;
        if transfer.is_of(grant) {
            return Ok(transfer);
        }
        let id = grant.id.to_string();
        tracing::error!(
            grant.id = id,
            http.status = self.status,
            money.mismatch = "answer",
            "the money service answered about another amount, member or id: an operator must look"
        );
        Err(MoneyError::Mismatch)
    }

    fn has_code(&mut self, code: &str) -> bool {
        self.json::<Problem>().is_ok_and(|problem| problem.code == code)
    }

    /// The wait that the service asks for.
    fn retry_after_ms(&self, now: Timestamp) -> Option<u64> {
        retry_after_ms(self.retry_after.as_deref()?, now)
    }

    fn doubt(&self, now: Timestamp) -> Doubt {
        let retry_after_ms = self.retry_after_ms(now);
        Doubt { cause: MoneyError::Status(self.status), retry_after_ms }
    }

    /// The answer to a payment.
    pub(crate) fn payment(mut self, grant: &Grant, now: Timestamp) -> Read<Payment> {
        let not_now = |cause: MoneyError, kind, retry_after_ms| {
            Read::Known(Payment::NotNow { retry_after_ms, cause: cause.port(PAY, kind) })
        };
        let status = self.status;
        match status {
            200 | 201 => match self.transfer(grant).map(|transfer| transfer.status) {
                Ok(Status::Paid) if status == 201 => Read::Known(Payment::Paid),
                Ok(Status::Paid | Status::Reversed) => Read::Known(Payment::AlreadyPaid),
                Ok(Status::Pending | Status::Refused) => {
                    Read::Doubt(MoneyError::Unreadable(status).into())
                }
                Err(cause) => Read::Doubt(cause.into()),
            },
            // The service knows no more than that, so it is not looked up at once.
            202 => Read::Known(Payment::Pending),
            409 => {
                let id = grant.id.to_string();
                tracing::error!(
                    grant.id = id,
                    money.mismatch = "content",
                    "the money service has other content under this id: an operator must look"
                );
                not_now(MoneyError::OtherContent, PortErrorKind::Corrupt, None)
            }
            422 => match self.json::<Problem>().map(|problem| problem.code.parse()) {
                Ok(Ok(code)) => Read::Known(refused(code)),
                Ok(Err(_)) => Read::Doubt(MoneyError::Unreadable(status).into()),
                Err(cause) => Read::Doubt(cause.into()),
            },
            429 => {
                let retry_after_ms = self.retry_after_ms(now);
                not_now(MoneyError::Status(status), PortErrorKind::Throttled, retry_after_ms)
            }
            // The service did not take the request: denied, or a defect of ours.
            400..=407 | 410..=499 => {
                not_now(MoneyError::Status(status), PortErrorKind::Rejected, None)
            }
            _ => Read::Doubt(self.doubt(now)),
        }
    }

    /// What a payment in doubt comes to by this answer to its look-up.
    pub(crate) fn resolved(mut self, grant: &Grant, doubt: Doubt) -> Payment {
        let (Doubt { cause, retry_after_ms }, status) = (doubt, self.status);
        let unknown = |cause: MoneyError| Payment::Unknown(cause.port(PAY, PortErrorKind::Unknown));
        let not_now = |cause: MoneyError| Payment::NotNow {
            retry_after_ms,
            cause: cause.port(PAY, PortErrorKind::Throttled),
        };
        match status {
            200 => match self.transfer(grant).map(|transfer| transfer.status) {
                // By this call or by one before it: nobody can say.
                Ok(Status::Paid | Status::Reversed) => Payment::AlreadyPaid,
                Ok(Status::Pending) => Payment::Pending,
                // Of this attempt, or of an earlier one that is counted. The next attempt is
                // answered, and that answer counts (G13).
                Ok(Status::Refused) => not_now(MoneyError::RefusedBefore),
                Err(_) => unknown(cause),
            },
            404 if self.has_code("not_found") => not_now(cause),
            _ => unknown(cause),
        }
    }

    /// The answer to a look-up.
    pub(crate) fn standing(mut self, grant: &Grant) -> PortResult<Standing> {
        let status = self.status;
        match status {
            200 => match self.transfer(grant) {
                Ok(transfer) => Ok(match transfer.status {
                    // A payment that was taken back is never paid again.
                    Status::Paid | Status::Reversed => Standing::Paid,
                    Status::Pending => Standing::Unknown,
                    Status::Refused => Standing::NotPaid,
                }),
                Err(MoneyError::Mismatch) => Ok(Standing::Unknown),
                Err(cause) => Err(cause.port(LOOK_UP, PortErrorKind::Unknown)),
            },
            404 if self.has_code("not_found") => Ok(Standing::NotPaid),
            _ => Err(MoneyError::Status(status).port(LOOK_UP, kind_of(status))),
        }
    }

    /// The answer to a reversal.
    pub(crate) fn reversal(mut self, grant: &Grant, now: Timestamp) -> Read<PortResult<Reversal>> {
        let status = self.status;
        let fail = |cause: MoneyError, kind| Read::Known(Err(cause.port(REVERSE, kind)));
        match status {
            200 | 201 => match self.transfer(grant).map(|transfer| transfer.status) {
                Ok(Status::Reversed) if status == 201 => Read::Known(Ok(Reversal::Reversed)),
                Ok(Status::Reversed) => Read::Known(Ok(Reversal::AlreadyReversed)),
                Ok(_) => Read::Doubt(MoneyError::Unreadable(status).into()),
                Err(cause) => Read::Doubt(cause.into()),
            },
            404 if self.has_code("never_paid") => Read::Known(Ok(Reversal::NotPaid)),
            409 => match self.json::<Problem>() {
                Ok(Problem { code, missing: Some(amount) }) if code == "shortfall" => {
                    Read::Known(Ok(Reversal::Shortfall { amount }))
                }
                Ok(problem) if problem.code == "pending" => {
                    fail(MoneyError::Pending, PortErrorKind::Contended)
                }
                Ok(_) => fail(MoneyError::Unreadable(status), PortErrorKind::Corrupt),
                Err(cause) => Read::Doubt(cause.into()),
            },
            400..=407 | 410..=499 => fail(MoneyError::Status(status), kind_of(status)),
            _ => Read::Doubt(self.doubt(now)),
        }
    }

    /// What a reversal in doubt comes to by this answer to its look-up.
    pub(crate) fn reversal_resolved(mut self, grant: &Grant, doubt: Doubt) -> PortResult<Reversal> {
        let unknown = |cause: MoneyError| Err(cause.port(REVERSE, PortErrorKind::Unknown));
        let (cause, status) = (doubt.cause, self.status);
        match status {
            200 => match self.transfer(grant).map(|transfer| transfer.status) {
                Ok(Status::Reversed) => Ok(Reversal::AlreadyReversed),
                // It did not happen. It is safe to try again.
                Ok(Status::Paid) => Err(cause.port(REVERSE, PortErrorKind::Throttled)),
                Ok(Status::Refused) => Ok(Reversal::NotPaid),
                Ok(Status::Pending) | Err(_) => unknown(cause),
            },
            404 if self.has_code("not_found") => Ok(Reversal::NotPaid),
            _ => unknown(cause),
        }
    }
}

fn refused(code: RefusalCode) -> Payment {
    Payment::Refused(Refusal::Service(code))
}

/// The kind of a failed call that moves nothing.
const fn kind_of(status: u16) -> PortErrorKind {
    match status {
        429 => PortErrorKind::Throttled,
        408 | 500..=599 => PortErrorKind::Unknown,
        _ => PortErrorKind::Rejected,
    }
}

#[cfg(test)]
mod tests;
