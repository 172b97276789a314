//! The adapters: every port, on DynamoDB, SQS FIFO and EventBridge, through the real AWS SDK.
//!
#![doc = include_str!("SCHEMA.md")]
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod books;
mod cache;
pub mod dead;
mod deadline;
mod errors;
mod events;
mod grants;
mod idempotency;
mod item;
pub mod keys;
mod pools;
pub mod production;
pub mod queue;
mod refunds;
mod retry;
mod rooms;
mod sprays;
mod store;
mod tokens;
mod wallets;

pub use grants::Untried;
pub use store::{Names, Outside, Store};
