//! What an operator does with grants that were given up: try them again, or void them.

use futures::future::join_all;
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};

use crate::ports::{
    GrantMessage, GrantQueue, Grants, Ids, PortError, PortErrorKind, PortResult, SEND_BATCH_MAX,
    Void, Voids, Written,
};

/// What became of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It is sent to be paid, with all its retries before it again.
    Sent,
    /// It was voided: it is never paid.
    Voided,
}

/// A grant that an operator sends again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpaid {
    /// The grant.
    pub grant: Grant,
    /// Its item; `None` when it was never refused, and its message was received too often.
    pub failed: Option<FailedGrant>,
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
    let unpaid = Unpaid { grant: failed.grant.clone(), failed: Some(failed.clone()) };
    let outcome = retry_each(deps, &[unpaid]).await.pop();
    outcome.unwrap_or_else(|| Err(not_taken()))
}

/// Sends grants to be paid again, as [`retry`] does each, [`SEND_BATCH_MAX`] in one call; the
/// outcomes stand in their order. It works on all of them at once: a caller passes some at a time.
pub async fn retry_each<D>(deps: &D, grants: &[Unpaid]) -> Vec<PortResult<Retried>>
where
    D: Grants + GrantQueue + Ids,
{
    let resets = grants.iter().map(|unpaid| reset(deps, unpaid.failed.as_ref()));
    let mut outcomes = join_all(resets).await;
    let is_open = |(at, outcome): (usize, &PortResult<Retried>)| {
        matches!(outcome, Ok(Retried::Sent)).then_some(at)
    };
    let open: Vec<usize> = outcomes.iter().enumerate().filter_map(is_open).collect();
    for some in open.chunks(SEND_BATCH_MAX) {
        let message = |unpaid: &Unpaid| GrantMessage {
            grant: unpaid.grant.clone(),
            retry: Some(deps.ulid()),
            trace: None,
        };
        let messages: Vec<GrantMessage> =
            some.iter().filter_map(|at| grants.get(*at)).map(message).collect();
        let sent = deps.send(&messages).await;
        for (position, at) in some.iter().enumerate() {
            let failure = match &sent {
                Ok(refused) => refused.contains(&position).then(not_taken),
                Err(error) => Some(error.clone()),
            };
            if let (Some(failure), Some(outcome)) = (failure, outcomes.get_mut(*at)) {
                *outcome = Err(failure);
            }
        }
    }
    outcomes
}

/// Begins to count anew; [`Retried::Sent`] when the grant is to be sent.
async fn reset<D: Grants>(deps: &D, failed: Option<&FailedGrant>) -> PortResult<Retried> {
    let Some(failed) = failed else { return Ok(Retried::Sent) };
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
    Ok(Retried::Sent)
}

fn not_taken() -> PortError {
    let operation = "retry grant: the queue did not take it";
    PortError { operation, kind: PortErrorKind::Throttled, cause: None }
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
