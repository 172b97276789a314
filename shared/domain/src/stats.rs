//! What each feature did, in cells of a quarter of an hour.
//!
//! A day of a time zone is a range of cells: every offset that is in use is a whole number of
//! quarters, also those of India (+05:30) and Nepal (+05:45), and every change to and from summer
//! time falls between two cells.
//!
//! # Guarantees
//! * A range of cells sums to what a count of the same transfers gives, for any cut into ranges:
//!   `ranges_sum_to_the_whole_in_any_zone`.

use std::collections::BTreeMap;

use crate::id::PoolId;
use crate::ledger::{Transfer, TransferKind};
use crate::time::Timestamp;

mod latency;

pub use latency::Latencies;

/// The length of a cell: a quarter of an hour.
pub const CELL_MS: u64 = 900_000;
/// The length of a day of UTC.
pub const DAY_MS: u64 = 86_400_000;

/// What figures are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Deposits.
    Wallet,
    /// Sprays.
    Spray,
    /// Drops.
    Drop,
    /// Products.
    Product,
    /// Campaigns.
    Campaign,
}

impl Feature {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Wallet, Self::Spray, Self::Drop, Self::Product, Self::Campaign];

    /// The feature that a pool belongs to.
    #[must_use]
    pub const fn of(pool: PoolId) -> Self {
        match pool {
            PoolId::Spray(_) => Self::Spray,
            PoolId::Drop(_) | PoolId::Waiting(_) | PoolId::Lots(_) => Self::Drop,
            PoolId::Product(_) => Self::Product,
            PoolId::Campaign(_) => Self::Campaign,
        }
    }
}

/// What a feature did in a while. Each figure belongs to the moment at which it was decided: a
/// payment to that of its entry, also when it was paid later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Deposits, sprays, drops and campaigns made, investments.
    pub made: u64,
    /// Their sum; of campaigns, what was sealed.
    pub made_amount: u64,
    /// Entries: shares and slots that members drew.
    pub drawn: u64,
    /// Payments to members, and of products to their issuers.
    pub paid: u64,
    /// Their sum.
    pub paid_amount: u64,
    /// Entries whose payment was given up, voided or passed on; rows of campaigns that failed.
    pub failed: u64,
    /// Refunds, and payments of campaigns that were taken back.
    pub returned: u64,
    /// Their sum.
    pub returned_amount: u64,
    /// How long it took from an entry to its payment, of the payments of which that is known; how
    /// long the last runs of campaigns took.
    pub latencies: Latencies,
}

impl Cell {
    /// The sum of both.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            latencies: self.latencies.plus(&other.latencies),
            made: self.made.saturating_add(other.made),
            made_amount: self.made_amount.saturating_add(other.made_amount),
            drawn: self.drawn.saturating_add(other.drawn),
            paid: self.paid.saturating_add(other.paid),
            paid_amount: self.paid_amount.saturating_add(other.paid_amount),
            failed: self.failed.saturating_add(other.failed),
            returned: self.returned.saturating_add(other.returned),
            returned_amount: self.returned_amount.saturating_add(other.returned_amount),
        }
    }

    /// What one transfer adds.
    #[must_use]
    pub fn of_transfer(transfer: &Transfer) -> Self {
        let order = &transfer.order;
        let (one, amount) = (1, order.amount.get());
        match order.kind {
            TransferKind::Deposit
            | TransferKind::Spray
            | TransferKind::Drop
            | TransferKind::Investment => {
                Self { made: one, made_amount: amount, ..Self::default() }
            }
            TransferKind::Claim => {
                let took = transfer.posted.map(|posted| Latencies::of(posted.ms_since(order.at)));
                let latencies = took.unwrap_or_default();
                Self { paid: one, paid_amount: amount, latencies, ..Self::default() }
            }
            TransferKind::Campaign | TransferKind::Payout => {
                Self { paid: one, paid_amount: amount, ..Self::default() }
            }
            TransferKind::Refund | TransferKind::Reversal => {
                Self { returned: one, returned_amount: amount, ..Self::default() }
            }
        }
    }

    /// The share of the entries that were paid among those of which is known what became of them,
    /// in a hundredth of a percent, rounded down; `None` where there are none.
    #[must_use]
    pub const fn success_rate(&self) -> Option<u64> {
        let known = self.paid.saturating_add(self.failed);
        self.paid.saturating_mul(10_000).checked_div(known)
    }
}

/// The number of a cell: quarters since 1970.
#[must_use]
pub const fn cell_of(at: Timestamp) -> u64 {
    at.ms_unsigned().div_euclid(CELL_MS)
}

/// The figures of a while: a day of UTC, or what a pass has counted so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    cells: BTreeMap<(u64, Feature), Cell>,
}

impl Stats {
    /// Adds to the figures of a moment.
    pub fn add(&mut self, at: Timestamp, feature: Feature, more: Cell) {
        self.add_cell(cell_of(at), feature, more);
    }

    /// Adds to a cell.
    pub fn add_cell(&mut self, number: u64, feature: Feature, more: Cell) {
        let cell = self.cells.entry((number, feature)).or_default();
        *cell = cell.plus(more);
    }

    /// Adds a transfer at the moment at which it was decided.
    pub fn add_transfer(&mut self, transfer: &Transfer) {
        let feature = transfer.order.pool.map_or(Feature::Wallet, Feature::of);
        self.add(transfer.order.at, feature, Cell::of_transfer(transfer));
    }

    /// Adds all figures of another.
    pub fn merge(&mut self, other: &Self) {
        for ((number, feature), cell) in &other.cells {
            self.add_cell(*number, *feature, *cell);
        }
    }

    /// All cells that hold something.
    pub fn cells(&self) -> impl Iterator<Item = (u64, Feature, &Cell)> {
        self.cells.iter().map(|((number, feature), cell)| (*number, *feature, cell))
    }

    /// The sum of a feature over a half-open range of time. Both bounds lie between two cells.
    #[must_use]
    pub fn sum(&self, feature: Feature, from: Timestamp, to: Timestamp) -> Cell {
        let range = (cell_of(from), Feature::Wallet)..(cell_of(to), Feature::Wallet);
        let cells = self.cells.range(range).filter(|((_, of), _)| *of == feature);
        cells.fold(Cell::default(), |sum, (_, cell)| sum.plus(*cell))
    }

    /// The figures of the day of UTC that begins at `day`.
    #[must_use]
    pub fn day(&self, day: Timestamp) -> Self {
        let range =
            (cell_of(day), Feature::Wallet)..(cell_of(day.plus_ms(DAY_MS)), Feature::Wallet);
        Self { cells: self.cells.range(range).map(|(key, cell)| (*key, *cell)).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rate_of_success_is_of_what_is_known() {
        let cell = |paid, failed| Cell { paid, failed, ..Cell::default() }.success_rate();
        assert_eq!((cell(0, 0), cell(1, 0), cell(2, 1)), (None, Some(10_000), Some(6_666)));
    }

    proptest! {
        /// Seoul +540, Nepal +345, India +330, St. John's -210, and any other quarter.
        #[test]
        fn ranges_sum_to_the_whole_in_any_zone(
            moments in proptest::collection::vec(0..20 * 86_400_000_i64, 1..50),
            offset in prop::sample::select(vec![0_i64, 540, 345, 330, -210, -600, 840]),
        ) {
            let mut stats = Stats::default();
            let one = Cell { made: 1, made_amount: 3, ..Cell::default() };
            let shifted = |ms: i64| Timestamp::from_ms(ms + 30 * 86_400_000);
            for ms in &moments {
                stats.add(shifted(*ms), Feature::Spray, one);
            }
            for day in 0..22_i64 {
                let start = (day - 1) * 86_400_000 - offset * 60_000;
                let (from, to) = (shifted(start), shifted(start + 86_400_000));
                let expected = moments.iter().filter(|ms| (start..start + 86_400_000).contains(ms));
                let sum = stats.sum(Feature::Spray, from, to);
                let count = u64::try_from(expected.count()).unwrap();
                prop_assert_eq!((sum.made, sum.made_amount), (count, 3 * count));
                prop_assert_eq!(stats.sum(Feature::Drop, from, to), Cell::default());
            }
            let mut again = Stats::default();
            for day in 30..50 {
                again.merge(&stats.day(Timestamp::from_ms(day * 86_400_000)));
            }
            prop_assert_eq!(again, stats);
        }
    }
}
