//! Pools: what keeps them in order behind the callers' backs.

pub mod sweep;
