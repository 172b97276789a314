//! The whole of Largesse in one process, on an embedded AWS.
//!
//! [`compose::compose`] puts together what template.yaml declares: its tables and queues are the
//! world's, its functions are attached to the routes, streams, queues and schedules it names. What
//! runs here is what is deployed.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod aws_front;
pub mod cli;
pub mod client;
pub mod compose;
pub mod demo;
pub mod serve;
pub mod up;
