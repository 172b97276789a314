//! The adapter against the reference server, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod cases;
mod connections;
mod control;
mod lookups;
mod lost;
mod payments;
mod scene;
mod storm;
