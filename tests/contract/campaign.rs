//! Campaigns: the store of their lives, and the actions on them over it.

mod actions;
mod agenda;
mod clauses;
mod life;
mod lost;
mod races;
mod scene;
mod store;

pub(crate) use scene::queued;
