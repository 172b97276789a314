//! An action on a campaign: read, decided by the rules of its life, written in one transaction.
//!
//! The write holds only if nothing changed since the read; else the action is decided anew. An
//! action that finds the campaign as it wants it is a repeat and writes nothing.
//!
//! An action that ends or queues a campaign also runs the next one ([`super::next`]). That step may
//! fail without the action: the schedule of campaign-start makes up for it.

use largesse_domain::campaign::{
    Actor, Agenda, AgendaFull, AuditEntry, Campaign, Counts, Hash, Refused, Seal, Sealed, Taken,
    Tally,
};
use largesse_domain::id::{CampaignId, UserId};
use largesse_domain::ledger::Memo;
use largesse_domain::time::Timestamp;

use super::request::fence_last;
use super::{ActPorts, Request, details, next};
use crate::ports::{
    COUNT_SHARDS, Change, CountsChange, PortError, PortErrorKind, PortResult, Versioned, Written,
};

/// How often an action is decided anew because others changed the campaign or the agenda.
pub(super) const TRIES_MAX: u32 = 16;
/// The longest wait before the second try, doubled with each more, and before any.
const WAIT_MS_FIRST: u32 = 10;
const WAIT_MS_MAX: u32 = 320;

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

/// What an action is decided on.
pub(super) struct Seen {
    pub campaign: Versioned<Campaign>,
    /// Of an action that may change it.
    pub agenda: Option<Versioned<Agenda>>,
    /// The shards of the counters, of an action that reads them.
    pub shards: Option<Vec<Tally>>,
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

/// The counters that an action reads. Only one that does not decide by them goes on without.
async fn shards<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    request: &Request,
) -> PortResult<Option<Vec<Tally>>> {
    if !request.counts() && !request.tells_counts() {
        return Ok(None);
    }
    match deps.counts(id).await {
        Err(error) if error.kind == PortErrorKind::Corrupt && request.tells_counts() => {
            let why = "the counters cannot be read";
            tracing::error!(campaign.id = %id, error.cause = error.causes(), "{why}");
            Ok(None)
        }
        read => read.map(Some),
    }
}

/// Waits before a try that is not the first, so that those who met do not meet again.
pub(super) async fn pause<D: ActPorts>(deps: &D, tried: u32) {
    if tried > 0 {
        let wait = WAIT_MS_FIRST.saturating_mul(1 << tried.min(8)).min(WAIT_MS_MAX);
        deps.pause_ms(deps.below(wait).into()).await;
    }
}

/// Decides an action on what was read and writes it; `None` when that has changed meanwhile.
pub(super) async fn attempt<D: ActPorts>(
    deps: &D,
    seen: &Seen,
    by: Actor,
    request: &Request,
) -> Result<Option<Acted>, ActError> {
    let now = deps.now();
    let mut campaign = seen.campaign.value.clone();
    let (id, was) = (campaign.id, campaign.life.state);
    let agenda = seen.agenda.as_ref();
    let fence = agenda.map_or(0, |agenda| fence_last(&agenda.value, &campaign));
    let counts = seen.shards.as_ref().map(|shards| {
        Counts::of_shards(shards).ok_or(PortError::corrupt("the counters do not sum up"))
    });
    let counts = counts.transpose()?;
    let action = request.action(fence, counts.unwrap_or_default());
    let taken = campaign.life.apply(&action)?;
    if taken == Taken::Already {
        return Ok(Some(Acted { campaign, taken }));
    }
    request.mark(&mut campaign, was, now);
    let mut placed = agenda.map(|agenda| agenda.value.clone());
    if let Some(placed) = &mut placed {
        placed.place(id, &campaign.terms, &campaign.life)?;
    }
    let counts_change = counts_change(request, seen.shards.as_deref())?;
    let details = details::of(request, &campaign, counts);
    let entry = next_entry(&mut campaign, now, by, request.name(), details)?;
    let change = Change {
        seen: &seen.campaign,
        campaign: &campaign,
        entry: &entry,
        part: None,
        agenda: agenda.zip(placed.as_ref()),
        counts: counts_change.as_ref(),
    };
    let written = save(deps, &change).await?;
    Ok((written == Written::Done).then_some(Acted { campaign, taken }))
}

/// What an action does to the counters.
fn counts_change(
    request: &Request,
    shards: Option<&[Tally]>,
) -> Result<Option<CountsChange>, ActError> {
    match (request, shards) {
        (Request::Sealed { sealed, tallies, .. }, _) => {
            // Counters that do not hold what was sealed would never let the campaign end.
            let is_whole = u32::try_from(tallies.len()) == Ok(COUNT_SHARDS)
                && Counts::of_shards(tallies) == Some(Counts::sealed(sealed.totals));
            if !is_whole {
                return Err(Refused::CountsDiffer.into());
            }
            Ok(Some(CountsChange::Open(tallies.clone())))
        }
        (Request::Retry, Some(seen)) => {
            let retried = seen.iter().map(|tally| Counts { tally: *tally }.retried());
            let after: Option<Vec<Tally>> = retried.map(|counts| Some(counts?.tally)).collect();
            let after = after.ok_or(Refused::CountsDiffer)?;
            Ok(Some(CountsChange::Replace { seen: seen.to_vec(), after }))
        }
        _ => Ok(None),
    }
}

/// The next entry of a campaign's audit, which becomes its head.
pub(super) fn next_entry(
    campaign: &mut Campaign,
    now: Timestamp,
    by: Actor,
    action: &str,
    details: details::Details,
) -> PortResult<AuditEntry> {
    let entry = AuditEntry::next(campaign.id, Some(campaign.audit), now, by, action, details);
    let entry = entry.ok_or(PortError::corrupt("the audit has no next entry"))?;
    campaign.audit = entry.head();
    Ok(entry)
}

/// Writes an action. Lost against other writers as often as the adapter tries is as changed: it is
/// decided anew.
pub(super) async fn save<D: ActPorts>(deps: &D, change: &Change<'_>) -> PortResult<Written> {
    match deps.save_campaign(change).await {
        Err(error) if error.kind == PortErrorKind::Contended => Ok(Written::Changed),
        saved => saved,
    }
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
