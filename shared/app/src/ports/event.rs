//! The event bus.

use std::future::Future;

use largesse_domain::campaign::CampaignName;
use largesse_domain::grant::FailedGrant;
use largesse_domain::id::{CampaignId, ProductId};
use largesse_domain::money::Amount;
use largesse_domain::product::Title;
use largesse_domain::time::Timestamp;

use super::PortResult;

/// What is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A grant was refused for the last time.
    GrantPermanentlyFailed(FailedGrant),
    /// A campaign ended: every row is paid or failed.
    CampaignCompleted(CampaignEnded),
    /// A fault of the system ended a campaign.
    CampaignFailed(CampaignEnded),
    /// A campaign was stopped by hand.
    CampaignStopped(CampaignEnded),
    /// A campaign took back what it could.
    CampaignRolledBack(CampaignEnded),
    /// Nothing remains of a product.
    ProductSoldOut(ProductSoldOut),
}

/// A product that was seen to be sold out. The product tells repeats apart: it sells out once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductSoldOut {
    /// Which product.
    pub product: ProductId,
    /// Its title.
    pub title: Title,
    /// What was invested: the target.
    pub target: Amount,
    /// When it was seen.
    pub at: Timestamp,
}

/// A campaign as it stood when it ended. The campaign and the time tell repeats apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignEnded {
    /// Which campaign.
    pub campaign: CampaignId,
    /// Its name.
    pub name: CampaignName,
    /// When it ended.
    pub at: Timestamp,
    /// How many rows it has.
    pub rows: u64,
    /// How many are paid.
    pub success: u64,
    /// How many have failed.
    pub failed: u64,
    /// What the paid rows sum to, in minor units.
    pub amount_success: u64,
    /// What the failed rows sum to, in minor units.
    pub amount_failed: u64,
    /// From its start to its end; `None` when it never started.
    pub duration_ms: Option<u64>,
    /// Why it was stopped, in the words of who did.
    pub memo: Option<String>,
    /// What ended it, when the system did.
    pub failure: Option<String>,
}

/// The event bus.
pub trait Events: Send + Sync {
    /// Publishes an event, at least once.
    fn publish(&self, event: &Event) -> impl Future<Output = PortResult<()>> + Send;
}
