//! What goes wrong, and what must be right all the same.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod backlog;
mod corrupt;
mod environments;
mod kill;
mod lost;
mod race;
mod rig;
mod tokens;
