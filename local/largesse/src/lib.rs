//! The whole of Largesse in one process, on an emulator of AWS.
//!
//! [`compose::compose`] builds what template.yaml declares: the emulator has its tables and queues,
//! and its functions are attached to the routes, streams, queues and schedules that it names. The
//! same functions are deployed to AWS.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod archive;
pub mod aws_front;
pub mod bench;
pub mod beside;
pub mod campaign;
pub mod cli;
pub mod client;
pub mod compose;
pub mod demo;
pub mod dlq;
pub mod holder;
pub mod key;
pub mod limits;
pub mod money_server;
pub mod plain;
pub mod prometheus;
pub mod rate;
pub mod serve;
pub mod sign;
pub mod up;
pub mod verify;
