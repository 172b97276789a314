//! Time as the rules see it: milliseconds of Unix time, handed in by the caller.

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The last moment that still has 13 digits (2286-11-20T17:46:39.999Z); stamps are packed by that
/// width.
pub const TIMESTAMP_MS_MAX: i64 = 9_999_999_999_999;

impl Timestamp {
    /// A moment by its milliseconds, clamped to 0 to [`TIMESTAMP_MS_MAX`].
    #[must_use]
    pub fn from_ms(ms: i64) -> Self {
        Self(ms.clamp(0, TIMESTAMP_MS_MAX))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub const fn ms(self) -> i64 {
        self.0
    }

    /// The same, unsigned: a timestamp is never negative.
    #[must_use]
    pub const fn ms_unsigned(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// The moment `ms` milliseconds later.
    #[must_use]
    pub fn plus_ms(self, ms: u64) -> Self {
        Self::from_ms(self.0.saturating_add_unsigned(ms))
    }

    /// The moment `ms` milliseconds earlier.
    #[must_use]
    pub fn minus_ms(self, ms: u64) -> Self {
        Self::from_ms(self.0.saturating_sub_unsigned(ms))
    }

    /// Milliseconds from `earlier` to this; 0 when it is not earlier.
    #[must_use]
    pub fn ms_since(self, earlier: Self) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }
}

/// When draws are taken: from `opens`, up to but not at `closes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The first moment a draw is taken.
    pub opens: Timestamp,
    /// The first moment no draw is taken any more.
    pub closes: Timestamp,
}

impl Window {
    /// Whether `now` lies before the window.
    #[must_use]
    pub fn is_ahead(&self, now: Timestamp) -> bool {
        now < self.opens
    }

    /// Whether the window is over at `now`.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.closes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_open_from_its_first_to_before_its_last_millisecond() {
        let at = Timestamp::from_ms;
        let window = Window { opens: at(10), closes: at(20) };
        assert!(window.is_ahead(at(9)) && !window.is_ahead(at(10)));
        assert!(!window.is_over(at(19)) && window.is_over(at(20)));
    }

    #[test]
    fn moments_never_leave_their_thirteen_digits() {
        assert_eq!(Timestamp::from_ms(-1).ms(), 0);
        assert_eq!(Timestamp::from_ms(i64::MAX).plus_ms(u64::MAX).ms(), TIMESTAMP_MS_MAX);
        assert_eq!(Timestamp::from_ms(5).ms_since(Timestamp::from_ms(9)), 0);
    }
}
