//! Callers with keys and signatures: `AUTH=signed`.

mod attacks;
mod keys;
mod local;
mod owners;
mod rotation;
mod routes;

/// The master secret of these tests.
pub(crate) const MASTER: &str = "the master secret of the tests of signatures";
/// The one that takes its place.
pub(crate) const NEW_MASTER: &str = "another master secret that takes its place";
/// Every scope.
pub(crate) const ALL: &str = "spray,drop,invest,wallet,campaign:write,campaign:approve,\
                              campaign:force,operate,read";
