//! Everything that reads what others wrote, given broken and odd input.
//!
//! Each test changes samples in a few places: random bytes alone would not come past the first
//! brace. A failure is shrunk and printed. `PROPTEST_CASES=1000000 cargo test --workspace --test fuzz
//! TEST` gives a test more rounds than the run in CI.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod edge;
mod edits;
mod event;
mod files;
mod messages;
mod streams;
