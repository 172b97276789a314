//! What stands before a money service: the rate of calls and the circuit breaker.

mod circuit;
pub mod further;
pub mod governed;
mod governor;
pub mod service;

use crate::ports::{PortError, PortErrorKind};

/// A call that is not made now. Nothing has happened.
#[derive(Clone, Debug)]
struct Held {
    /// When to try again, where that is known.
    retry_after_ms: Option<u64>,
    /// Why.
    cause: PortError,
}

impl Held {
    const fn until(retry_after_ms: u64, operation: &'static str) -> Self {
        let cause = PortError { operation, kind: PortErrorKind::Throttled, cause: None };
        Self { retry_after_ms: Some(retry_after_ms), cause }
    }

    /// The store of permits and breakers failed. Whatever it did, the call was not made: so this is
    /// never an unknown outcome.
    fn by(operation: &'static str, error: PortError) -> Self {
        let cause = Some(std::sync::Arc::new(error) as crate::ports::Cause);
        let cause = PortError { operation, kind: PortErrorKind::Throttled, cause };
        Self { retry_after_ms: None, cause }
    }
}
