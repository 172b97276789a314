//! What goes wrong, and what must be right all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod client;
mod crowd;
mod delivery;
mod kill;
mod lost;
mod lost_flows;
mod outage;
mod race;
mod refused;
mod rig;
mod seeded;
mod skew;
mod tokens;
