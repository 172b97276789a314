//! The adapter against the reference server, over real sockets.

mod cases;
mod connections;
mod control;
mod lookups;
mod lost;
mod payments;
mod scene;
mod storm;
