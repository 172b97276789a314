//! A part is added to a campaign.

use largesse_domain::campaign::{Action, Actor, Added, Part, PartRefused, Parts, Refused};
use largesse_domain::id::{CampaignId, UserId};

use super::attempt::{TRIES_MAX, next_entry, pause, save};
use super::{ActPorts, details};
use crate::ports::{Change, PortError, Versioned, Written};

/// What adding a part did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddedPart {
    /// Whether the part is new.
    pub added: Added,
    /// What all parts hold together.
    pub parts: Parts,
}

/// Why a part is not added, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum AddPartError {
    /// There is no such campaign.
    #[error("there is no such campaign")]
    NotFound,
    /// The campaign takes no parts: it is being sealed, or was.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The part does not fit.
    #[error(transparent)]
    Part(#[from] PartRefused),
    /// Others changed the campaign each time. Nothing happened.
    #[error("others change the campaign")]
    Busy,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Adds a part whose rows are staged. Repeating it changes nothing and returns the first one.
///
/// # Errors
/// [`AddPartError`], the first in its order.
pub async fn add_part<D: ActPorts>(
    deps: &D,
    id: CampaignId,
    by: &UserId,
    part: &Part,
) -> Result<AddedPart, AddPartError> {
    for tried in 0..TRIES_MAX {
        pause(deps, tried).await;
        let seen = deps.campaign(id).await?.ok_or(AddPartError::NotFound)?;
        let Versioned { value: mut campaign, .. } = seen.clone();
        campaign.life.apply(&Action::AddPart)?;
        let earlier = deps.part(id, part.number).await?;
        let added = campaign.parts.add(earlier.as_ref(), part)?;
        let answer = AddedPart { added, parts: campaign.parts };
        if let Added::Already(_) = added {
            return Ok(answer);
        }
        let (now, by) = (deps.now(), Actor::Member(by.clone()));
        let entry = next_entry(&mut campaign, now, by, "part", details::of_part(part))?;
        let change = Change {
            seen: &seen,
            campaign: &campaign,
            entry: &entry,
            part: Some(part),
            agenda: None,
            counts: None,
        };
        if save(deps, &change).await? == Written::Done {
            return Ok(answer);
        }
    }
    Err(AddPartError::Busy)
}
