//! What Largesse does, one use case per file, and the ports it does it through.
//!
//! A use case takes its ports as one generic value that implements them, so each signature lists
//! exactly what it touches. Nothing here knows AWS; [`ports`] holds all contracts in one place.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod archive;
pub mod budget;
pub mod caches;
pub mod campaign;
pub mod drop;
pub mod due;
pub mod grant;
pub mod invocation;
pub mod key;
pub mod money;
pub mod page;
pub mod pool;
pub mod ports;
pub mod product;
pub mod reconcile;
pub mod room;
pub mod settings;
pub mod spray;
pub mod stats;
pub mod telemetry;
pub mod trace;
pub mod usage;
pub mod wallet;
