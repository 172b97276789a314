//! An action on a campaign: read, decided by the rules of its life, written in one transaction.
//!
//! The write holds only if nothing changed since the read; else the action is decided anew. An
//! action that finds the campaign as it wants it is a repeat and writes nothing.
//!
//! An action that ends or queues a campaign also runs the next one ([`super::next`]). That step may
//! fail without the action: the schedule of campaign-start makes up for it.

use largesse_domain::campaign::{
    Actor, AgendaFull, Campaign, Hash, Refused, Seal, Sealed, Taken, Tally,
};
use largesse_domain::id::{CampaignId, UserId};
use largesse_domain::ledger::Memo;

use super::attempt::{Seen, TRIES_MAX, attempt, pause, shards};
use super::{ActPorts, Request, next};
use crate::ports::PortError;

/// What an action did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acted {
    /// The campaign after it. The next campaign runs after that: it may be this one.
    pub campaign: Campaign,
    /// Whether it was a repeat.
    pub taken: Taken,
}

/// Why an action is not taken, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// There is no such campaign.
    #[error("there is no such campaign")]
    NotFound,
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too many campaigns are under way.
    #[error(transparent)]
    AgendaFull(#[from] AgendaFull),
    /// Others changed the campaign or the agenda each time. Nothing happened.
    #[error("others change the campaign or the agenda")]
    Busy,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Takes an action.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn act<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    by: Actor,
    request: &Request,
) -> Result<Acted, ActError> {
    for tried in 0..TRIES_MAX {
        pause(deps, tried).await;
        let campaign = deps.campaign(id).await?.ok_or(ActError::NotFound)?;
        let agenda = if request.places() { Some(deps.agenda().await?) } else { None };
        let seen = Seen { campaign, agenda, shards: shards(deps, id, request).await? };
        if let Some(acted) = attempt(deps, &seen, by.clone(), request).await? {
            return Ok(acted);
        }
    }
    Err(ActError::Busy)
}

/// Takes an action after which another campaign may run, and runs it.
async fn act_and_run_next<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    by: Actor,
    request: &Request,
) -> Result<Acted, ActError> {
    // Of a repeat too: the first one may have ended before it ran the next.
    let acted = act(deps, id, by, request).await?;
    if let Err(error) = next::run_next(deps).await {
        tracing::warn!(error.cause = error.causes(), "the next campaign was not run");
    }
    Ok(acted)
}

fn member(by: &UserId) -> Actor {
    Actor::Member(by.clone())
}

/// A member has the seal begin.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn seal<D: ActPorts>(deps: &D, id: CampaignId, by: &UserId) -> Result<Acted, ActError> {
    act(deps, id, member(by), &Request::Seal).await
}

/// The seal of that attempt is done. `tallies` are the counters, shard by shard.
///
/// # Errors
/// [`ActError`], the first in its order; [`Refused::CountsDiffer`] also when the counters do not
/// hold what was sealed.
pub async fn sealed<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    attempt: u32,
    sealed: Sealed,
    seal: Seal,
    tallies: Vec<Tally>,
) -> Result<Acted, ActError> {
    act(deps, id, Actor::System, &Request::Sealed { attempt, sealed, seal, tallies }).await
}

/// The seal of that attempt is given up: the campaign takes parts again.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn seal_failed<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    attempt: u32,
    problem: String,
) -> Result<Acted, ActError> {
    act(deps, id, Actor::System, &Request::SealFailed { attempt, problem }).await
}

/// A member other than the creator approves the content.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn approve<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    by: &UserId,
    hash: Hash,
) -> Result<Acted, ActError> {
    act(deps, id, member(by), &Request::Approve { by: by.clone(), hash }).await
}

/// A member starts the content: it runs when it is next.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn start<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    by: &UserId,
    hash: Hash,
) -> Result<Acted, ActError> {
    act_and_run_next(deps, id, member(by), &Request::Start { hash }).await
}

/// A member starts the content beside other campaigns. The caller checks the privilege.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn force<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    by: &UserId,
    hash: Hash,
    memo: Memo,
) -> Result<Acted, ActError> {
    act_and_run_next(deps, id, member(by), &Request::Force { hash, memo }).await
}

/// A member stops it, running or queued.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn stop<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    by: &UserId,
    memo: Memo,
) -> Result<Acted, ActError> {
    act_and_run_next(deps, id, member(by), &Request::Stop { memo }).await
}

/// A member has the failed rows paid again, in a new generation.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn retry<D: ActPorts>(deps: &D, id: CampaignId, by: &UserId) -> Result<Acted, ActError> {
    act_and_run_next(deps, id, member(by), &Request::Retry).await
}

/// A member has all payments taken back.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn rollback<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    by: &UserId,
    memo: Memo,
) -> Result<Acted, ActError> {
    act(deps, id, member(by), &Request::Rollback { memo }).await
}

/// All rows of that start have ended.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn end<D: ActPorts>(deps: &D, id: CampaignId, fence: u64) -> Result<Acted, ActError> {
    act_and_run_next(deps, id, Actor::System, &Request::End { fence }).await
}

/// A part of what was sealed cannot be used: `problem` says which, and how. The rest of that start goes
/// on. Of several such parts the first one stands in the campaign.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn damaged<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    fence: u64,
    problem: String,
) -> Result<Acted, ActError> {
    act(deps, id, Actor::System, &Request::Damaged { fence, problem }).await
}

/// A fault of the system ends that start.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn fail<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    fence: u64,
    failure: String,
) -> Result<Acted, ActError> {
    act_and_run_next(deps, id, Actor::System, &Request::Fail { fence, failure }).await
}

/// All payments are taken back by that rollback.
///
/// # Errors
/// [`ActError`], the first in its order.
pub async fn rolled_back<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    fence: u64,
) -> Result<Acted, ActError> {
    act_and_run_next(deps, id, Actor::System, &Request::RolledBack { fence }).await
}
