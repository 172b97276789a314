//! What a piece of work used of the database: calls, and the capacity units that they consumed.
//!
//! The HTTP kernel and the runners of the runtime count around each request or event, and log the sums.
//! The AWS adapters add what each call reports. Neither knows the other.
//!
//! # Guarantees
//! * Work that runs at the same time is counted apart: `two_requests_of_one_process_are_counted_apart`.

use std::cell::Cell;
use std::fmt;
use std::future::Future;

tokio::task_local! {
    static CURRENT: Cell<Usage>;
}

/// Capacity units. DynamoDB reports halves, so they are kept in hundredths of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Units(u64);

impl Units {
    /// So many hundredths of a unit.
    #[must_use]
    pub const fn from_hundredths(hundredths: u64) -> Self {
        Self(hundredths)
    }

    /// How many hundredths of a unit.
    #[must_use]
    pub const fn hundredths(self) -> u64 {
        self.0
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// As a decimal number: `2.50`.
impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0.checked_div(100).unwrap_or(0);
        let rest = self.0.checked_rem(100).unwrap_or(0);
        write!(f, "{whole}.{rest:02}")
    }
}

/// What a piece of work used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls of the database, repeats included.
    pub calls: u64,
    /// Read units.
    pub read: Units,
    /// Write units.
    pub write: Units,
}

impl Usage {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_add(other.calls),
            read: self.read.plus(other.read),
            write: self.write.plus(other.write),
        }
    }
}

/// Runs `work` and says what it used. Tasks that `work` spawns are not counted.
pub async fn counted<F: Future>(work: F) -> (F::Output, Usage) {
    let counted = async {
        let output = work.await;
        (output, CURRENT.with(Cell::get))
    };
    CURRENT.scope(Cell::default(), counted).await
}

/// Adds to what the current work used. Outside [`counted`] it does nothing.
pub fn add(used: Usage) {
    // Outside, nothing reads the sum.
    let _ = CURRENT.try_with(|current| current.set(current.get().plus(used)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_call(read: u64, write: u64) -> Usage {
        let (read, write) = (Units::from_hundredths(read), Units::from_hundredths(write));
        Usage { calls: 1, read, write }
    }

    #[tokio::test]
    async fn two_requests_of_one_process_are_counted_apart() {
        let work = async |read: u64| {
            add(one_call(read, 100));
            tokio::task::yield_now().await;
            add(one_call(read, 0));
            read
        };
        let (first, second) = futures::join!(counted(work(50)), counted(work(200)));
        assert_eq!((first.0, second.0), (50, 200));
        let sums = |used: Usage| (used.calls, used.read.to_string(), used.write.to_string());
        assert_eq!(sums(first.1), (2, "1.00".to_owned(), "1.00".to_owned()));
        assert_eq!(sums(second.1), (2, "4.00".to_owned(), "1.00".to_owned()));
        // Outside, it is lost and does no harm.
        add(one_call(1, 1));
    }

    #[test]
    fn units_are_written_as_decimal_numbers() {
        let written = [0, 5, 50, 100, 1_250].map(|n| Units::from_hundredths(n).to_string());
        assert_eq!(written, ["0.00", "0.05", "0.50", "1.00", "12.50"]);
    }
}
