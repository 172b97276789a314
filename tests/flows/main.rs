//! What callers go through, over the composed routes and the embedded AWS.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod archived;
mod auth;
mod campaign;
mod crowd;
mod disk;
mod expiry;
mod limits;
mod malformed;
mod money;
mod openapi;
mod paying;
mod products;
mod refused;
mod routes;
mod signing;
mod sockets;
mod stats;
mod token_space;
mod v1;
mod v2;
