//! What goes wrong, and what must be right all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod backlog;
mod campaign_attach;
mod campaign_cases;
mod campaign_chain;
mod campaign_held;
mod campaign_lanes;
mod campaign_late;
mod campaign_limit;
mod campaign_money;
mod campaign_pay;
mod campaign_queues;
mod campaign_redelivered;
mod campaign_scene;
mod campaign_stop;
mod campaign_storm;
mod client;
mod corrupt;
mod crowd;
mod delivery;
mod drop_product_cases;
mod drops;
mod drops_crowd;
mod drops_shuffle;
mod due;
mod edit;
mod full;
mod golden;
mod kill;
mod lost;
mod lost_flows;
mod lost_tokens;
mod outage;
mod passed_on;
mod products;
mod products_killed;
mod race;
mod race_draws;
mod reconcile;
mod refused;
mod rig;
mod seeded;
mod skew;
mod tokens;
mod versions;
