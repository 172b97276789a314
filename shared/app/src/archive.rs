//! The archive: what is old moves from the tables into a store of objects (docs/archive.md).

pub mod transfers;
