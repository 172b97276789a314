//! HTTP: versions, errors, identities, idempotency, cursors, telemetry.
//!
//! The crate of a function lists its handlers with [`routes!`]. A handler takes a [`call::Call`] and
//! fails with an [`error::ApiError`]. `main` puts [`kernel::wrap`] around the router. Code that two
//! functions share is here.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod answer;
pub mod auth;
pub mod call;
pub mod campaign;
pub mod code;
pub mod config;
pub mod cursor;
pub mod error;
pub mod extract;
pub mod idempotency;
pub mod kernel;
pub mod limits;
pub mod meta;
pub mod openapi;
pub mod query;
pub mod routes;
mod telemetry;
#[cfg(test)]
mod testing;
pub mod time;
pub mod v1;
pub mod zone;

pub use answer::Answer;
pub use call::{App, Call};
pub use code::Code;
pub use config::{EdgeConfig, MoneyFacts};
pub use error::{ApiError, FieldError, Place};

/// The page at `/docs`. It shows `/api/openapi.json` and loads nothing from other hosts.
pub const DOCS_PAGE: &str = include_str!("docs_page.html");
