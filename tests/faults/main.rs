//! What goes wrong, and what must be right all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod backlog;
mod corrupt;
mod delivery;
mod environments;
mod full;
mod kill;
mod lost;
mod lost_flows;
mod race;
mod rig;
mod seeded;
mod skew;
mod tokens;
