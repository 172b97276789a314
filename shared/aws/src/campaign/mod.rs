//! Campaigns.

pub mod ended;
pub mod jobs;
pub mod stream;
