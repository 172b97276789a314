//! One embedded AWS in the process.
