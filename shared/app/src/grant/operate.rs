//! What an operator does with grants that were given up: try them again, or void them.

use largesse_domain::grant::{FailedGrant, GrantStatus};

use crate::ports::{
    GrantMessage, GrantQueue, Grants, Ids, PortError, PortErrorKind, PortResult, Void, Voids,
    Written,
};

/// What became of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is sent to be paid, with all its retries before it again.
    Sent,
    /// It was voided: it is never paid.
    Voided,
}

/// Sends a failed grant to be paid again. Repeating it is harmless: the payment's id is the
/// grant's, so the money moves once.
///
/// # Errors
/// [`PortError`].
pub async fn retry<D>(deps: &D, failed: &FailedGrant) -> PortResult<Retried>
where
    D: Grants + GrantQueue + Ids,
{
    match failed.status {
        GrantStatus::Voided => return Ok(Retried::Voided),
        // It is still retried by itself; its count stays.
        GrantStatus::Failed | GrantStatus::Pending | GrantStatus::Success => {}
        GrantStatus::PermanentlyFailed => {
            let again = FailedGrant { status: GrantStatus::Failed, attempts: 0, ..failed.clone() };
            if deps.put_failed(&again, failed.attempts).await? == Written::Changed {
                return Err(PortError::contended("retry grant: it has changed, read it again"));
            }
        }
    }
    let message = GrantMessage { grant: failed.grant.clone(), retry: Some(deps.ulid()) };
    if deps.send(&[message]).await?.is_empty() {
        Ok(Retried::Sent)
    } else {
        let (operation, kind) =
            ("retry grant: the queue did not take it", PortErrorKind::Throttled);
        Err(PortError { operation, kind, cause: None })
    }
}

/// Returns the amount of a grant that was given up to its funder, and bars its payment for ever.
///
/// # Errors
/// [`PortError`].
pub async fn void<D: Voids>(deps: &D, failed: &FailedGrant) -> PortResult<Void> {
    match failed.status {
        GrantStatus::Voided => Ok(Void::AlreadyVoided),
        GrantStatus::PermanentlyFailed => deps.void(failed).await,
        GrantStatus::Failed | GrantStatus::Pending | GrantStatus::Success => Ok(Void::NotGivenUp),
    }
}
