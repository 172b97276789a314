//! Money: unsigned integers in the currency's minor unit (KRW: won), checked at every step.
//!
//! # Guarantees
//! * An [`Amount`] is never zero and never above [`AMOUNT_MAX`]: `an_amount_is_one_to_the_maximum`.
//! * A [`Balance`] neither wraps nor goes below zero: `a_balance_never_wraps`.

use std::fmt;

/// The largest amount of one operation, in minor units (docs/limits.md: one trillion).
pub const AMOUNT_MAX: u64 = 1_000_000_000_000;

/// The largest balance of one wallet, in minor units: the largest integer that every JSON reader
/// keeps exact (RFC 8259 section 6: 2^53 - 1).
pub const BALANCE_MAX: u64 = 9_007_199_254_740_991;

/// An amount that moves: 1 to [`AMOUNT_MAX`] minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(u64);

/// What a wallet holds: 0 to [`BALANCE_MAX`] minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Balance(u64);

/// Why a number is no money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Nothing moves in amounts of zero.
    #[error("an amount is at least 1")]
    Zero,
    /// Above [`AMOUNT_MAX`].
    #[error("an amount is at most {AMOUNT_MAX}")]
    TooLarge,
}

impl Amount {
    /// Takes a number of minor units as an amount.
    ///
    /// # Errors
    /// [`MoneyError`] outside 1 to [`AMOUNT_MAX`].
    pub const fn new(minor: u64) -> Result<Self, MoneyError> {
        match minor {
            0 => Err(MoneyError::Zero),
            1..=AMOUNT_MAX => Ok(Self(minor)),
            _ => Err(MoneyError::TooLarge),
        }
    }

    /// The number of minor units.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Balance {
    /// An empty wallet.
    pub const ZERO: Self = Self(0);

    /// Takes a number of minor units as a balance; `None` above [`BALANCE_MAX`].
    #[must_use]
    pub const fn new(minor: u64) -> Option<Self> {
        if minor <= BALANCE_MAX { Some(Self(minor)) } else { None }
    }

    /// The number of minor units.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The balance after a credit; `None` when it would exceed [`BALANCE_MAX`].
    #[must_use]
    pub fn plus(self, amount: Amount) -> Option<Self> {
        self.0.checked_add(amount.0).and_then(Self::new)
    }

    /// The balance after a debit; `None` when there is not enough.
    #[must_use]
    pub fn minus(self, amount: Amount) -> Option<Self> {
        self.0.checked_sub(amount.0).map(Self)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_one_to_the_maximum() {
        assert_eq!(Amount::new(0), Err(MoneyError::Zero));
        assert_eq!(Amount::new(1).map(Amount::get), Ok(1));
        assert_eq!(Amount::new(AMOUNT_MAX).map(Amount::get), Ok(AMOUNT_MAX));
        assert_eq!(Amount::new(AMOUNT_MAX + 1), Err(MoneyError::TooLarge));
        assert_eq!(Amount::new(u64::MAX), Err(MoneyError::TooLarge));
    }

    #[test]
    fn a_balance_never_wraps() {
        let one = Amount::new(1).unwrap();
        assert_eq!(Balance::ZERO.minus(one), None);
        assert_eq!(Balance::new(BALANCE_MAX).unwrap().plus(one), None);
        assert_eq!(Balance::new(BALANCE_MAX + 1), None);
        assert_eq!(Balance::ZERO.plus(one).unwrap().minus(one), Some(Balance::ZERO));
    }
}
