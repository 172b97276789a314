//! What is known of campaigns.

use futures::future::try_join;
use largesse_domain::campaign::{AuditEntry, Campaign, Counts};
use largesse_domain::id::CampaignId;

use crate::page::{PAGE_LIMIT_MAX, Page};
use crate::ports::{Campaigns, PortError, PortResult};

/// A campaign with its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The campaign.
    pub campaign: Campaign,
    /// How many rows stand where; `None` before it is sealed.
    pub counts: Option<Counts>,
}

/// A campaign as it stands.
///
/// # Errors
/// [`PortError`].
pub async fn show<D: Campaigns>(deps: &D, id: CampaignId) -> PortResult<Option<View>> {
    let (campaign, shards) = try_join(deps.campaign(id), deps.counts(id)).await?;
    let Some(campaign) = campaign else { return Ok(None) };
    let sum = Counts::of_shards(&shards);
    let sum = sum.ok_or(PortError::corrupt("the counters do not sum up"))?;
    let counts = (!shards.is_empty()).then_some(sum);
    Ok(Some(View { campaign: campaign.value, counts }))
}

/// The campaigns made before that one, newest first, [`PAGE_LIMIT_MAX`] at most.
///
/// # Errors
/// [`PortError`].
pub async fn list<D: Campaigns>(
    deps: &D,
    before: Option<CampaignId>,
    limit: u32,
) -> PortResult<Page<Campaign, CampaignId>> {
    deps.campaigns(before, limit.min(PAGE_LIMIT_MAX)).await
}

/// The audit of a campaign behind the entry `after`, [`PAGE_LIMIT_MAX`] at most. `None` when there
/// is no such campaign.
///
/// # Errors
/// [`PortError`].
pub async fn audit<D: Campaigns>(
    deps: &D,
    id: CampaignId,
    after: u64,
    limit: u32,
) -> PortResult<Option<Page<AuditEntry, u64>>> {
    let limit = limit.min(PAGE_LIMIT_MAX);
    let Some(campaign) = deps.campaign(id).await? else { return Ok(None) };
    let rows = deps.audit_of(id, after, limit).await?;
    let last = rows.last().map(|entry| entry.seq);
    let next = last.filter(|seq| *seq < campaign.value.audit.seq);
    Ok(Some(Page { rows, next }))
}
