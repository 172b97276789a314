//! What the tests stand on: a world in memory that checks itself when it is dropped.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "this crate is tests")]

pub mod http;
pub mod kill;
pub mod money;
pub mod raw;
mod sandbox;
pub mod signed;
mod tokens;

pub use sandbox::{Sandbox, amount, user};
