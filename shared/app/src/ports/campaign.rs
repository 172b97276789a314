//! Campaigns.

mod jobs;

pub use jobs::{CampaignJob, CampaignJobs};
