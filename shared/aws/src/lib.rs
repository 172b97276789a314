//! The adapters: every port, on DynamoDB, SQS FIFO and EventBridge, through the real AWS SDK.
//!
//! One folder for each noun, with its items, its operations and its `SCHEMA.md`. Tables are on
//! demand, one for each bounded context; keys are made in `keys.rs` only. In the schemas, `T` marks a
//! call inside a transaction; conditions are explained where they stand.
//!
#![doc = include_str!("room/SCHEMA.md")]
#![doc = include_str!("wallet/SCHEMA.md")]
#![doc = include_str!("token/SCHEMA.md")]
#![doc = include_str!("spray/SCHEMA.md")]
#![doc = include_str!("pool/SCHEMA.md")]
#![doc = include_str!("drop/SCHEMA.md")]
#![doc = include_str!("grant/SCHEMA.md")]
#![doc = include_str!("idempotency/SCHEMA.md")]
#![doc = include_str!("key/SCHEMA.md")]
#![doc = include_str!("governor/SCHEMA.md")]
#![doc = include_str!("budget/SCHEMA.md")]
#![doc = include_str!("campaign/SCHEMA.md")]
#![doc = include_str!("campaign_rows/SCHEMA.md")]
#![doc = include_str!("campaign_results/SCHEMA.md")]
#![doc = include_str!("product/SCHEMA.md")]
#![doc = include_str!("reconcile/SCHEMA.md")]
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod archive;
mod batch;
mod blob;
pub mod books;
mod budget;
mod cache;
pub mod campaign;
pub mod campaign_results;
mod campaign_rows;
mod deadline;
mod drop;
mod due;
mod errors;
mod events;
mod governor;
pub mod grant;
mod idempotency;
mod image;
mod item;
mod key;
pub mod keys;
mod metering;
pub mod names;
mod notice;
pub mod pool;
pub mod probe;
pub mod product;
pub mod production;
mod reconcile;
mod retry;
mod room;
mod spray;
mod store;
mod token;
mod wallet;

pub use aws_types::SdkConfig;
pub use names::Names;
pub use store::{Environment, Store};
