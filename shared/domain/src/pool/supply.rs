//! What a pool gives.

use super::{Ask, DrawRefused};
use crate::money::Amount;
use crate::split::{Cut, Seed, Split};

/// Numbers 0 to `total - 1`, given out in order; released ones first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// How many there are.
    pub total: u32,
    /// How many have been given out for the first time.
    pub taken: u32,
    /// Given back, in the order they came.
    pub free: Vec<u32>,
}

impl Numbers {
    /// `total` numbers, none given out.
    #[must_use]
    pub const fn new(total: u32) -> Self {
        Self { total, taken: 0, free: Vec::new() }
    }

    /// The number that is given out next.
    #[must_use]
    pub fn next(&self) -> Option<u32> {
        let fresh = (self.taken < self.total).then_some(self.taken);
        self.free.first().copied().or(fresh)
    }

    /// How many can still be given out.
    #[must_use]
    pub fn left(&self) -> u64 {
        let fresh = u64::from(self.total.saturating_sub(self.taken));
        fresh.saturating_add(u64::try_from(self.free.len()).unwrap_or(u64::MAX))
    }

    fn take(&mut self) {
        if self.free.is_empty() {
            self.taken = self.taken.saturating_add(1);
        } else {
            self.free.remove(0);
        }
    }

    /// The numbers that are out, in order.
    pub fn out(&self) -> impl Iterator<Item = u32> {
        (0..self.taken).filter(|n| !self.free.contains(n))
    }
}

/// A bounded supply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Supply {
    /// The shares of a spray.
    Shares {
        /// How the amount is cut.
        split: Split,
        /// What the cut is computed from.
        seed: Seed,
        /// What is cut.
        amount: Amount,
        /// Which shares are out.
        numbers: Numbers,
    },
    /// The slots of a drop, each worth the same.
    Slots {
        /// What one slot pays.
        amount_each: Amount,
        /// Which slots are out.
        numbers: Numbers,
    },
    /// An amount, drawn in parts.
    Amount {
        /// What there was.
        target: Amount,
        /// What there still is.
        remaining: u64,
    },
}

impl Supply {
    /// The part that a draw takes next.
    pub(super) fn next_part(&self, ask: Ask) -> Result<u64, DrawRefused> {
        match (self, ask) {
            (Self::Shares { numbers, .. } | Self::Slots { numbers, .. }, Ask::Next) => {
                numbers.next().map(u64::from).ok_or(DrawRefused::Exhausted)
            }
            (Self::Amount { remaining: 0, .. }, _) => Err(DrawRefused::Exhausted),
            (Self::Amount { remaining, .. }, Ask::Amount(amount)) => {
                let remaining = *remaining;
                if amount.get() <= remaining {
                    Ok(amount.get())
                } else {
                    Err(DrawRefused::AboveRemaining { remaining })
                }
            }
            // An ask of the other kind can take nothing.
            (Self::Shares { .. } | Self::Slots { .. }, Ask::Amount(_))
            | (Self::Amount { .. }, Ask::Next) => {
                Err(DrawRefused::AboveRemaining { remaining: self.left() })
            }
        }
    }

    pub(super) fn take(&mut self, ask: Ask) {
        match (self, ask) {
            (Self::Shares { numbers, .. } | Self::Slots { numbers, .. }, Ask::Next) => {
                numbers.take();
            }
            (Self::Amount { remaining, .. }, Ask::Amount(amount)) => {
                *remaining = remaining.saturating_sub(amount.get());
            }
            (Self::Shares { .. } | Self::Slots { .. }, Ask::Amount(_))
            | (Self::Amount { .. }, Ask::Next) => {}
        }
    }

    pub(super) fn give_back(&mut self, part: u64) {
        match self {
            Self::Shares { numbers, .. } | Self::Slots { numbers, .. } => {
                numbers.free.extend(u32::try_from(part));
            }
            Self::Amount { remaining, .. } => *remaining = remaining.saturating_add(part),
        }
    }

    /// How much can still be drawn: numbers of shares or slots, or minor units of an amount.
    #[must_use]
    pub fn left(&self) -> u64 {
        match self {
            Self::Shares { numbers, .. } | Self::Slots { numbers, .. } => numbers.left(),
            Self::Amount { remaining, .. } => *remaining,
        }
    }

    /// What was put into the pool, in minor units.
    #[must_use]
    pub fn put_in(&self) -> u64 {
        match self {
            Self::Shares { amount, .. } => amount.get(),
            Self::Slots { amount_each, numbers } => {
                amount_each.get().saturating_mul(u64::from(numbers.total))
            }
            Self::Amount { target, .. } => target.get(),
        }
    }

    /// The shares of a spray; `None` for the other supplies.
    #[must_use]
    pub fn cut(&self) -> Option<Cut> {
        match self {
            Self::Shares { split, seed, amount, numbers } => {
                Some(Cut::new(*split, seed, *amount, numbers.total))
            }
            Self::Slots { .. } | Self::Amount { .. } => None,
        }
    }

    /// What a drawn part is worth; `None` for a part that this supply never gave.
    #[must_use]
    pub fn worth(&self, part: u64) -> Option<Amount> {
        match self {
            Self::Shares { .. } => self.cut().and_then(|cut| cut.share(part)),
            Self::Slots { amount_each, numbers } => {
                (part < u64::from(numbers.total)).then_some(*amount_each)
            }
            Self::Amount { .. } => Amount::new(part).ok(),
        }
    }

    /// What is not drawn, in minor units.
    #[must_use]
    pub fn remainder(&self) -> u64 {
        match self {
            Self::Shares { amount, numbers, .. } => {
                let cut = self.cut();
                let worth = |n: u32| cut.as_ref().and_then(|c| c.share(u64::from(n)));
                let out = numbers.out().filter_map(worth).map(Amount::get);
                out.fold(amount.get(), u64::saturating_sub)
            }
            Self::Slots { amount_each, numbers } => {
                amount_each.get().saturating_mul(numbers.left())
            }
            Self::Amount { remaining, .. } => *remaining,
        }
    }
}
