//! Campaigns: create, upload parts, seal, act, run the next one, watch, read.

use crate::ports::{CampaignResults, Campaigns, Clock, Ids, Pause, Rng};

pub mod act;
mod attempt;
pub mod create;
mod details;
pub mod duplicates;
pub mod fan_out;
pub mod next;
pub mod part;
pub mod pay;
pub mod preview;
pub mod progress;
pub mod read;
mod request;
pub mod reverse;
pub mod seal;
mod session;
pub mod standing;
pub mod upload;
pub mod watch;

pub use request::Request;
pub use session::ChunkOutcome;

/// What an action needs.
pub trait ActPorts: Campaigns + Clock + Rng + Pause {}

impl<T: Campaigns + Clock + Rng + Pause> ActPorts for T {}

/// What a worker needs, beside the money service.
pub trait PayPorts: ActPorts + CampaignResults + Ids {}

impl<T: ActPorts + CampaignResults + Ids> PayPorts for T {}
