//! Campaigns: create, upload parts, seal, act, run the next one, read.

use crate::ports::{Campaigns, Clock, Pause, Rng};

pub mod act;
pub mod create;
mod details;
pub mod duplicates;
pub mod next;
pub mod part;
pub mod read;
mod request;
pub mod seal;
pub mod upload;

pub use request::Request;

/// What an action needs.
pub trait ActPorts: Campaigns + Clock + Rng + Pause {}

impl<T: Campaigns + Clock + Rng + Pause> ActPorts for T {}
