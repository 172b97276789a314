//! A member makes a campaign.

use std::collections::BTreeMap;

use largesse_domain::campaign::{Actor, AuditEntry, Campaign, Life, Parts, Terms};
use largesse_domain::id::{CampaignId, UserId};

use crate::ports::{Campaigns, Clock, Once, PortError};

/// A request for a campaign, under the id that makes it happen once.
#[derive(Clone, Debug)]
pub struct CreateCampaign {
    /// The campaign's id.
    pub id: CampaignId,
    /// Who makes it.
    pub creator: UserId,
    /// On what terms. A `starts_at` in the past holds nothing up.
    pub terms: Terms,
}

/// Why no campaign was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Makes a campaign. Repeating it under the same id returns the first one, as it stands.
///
/// # Errors
/// [`CreateError`].
pub async fn create<D>(deps: &D, request: CreateCampaign) -> Result<Campaign, CreateError>
where
    D: Campaigns + Clock,
{
    let CreateCampaign { id, creator, terms } = request;
    let details = BTreeMap::from([("name".to_owned(), terms.name.as_str().to_owned())]);
    let by = Actor::Member(creator.clone());
    let entry = AuditEntry::next(id, None, deps.now(), by, "create", details);
    let entry = entry.ok_or(PortError::corrupt("create campaign: it has no first entry"))?;
    let campaign = Campaign {
        id,
        life: Life::new(creator, terms.approvals),
        terms,
        parts: Parts::default(),
        seal: None,
        problem: None,
        started_at: None,
        ended_at: None,
        audit: entry.head(),
    };
    match deps.create_campaign(&campaign, &entry).await? {
        Once::Now(campaign) | Once::Before(campaign) => Ok(campaign),
    }
}
