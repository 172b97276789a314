//! Why a process ended.

use std::fmt;

use lambda_runtime::Error;

/// The error that `main` returns. Rust prints the `Debug` of that error, which would show an
/// error's fields; an operator reads the log, so this prints the error and its causes as text.
pub struct Ended(Error);

impl<E: Into<Error>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the store cannot be set up")]
    struct Setup(#[source] std::io::Error);

    #[test]
    fn an_ended_process_prints_the_error_and_its_causes() {
        let ended = Ended::from(Setup(std::io::Error::other("no randomness")));
        assert_eq!(format!("{ended:?}"), "the store cannot be set up: no randomness");
    }
}
