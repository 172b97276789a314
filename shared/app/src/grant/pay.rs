//! A grant is paid: money moves, once.
//!
//! The payment carries the grant's own permanent id, so whatever is redelivered or retried, the
//! ledger moves the money once. A crash between payment and note leaves a grant that looks unpaid;
//! its redelivery finds the transfer and notes it.

use largesse_domain::grant::{Grant, GrantStatus, RetryPolicy};
use largesse_domain::ledger::{PostRefused, TransferKind, TransferOrder};

use crate::ports::{
    Event, Events, GrantRef, Grants, PayOutcome, PortError, PortErrorKind, Wallets,
};

/// What became of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// Paid by this call.
    Now,
    /// Paid before.
    Before,
}

/// Why a message was not paid, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    /// The message names a grant that does not exist: nobody can pay it.
    #[error("there is no such grant")]
    NoSuchGrant,
    /// It was given up before.
    #[error("the grant was given up after {attempts} failures")]
    GivenUp {
        /// How many payments failed.
        attempts: u32,
    },
    /// It failed and will be tried again.
    #[error("the payment failed {attempts} times and is retried: {failure}")]
    Retry {
        /// How many payments have failed.
        attempts: u32,
        /// Why the last one did.
        failure: String,
    },
    /// A port failed before or while the outcome was noted.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Pays one grant.
///
/// An outcome that is not known is not a failure (docs/guarantees.md, G5): it is not counted, and
/// the message comes again under the same id, which finds out.
///
/// # Errors
/// [`PayError`], the first in its order.
pub async fn pay<D>(deps: &D, wanted: &GrantRef, policy: RetryPolicy) -> Result<Paid, PayError>
where
    D: Grants + Wallets + Events,
{
    let grant = deps.grant(wanted.pool, &wanted.member).await?;
    let grant = grant.filter(|g| g.id == wanted.id).ok_or(PayError::NoSuchGrant)?;
    match grant.status {
        GrantStatus::Success => return Ok(Paid::Before),
        GrantStatus::PermanentlyFailed => {
            return Err(PayError::GivenUp { attempts: grant.attempts });
        }
        GrantStatus::Pending | GrantStatus::Processing | GrantStatus::Failed => {}
    }
    if policy.after_failure(grant.attempts) == GrantStatus::PermanentlyFailed {
        // Its last failure was counted, and whoever counted it was killed before saying so.
        return give_up(deps, &grant).await;
    }
    let failure = match deps.post(order_of(&grant)).await {
        Ok(Ok(_once)) => {
            deps.note_outcome(&grant, &PayOutcome::Paid).await?;
            return Ok(Paid::Now);
        }
        Ok(Err(refused)) => describe(refused),
        Err(error) if error.kind == PortErrorKind::Unknown => return Err(error.into()),
        Err(error) => error.to_string(),
    };
    give_back(deps, grant, failure, policy).await
}

/// Notes a failed payment and says whether it is tried again.
async fn give_back<D: Grants + Wallets + Events>(
    deps: &D,
    mut grant: Grant,
    failure: String,
    policy: RetryPolicy,
) -> Result<Paid, PayError> {
    let attempts = grant.attempts.saturating_add(1);
    let status = GrantStatus::Failed;
    let outcome = PayOutcome::NotPaid { attempts, status, failure: failure.clone() };
    match deps.note_outcome(&grant, &outcome).await? {
        // Another worker paid it meanwhile, or gave it up.
        GrantStatus::Success => return Ok(Paid::Before),
        GrantStatus::PermanentlyFailed => return Err(PayError::GivenUp { attempts }),
        GrantStatus::Pending | GrantStatus::Processing | GrantStatus::Failed => {}
    }
    if policy.after_failure(attempts) == GrantStatus::PermanentlyFailed {
        (grant.attempts, grant.failure) = (attempts, Some(failure));
        return give_up(deps, &grant).await;
    }
    Err(PayError::Retry { attempts, failure })
}

/// Tells the others, and then notes that they were told: killed in between, they are told again.
///
/// A try that was said to fail may have paid all the same: its answer was lost, and the answers to
/// the SDK's own repeats said "not now". So the ledger has the last word (docs/guarantees.md, G5).
async fn give_up<D: Grants + Wallets + Events>(deps: &D, grant: &Grant) -> Result<Paid, PayError> {
    if deps.transfer(&grant.member, grant.id.transfer()).await?.is_some() {
        deps.note_outcome(grant, &PayOutcome::Paid).await?;
        return Ok(Paid::Before);
    }
    let attempts = grant.attempts;
    let failure = grant.failure.clone().unwrap_or_default();
    let event =
        Event::GrantPermanentlyFailed { grant: grant.clone(), attempts, failure: failure.clone() };
    deps.publish(&event).await?;
    let status = GrantStatus::PermanentlyFailed;
    match deps.note_outcome(grant, &PayOutcome::NotPaid { attempts, status, failure }).await? {
        GrantStatus::Success => Ok(Paid::Before),
        GrantStatus::Pending
        | GrantStatus::Processing
        | GrantStatus::Failed
        | GrantStatus::PermanentlyFailed => Err(PayError::GivenUp { attempts }),
    }
}

fn order_of(grant: &Grant) -> TransferOrder {
    TransferOrder {
        id: grant.id.transfer(),
        wallet: grant.member.clone(),
        kind: TransferKind::Claim,
        amount: grant.amount,
        at: grant.decided_at(),
        pool: Some(grant.pool),
        counterpart: Some(grant.counterpart.clone()),
        memo: None,
    }
}

fn describe(refused: PostRefused) -> String {
    match refused {
        PostRefused::Insufficient { .. } => "the escrow is empty".to_owned(),
        PostRefused::TooFull => "the wallet cannot hold that much".to_owned(),
    }
}
