//! The HTTP kernel: versions, errors, identities, idempotency, cursors, telemetry.
//!
//! A function's crate builds a router with handlers that take a [`call::Call`] and fail with an
//! [`error::ApiError`]; [`kernel::wrap`] goes around it once. What two functions share lives here.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod answer;
pub mod call;
pub mod code;
pub mod config;
pub mod cursor;
pub mod error;
pub mod extract;
pub mod idempotency;
pub mod kernel;
pub mod meta;
pub mod openapi;
pub mod query;
pub mod routes;
#[cfg(test)]
mod testing;
pub mod time;
pub mod v1;

pub use answer::Answer;
pub use call::{App, Call};
pub use code::Code;
pub use config::EdgeConfig;
pub use error::{ApiError, FieldError, Place};

/// The page at `/docs`. It shows `/api/openapi.json` and loads nothing from other hosts.
pub const DOCS_PAGE: &str = include_str!("docs_page.html");
