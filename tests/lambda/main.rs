//! Every function's real binary, as Lambda runs it: a child process that polls the Runtime API and
//! reaches AWS over a socket. Here the Runtime API is ours and AWS is the embedded world.
//!
//! The binaries are built by the tests, with the features that the functions ask for themselves.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod aws;
mod batches;
mod binaries;
mod bootstrap;
mod campaigns;
mod events;
mod holder;
mod http;
mod life;
mod notices;
mod odd;
mod odd_rows;
mod rotation;
mod runtime_api;
mod scene;
mod schedules;
mod signed;
mod telemetry;
