//! The work of campaigns under way: lost and found again, or damaged.

mod damaged;
mod late;
mod lost;
pub(crate) mod scene;
mod trace;
