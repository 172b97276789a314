//! A reference of the HTTP money API (docs/money.md): it keeps its books in memory and fails on
//! demand.
//!
//! The API is what Largesse needs of a money service, and no more; `shared/money` speaks it. Under
//! `/control`, a test or an operator sets [`Faults`], gives verdicts and reads the books. What fails
//! is decided by the seed, the transfer and how often it was called, so a run repeats whatever the
//! order of its calls.
//!
//! # Guarantees
//! * Money moves at most once for an id, whatever is repeated: `an_id_is_paid_once`.
//! * The same faults meet the same calls under the same seed: `the_same_seed_meets_the_same_faults`.
//! * No second passes more than the limit, and each call above it is counted:
//!   `the_call_above_the_limit_of_a_sliding_second_is_refused_and_counted`.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod answer;
mod books;
mod control;
mod faults;
mod line;
mod rate;
mod report;
mod server;
mod state;
mod transfers;
pub mod wire;

pub use faults::{Fault, FaultShare, Faults, FaultsError, RetryAfter, Verb};
pub use report::Report;
pub use server::{Server, Settings, StartError};
pub use transfers::api;
