//! All reads, the description of the API, and `$default`: the requests that match no route.

use largesse_app::ports::{
    Budgets, CampaignResults, CampaignRows, Campaigns, Clock, DailyStats, DropCache, DropReads,
    Drops, Grants, Ids, Keys, Money, Pools, Products, Rooms, Sprays, Wallets,
};
use largesse_app::spray::read::ReadError;
use largesse_edge::{ApiError, Code, limits};

pub mod about;
pub mod campaign_files;
pub mod campaign_parts;
pub mod campaign_rows;
pub mod campaigns;
pub mod drops;
pub mod products;
pub mod rooms;
pub mod settings;
pub mod sprays;
pub mod stats;
pub mod v1;
pub mod v1_history;
pub mod wallets;

/// The ports that the function uses.
pub trait Deps:
    Rooms
    + Wallets
    + Sprays
    + ReadsDrops
    + Pools
    + Money
    + Grants
    + CampaignReads
    + Products
    + Keys
    + Budgets
    + DailyStats
    + Clock
    + Ids
    + 'static
{
}

impl<T> Deps for T where
    T: Rooms
        + Wallets
        + Sprays
        + ReadsDrops
        + Pools
        + Money
        + Grants
        + CampaignReads
        + Products
        + Keys
        + Budgets
        + DailyStats
        + Clock
        + Ids
        + 'static
{
}

/// The ports of drops.
pub trait ReadsDrops: Drops + DropReads + DropCache {}

impl<T: Drops + DropReads + DropCache> ReadsDrops for T {}

/// The ports of campaigns.
pub trait CampaignReads: Campaigns + CampaignRows + CampaignResults {}

impl<T: Campaigns + CampaignRows + CampaignResults> CampaignReads for T {}

largesse_edge::routes! { D: Deps =>
    v1::spray<D>,
    v1::balance<D>,
    v1_history::wallet<D>,
    v1_history::list<D>,
    v1_history::one<D>,
    wallets::wallet<D>,
    wallets::list<D>,
    wallets::one<D>,
    rooms::room<D>,
    sprays::list<D>,
    sprays::one<D>,
    drops::list<D>,
    drops::one<D>,
    drops::entry<D>,
    campaigns::list<D>,
    campaigns::one<D>,
    campaigns::audit<D>,
    campaign_files::duplicates<D>,
    campaign_parts::list<D>,
    campaign_files::failures<D>,
    campaign_rows::list<D>,
    campaign_rows::one<D>,
    campaign_rows::progress<D>,
    products::list<D>,
    products::one<D>,
    products::mine<D>,
    stats::stats<D>,
    about::health,
    about::openapi,
    about::docs,
    about::root,
}

fn refuse(error: ReadError) -> ApiError {
    match error {
        ReadError::TooManyMisses(used_up) => limits::refuse(used_up),
        ReadError::NotFound => ApiError::not_found(),
        ReadError::NotTheSender => {
            ApiError::new(Code::Forbidden, "Only the sender can read a spray.")
        }
        ReadError::TooOld => ApiError::expired("A spray can be read by its token for seven days."),
        ReadError::Port(error) => error.into(),
    }
}
