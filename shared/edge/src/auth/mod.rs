//! Who calls: API keys, request signatures, address lists and the table of routes.

pub mod signature;
