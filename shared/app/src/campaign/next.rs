//! The next campaign runs.
//!
//! Each action that ends or queues a campaign calls it, and campaign-start does every minute. A
//! campaign runs by one transaction over campaign and agenda, so of any number of starters at once
//! one runs it, and one that was killed left either nothing or a campaign that runs.
//!
//! # Guarantees
//! * Of any number of starts at once, one runs: `of_two_starts_at_once_one_runs_in_any_interleaving`.
//! * A starter that was killed holds up no other: `a_starter_killed_at_any_await_holds_up_no_other`.
//! * A campaign that cannot be read, or that the agenda wrongly names, holds up no other:
//!   `a_campaign_that_cannot_be_read_holds_up_no_other`,
//!   `an_agenda_that_contradicts_a_campaign_is_corrected`.

use largesse_domain::campaign::{AGENDA_MAX, Actor, Agenda, Campaign};
use largesse_domain::id::CampaignId;

use super::act::ActError;
use super::attempt::{Seen, attempt, pause};
use super::{ActPorts, Request};
use crate::ports::{Campaigns, PortError, PortErrorKind, PortResult, Versioned, Written};

/// How many campaigns one call runs, corrects or loses to other starters: all that can wait, twice.
const STEPS_MAX: usize = 2 * AGENDA_MAX;

/// What a call did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// The campaigns that it ran, in order.
    pub ran: Vec<CampaignId>,
    /// Queued campaigns that cannot be read. They are passed over.
    pub unreadable: Vec<CampaignId>,
}

/// Runs every campaign that may run now: the next one if none runs, and those that are forced.
///
/// # Errors
/// [`PortError`]; what ran until then runs.
pub async fn run_next<D: ActPorts>(deps: &D) -> PortResult<Started> {
    let mut started = Started::default();
    let mut lost = 0;
    for _ in 0..STEPS_MAX {
        pause(deps, lost).await;
        let agenda = deps.agenda().await?;
        let mut readable = agenda.value.clone();
        readable.queued.retain(|candidate| !started.unreadable.contains(&candidate.id));
        let Some(id) = readable.next(deps.now()) else { break };
        match run(deps, id, agenda).await {
            Ok(Step::Ran) => started.ran.push(id),
            Ok(Step::Corrected) => {}
            Ok(Step::Lost) => lost = lost.saturating_add(1),
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                let why = "passed over: the campaign cannot be read";
                tracing::error!(campaign.id = %id, error.cause = error.causes(), "{why}");
                started.unreadable.push(id);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(started)
}

/// What became of the campaign that is next on an agenda.
enum Step {
    /// It runs.
    Ran,
    /// It is not queued: the agenda was corrected.
    Corrected,
    /// Another starter or action came between.
    Lost,
}

async fn run<D: ActPorts>(deps: &D, id: CampaignId, agenda: Versioned<Agenda>) -> PortResult<Step> {
    let Some(campaign) = deps.campaign(id).await? else {
        return correct(deps, id, &agenda, None).await;
    };
    let seen = Seen { campaign, agenda: Some(agenda.clone()), shards: None };
    match attempt(deps, &seen, Actor::System, &Request::Run).await {
        Ok(Some(_)) => Ok(Step::Ran),
        Ok(None) | Err(ActError::Busy) => Ok(Step::Lost),
        Err(ActError::Port(error)) => Err(error),
        Err(ActError::Refused(_) | ActError::AgendaFull(_) | ActError::NotFound) => {
            correct(deps, id, &agenda, Some(&seen.campaign.value)).await
        }
    }
}

/// Puts a campaign that is not queued where its life says, or takes off one that is not there: both
/// only after a table was restored or edited, since an action writes campaign and agenda together.
async fn correct<D: Campaigns>(
    deps: &D,
    id: CampaignId,
    seen: &Versioned<Agenda>,
    campaign: Option<&Campaign>,
) -> PortResult<Step> {
    let why = "the agenda names a campaign that is not queued: corrected";
    tracing::error!(campaign.id = %id, "{why}");
    let mut agenda = seen.value.clone();
    match campaign {
        Some(campaign) => agenda
            .place(id, &campaign.terms, &campaign.life)
            .map_err(|_| PortError::corrupt("the agenda is above its limit"))?,
        None => agenda.remove(id),
    }
    Ok(match deps.mend_agenda(seen, &agenda).await? {
        Written::Done => Step::Corrected,
        Written::Changed => Step::Lost,
    })
}
