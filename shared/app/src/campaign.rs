//! Campaigns: create, add parts, act, run the next one, read.

use crate::ports::{Campaigns, Clock, Pause, Rng};

pub mod act;
mod attempt;
pub mod create;
mod details;
pub mod next;
pub mod part;
pub mod read;
mod request;

pub use request::Request;

/// What an action needs.
pub trait ActPorts: Campaigns + Clock + Rng + Pause {}

impl<T: Campaigns + Clock + Rng + Pause> ActPorts for T {}
