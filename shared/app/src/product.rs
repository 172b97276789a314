//! Products: create, invest, read, sold out, settle.

pub mod create;
pub mod invest;
pub mod read;
pub mod refused;
pub mod settle;
pub mod sold_out;
