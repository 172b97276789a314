//! The money port over HTTP: grants are paid by a service that implements docs/money.md.
//!
//! The adapter keeps no state of its own. A payment carries the grant's permanent id, so the service
//! moves the money once however often it is called; what is not known is looked up under that id.
//!
//! # Guarantees
//! * What may have moved money is never reported as a failure, and is looked up under the same id
//!   at once: `a_timeout_after_the_commit_is_found_paid`, `a_reset_after_the_commit_is_found_paid`,
//!   `a_gateway_timeout_after_the_commit_is_found_paid`.
//! * Only a 422 with a code counts as a refusal: `a_refusal_carries_the_codes_word`,
//!   `a_refusal_without_a_sound_code_counts_nothing`,
//!   `a_refusal_of_an_earlier_attempt_is_not_counted_again`.
//! * No request is sent twice by one call: `a_lost_answer_is_looked_up_and_not_sent_again`,
//!   `a_connection_that_died_in_the_pool_costs_no_second_request`.
//! * A wrong success is never taken for a payment:
//!   `a_success_with_a_wrong_amount_is_unknown_and_never_paid_again`.
//! * The secret stands in no text: `the_secret_stands_in_no_text`.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod adapter;
mod answer;
mod client;
mod connector;
mod error;
mod service;
mod settings;
pub mod tls;
pub mod wait;
mod wire;

pub use adapter::HttpMoney;
pub use client::ANSWER_LEN_MAX;
pub use error::{MoneyError, SetupError};
pub use service::MoneySettings;
pub use settings::{Base, Secret, Settings};
