//! The operator's command for dead letters: what it shows, and what it changes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod command;
mod full;
mod keys;
mod outbox;
mod owed;
mod retry;
mod scene;
