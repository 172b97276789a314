//! Drops: the first who enter get a slot each, and the next ones a place on the waiting list. A drop may
//! begin with lots, which are drawn by a shuffle.

pub mod close;
pub mod create;
pub mod enter;
pub mod promote;
pub mod read;
pub mod refused;
pub mod shuffle;
pub mod standing;
