//! Drops: the first who enter get a slot each, and the next ones a place on the waiting list.

pub mod close;
pub mod create;
pub mod enter;
pub mod promote;
pub mod read;
pub mod refused;
pub mod standing;
