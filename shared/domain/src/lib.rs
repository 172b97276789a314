//! The rules of Largesse: pure decisions about money.
//!
//! Nothing here reads a clock, draws a random number, waits or knows AWS. Every rule is a function
//! of `(state, command, now)`, so the store and the model checker call the same code.
//!
//! A [`pool`] is drawn from, a draw is a [`grant`], one transfer of the [`ledger`] pays a grant.
//! A [`campaign`] pays rows, a [`drop`](mod@drop) pays the first who enter. A [`product`] takes
//! investments up to its target. A [`key`] says which service calls, and what it may do.

#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod audit;
pub mod breaker;
pub mod budget;
pub mod campaign;
pub mod drop;
pub mod grant;
pub mod id;
pub mod key;
pub mod ledger;
pub mod money;
pub mod pool;
pub mod product;
pub mod rate;
pub mod room;
pub mod split;
pub mod spray;
pub mod stats;
pub mod throttle;
pub mod time;
