//! The `largesse` binary.
fn main() {}
