//! The adapters keep the ports' contracts, over the embedded AWS and the real SDK.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod dropped;
mod grants;
mod idempotency;
mod policies;
mod pools;
mod sdk;
mod sprays;
mod tokens;
mod wallets;
mod wiring;
