//! One try of an action: decided on what was read, written if that has not changed.

use largesse_domain::campaign::{
    Actor, Agenda, AuditEntry, Campaign, Counts, Refused, Taken, Tally,
};
use largesse_domain::id::CampaignId;
use largesse_domain::time::Timestamp;

use super::act::{ActError, Acted};
use super::{ActPorts, Request, details};
use crate::ports::{
    COUNT_SHARDS, Change, CountsChange, PortError, PortErrorKind, PortResult, Versioned, Written,
};

/// How often an action is decided anew because others changed the campaign or the agenda.
pub(super) const TRIES_MAX: u32 = 16;
/// The longest wait before the second try, doubled with each more, and before any.
const WAIT_MS_FIRST: u32 = 10;
const WAIT_MS_MAX: u32 = 320;

/// What an action is decided on.
pub(super) struct Seen {
    pub campaign: Versioned<Campaign>,
    /// Of an action that may change it.
    pub agenda: Option<Versioned<Agenda>>,
    /// The shards of the counters, of an action that reads them.
    pub shards: Option<Vec<Tally>>,
}

/// The counters that an action reads. Only one that does not decide by them goes on without.
pub(super) async fn shards<D: ActPorts>(
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
    let counts = seen.shards.as_ref().map(|shards| {
        Counts::of_shards(shards).ok_or(PortError::corrupt("the counters do not sum up"))
    });
    let counts = counts.transpose()?;
    let before = agenda.map(|agenda| &agenda.value);
    let action = request.action(&campaign, before, counts.unwrap_or_default());
    let taken = campaign.life.apply(&action)?;
    if taken == Taken::Already || request.is_known(&campaign) {
        return Ok(Some(Acted { campaign, taken: Taken::Already }));
    }
    request.mark(&mut campaign, was, now);
    let mut placed = before.cloned();
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
