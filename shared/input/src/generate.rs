//! Rows for trials: the same plan makes the same rows, on any machine and in any version.

use largesse_domain::id::UserId;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;

use crate::row::Row;

/// What to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many rows: members `user-0000001` and on.
    pub rows: u64,
    /// Another seed makes other amounts for the same members.
    pub seed: u64,
    /// The least amount.
    pub amount_min: Amount,
    /// The largest amount. Below `amount_min`, every amount is `amount_min`.
    pub amount_max: Amount,
    /// The reason of every row.
    pub reason: Memo,
}

impl Plan {
    /// The rows, each with the line that it has below a header.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        (1..=self.rows).map_while(|number| self.row(number))
    }

    /// The row of a number from 1; every number has a member.
    fn row(&self, number: u64) -> Option<Row> {
        let member: UserId = format!("user-{number:07}").parse().ok()?;
        let (line, reason) = (number.saturating_add(1), self.reason.clone());
        Some(Row { line, member, amount: self.amount(number), reason })
    }

    /// An amount of the range. The remainder of a 64-bit number prefers no amount by more than one
    /// part in ten million.
    fn amount(&self, number: u64) -> Amount {
        let (min, max) = (self.amount_min.get(), self.amount_max.get());
        let span = max.saturating_sub(min).saturating_add(1);
        let offset = mixed(self.seed, number).checked_rem(span).unwrap_or(0);
        Amount::new(min.saturating_add(offset)).unwrap_or(self.amount_min)
    }
}

/// The number at a place of the sequence of a seed: SplitMix64 (Steele, Lea and Flood, "Fast
/// Splittable Pseudorandom Number Generators", 2014).
fn mixed(seed: u64, place: u64) -> u64 {
    let z = seed.wrapping_add(place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(rows: u64, seed: u64) -> Plan {
        let amount = |minor| Amount::new(minor).unwrap();
        let reason = Memo::new("generated").unwrap();
        Plan { rows, seed, amount_min: amount(100), amount_max: amount(200), reason }
    }

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        // The first numbers of seed 1234567, as published with the reference implementation.
        let numbers = [1, 2, 3].map(|place| mixed(1_234_567, place));
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn a_plan_makes_the_same_rows_each_time_and_another_seed_other_amounts() {
        let rows: Vec<Row> = plan(1_000, 1).rows().collect();
        assert_eq!(rows, plan(1_000, 1).rows().collect::<Vec<_>>());
        assert_ne!(rows, plan(1_000, 2).rows().collect::<Vec<_>>());
        assert_eq!(rows.len(), 1_000);
        assert_eq!((rows[0].member.as_str(), rows[0].line), ("user-0000001", 2));
        let amounts: Vec<u64> = rows.iter().map(|row| row.amount.get()).collect();
        assert_eq!((amounts.iter().min(), amounts.iter().max()), (Some(&100), Some(&200)));
    }

    #[test]
    fn a_range_of_one_amount_makes_that_amount() {
        let one = Plan { amount_max: Amount::new(1).unwrap(), ..plan(3, 7) };
        assert!(one.rows().all(|row| row.amount.get() == 100));
    }
}
