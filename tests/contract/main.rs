//! The adapters keep the ports' contracts, over the embedded AWS and the real SDK.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod draws;
mod dropped;
mod grants;
mod guarantees;
mod idempotency;
mod meanwhile;
mod policies;
mod pools;
mod refunds;
mod rooms;
mod sdk;
mod sprays;
mod tokens;
mod wallets;
mod wiring;
