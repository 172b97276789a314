//! What goes wrong, and what must be right all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod backlog;
mod campaign_pay;
mod campaign_queues;
mod campaign_scene;
mod client;
mod corrupt;
mod crowd;
mod delivery;
mod edit;
mod full;
mod golden;
mod kill;
mod lost;
mod lost_flows;
mod lost_tokens;
mod outage;
mod products;
mod race;
mod race_draws;
mod refused;
mod rig;
mod seeded;
mod skew;
mod tokens;
mod versions;
