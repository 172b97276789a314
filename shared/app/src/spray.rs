//! Sprays: create, claim, read, refund.

pub mod claim;
pub mod create;
pub mod read;
pub mod refund;
pub mod refused;
pub mod token;
