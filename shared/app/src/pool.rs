//! Pools: draw from one, and sweep what was drawn.

pub mod draw;
pub mod read;
pub mod sweep;
