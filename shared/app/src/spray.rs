//! Sprays: create, claim, read.

pub mod claim;
pub mod create;
pub mod read;
