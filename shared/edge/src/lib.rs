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
pub mod lambda;
pub mod meta;
pub mod openapi;
pub mod query;
pub mod routes;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod v1;

use largesse_app::ports::{
    Clock, Events, GrantQueue, Grants, Idempotency, Ids, Pause, Pools, Refunds, Rng, Rooms, Sprays,
    TokenSpace, Wallets,
};

pub use answer::Answer;
pub use call::{App, Call};
pub use code::Code;
pub use config::EdgeConfig;
pub use error::{ApiError, FieldError, Place};

/// The page at `/docs`: it shows `/api/openapi.json`, with nothing loaded from elsewhere.
pub const DOCS_PAGE: &str = include_str!("docs_page.html");

/// Every port: what a function's dependencies implement.
pub trait Ports:
    Rooms
    + Wallets
    + Sprays
    + TokenSpace
    + Refunds
    + Pools
    + Grants
    + GrantQueue
    + Events
    + Idempotency
    + Clock
    + Ids
    + Rng
    + Pause
    + Send
    + Sync
    + 'static
{
}

impl<T> Ports for T where
    T: Rooms
        + Wallets
        + Sprays
        + TokenSpace
        + Refunds
        + Pools
        + Grants
        + GrantQueue
        + Events
        + Idempotency
        + Clock
        + Ids
        + Rng
        + Pause
        + Send
        + Sync
        + 'static
{
}
