//! How a port fails.

use std::error::Error;

/// The cause of a failure, kept for the log and never shown to a caller.
pub type Cause = std::sync::Arc<dyn Error + Send + Sync>;

/// What kind of failure it was; decides whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortErrorKind {
    /// Refused for load. Nothing happened.
    Throttled,
    /// Lost against a concurrent writer as often as the adapter tries. Nothing happened.
    Contended,
    /// No answer: it may have happened.
    Unknown,
    /// What is stored cannot be read as what it should be.
    Corrupt,
    /// The request itself was refused: wrong table, missing permission, a defect of ours.
    Rejected,
}

/// A port failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {kind:?}")]
pub struct PortError {
    /// What was tried.
    pub operation: &'static str,
    /// How it failed.
    pub kind: PortErrorKind,
    /// Why, as the adapter knows it.
    #[source]
    pub cause: Option<Cause>,
}

impl PortError {
    /// Something stored is not what it should be.
    #[must_use]
    pub const fn corrupt(operation: &'static str) -> Self {
        Self { operation, kind: PortErrorKind::Corrupt, cause: None }
    }

    /// Other writers won as often as the caller tries.
    #[must_use]
    pub const fn contended(operation: &'static str) -> Self {
        Self { operation, kind: PortErrorKind::Contended, cause: None }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self.kind {
            PortErrorKind::Throttled | PortErrorKind::Contended | PortErrorKind::Unknown => true,
            PortErrorKind::Corrupt | PortErrorKind::Rejected => false,
        }
    }

    /// Why, down to the first cause: for the log, never for a caller.
    #[must_use]
    pub fn causes(&self) -> String {
        causes_of(self)
    }
}

/// An error and its causes, outermost first: for the log, never for a caller.
#[must_use]
pub fn causes_of(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(error.to_string());
        source = error.source();
    }
    texts.join(": ")
}

/// A port's answer.
pub type PortResult<T> = Result<T, PortError>;
