//! How a spray's amount is cut into shares.
//!
//! A cut is a pure function of (split, seed, amount, recipients). The hash of the seed is published
//! when the spray is made and the seed when it is over, so anyone can check that the shares were
//! fixed before the first claim.
//!
//! # The random cut, to be recomputed by anyone
//! * Words: for counter = 0, 1, 2 …, SHA-256(seed ‖ counter as 8 bytes big-endian) gives four
//!   64-bit words, big-endian.
//! * A number from 1 to n: take words until one is below ⌊2^64 / n⌋ · n; the number is
//!   word mod n + 1. (Words at or above would favour small numbers.)
//! * Cut points: R. Floyd's sample of `recipients - 1` distinct numbers from 1 to `amount - 1`
//!   (Bentley, "Programming pearls: a sample of brilliance", CACM 30(9), 1987): for j from
//!   `amount - recipients + 1` to `amount - 1`, take t from 1 to j; add t, or j when t is in.
//! * The shares are the gaps between 0, the sorted cut points, and `amount`.
//!
//! Every way of writing the amount as an ordered sum of `recipients` positive integers is equally
//! likely, so no position is favoured.
//!
//! # Guarantees
//! * Each share is at least 1 and the sum is exact: `shares_are_positive_and_sum_to_the_amount`.
//! * No position is favoured: `no_position_is_favoured`, `every_composition_is_equally_likely`.
//! * The seed alone decides: `a_cut_is_recomputed_from_its_seed`.

use std::collections::BTreeSet;
use std::fmt;

use sha2::{Digest, Sha256};

use crate::money::Amount;

/// The most people one spray may serve (docs/limits.md: 1 to 1,000).
pub const RECIPIENTS_MAX: u32 = 1_000;

/// How an amount is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// A uniformly random composition.
    Random,
    /// Equally; the remainder goes to the shares with the lowest numbers, 1 each.
    Equal,
}

impl Split {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Equal => "equal",
        }
    }

    /// The split of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "random" => Some(Self::Random),
            "equal" => Some(Self::Equal),
            _ => None,
        }
    }
}

/// The secret a random cut is computed from; its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// SHA-256 of the seed: published at creation, it commits to the cut.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// An amount cut into shares, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut(Vec<u64>);

impl Cut {
    /// Cuts `amount` into `recipients` shares; needs 1 ≤ recipients ≤ amount.
    #[must_use]
    pub fn new(split: Split, seed: &Seed, amount: Amount, recipients: u32) -> Self {
        match split {
            Split::Random => Self(random(seed, amount.get(), u64::from(recipients))),
            Split::Equal => Self(equal(amount.get(), u64::from(recipients))),
        }
    }

    /// The `number`-th share, counted from 0; `None` past the last one.
    #[must_use]
    pub fn share(&self, number: u64) -> Option<Amount> {
        let index = usize::try_from(number).ok()?;
        self.0.get(index).and_then(|share| Amount::new(*share).ok())
    }

    /// All shares, in the order of their numbers.
    #[must_use]
    pub fn shares(&self) -> &[u64] {
        &self.0
    }
}

fn equal(amount: u64, recipients: u64) -> Vec<u64> {
    let base = amount.checked_div(recipients).unwrap_or(0);
    // The remainder goes to the first `rest` shares, one minor unit each.
    let rest = amount.checked_rem(recipients).unwrap_or(0);
    (0..recipients).map(|i| base.saturating_add(u64::from(i < rest))).collect()
}

fn random(seed: &Seed, amount: u64, recipients: u64) -> Vec<u64> {
    let mut words = Words::new(seed);
    let mut points = BTreeSet::new();
    let first = amount.saturating_sub(recipients).saturating_add(1);
    for j in first..amount {
        let t = words.one_to(j);
        if !points.insert(t) {
            points.insert(j);
        }
    }
    let mut from = 0;
    let ends = points.into_iter().chain(std::iter::once(amount));
    ends.map(|end| end.saturating_sub(std::mem::replace(&mut from, end))).collect()
}

/// The stream of 64-bit words of a seed.
struct Words<'a> {
    seed: &'a Seed,
    counter: u64,
    block: [u8; 32],
    used: usize,
}

impl<'a> Words<'a> {
    const fn new(seed: &'a Seed) -> Self {
        Self { seed, counter: 0, block: [0; 32], used: 32 }
    }

    fn word(&mut self) -> u64 {
        if self.used >= self.block.len() {
            let mut hash = Sha256::new();
            hash.update(self.seed.0);
            hash.update(self.counter.to_be_bytes());
            self.block = hash.finalize().into();
            self.counter = self.counter.wrapping_add(1);
            self.used = 0;
        }
        let end = self.used.saturating_add(8);
        let bytes = self.block.get(self.used..end).unwrap_or_default();
        self.used = end;
        bytes.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte))
    }

    /// A uniform number from 1 to `n`, for n ≥ 1.
    fn one_to(&mut self, n: u64) -> u64 {
        // 2^64 mod n, without leaving 64 bits: (2^64 - n) mod n.
        let surplus = n.wrapping_neg().checked_rem(n).unwrap_or(0);
        loop {
            let word = self.word();
            if word <= u64::MAX.saturating_sub(surplus) {
                return word.checked_rem(n).unwrap_or(0).saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn seed(n: u64) -> Seed {
        Seed(Sha256::digest(n.to_be_bytes()).into())
    }

    fn cut(split: Split, n: u64, amount: u64, recipients: u32) -> Vec<u64> {
        Cut::new(split, &seed(n), Amount::new(amount).unwrap(), recipients).0
    }

    proptest! {
        #[test]
        fn shares_are_positive_and_sum_to_the_amount(
            n in any::<u64>(),
            recipients in 1..=RECIPIENTS_MAX,
            spare in prop_oneof![0..5_u64, 0..1_000_000_000_000 - 1000_u64],
            equal in any::<bool>(),
        ) {
            let amount = u64::from(recipients) + spare;
            let split = if equal { Split::Equal } else { Split::Random };
            let shares = cut(split, n, amount, recipients);
            prop_assert_eq!(shares.len(), recipients as usize);
            prop_assert!(shares.iter().all(|s| *s >= 1));
            prop_assert_eq!(shares.iter().sum::<u64>(), amount);
            if equal {
                prop_assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1);
            }
        }
    }

    #[test]
    fn a_cut_is_recomputed_from_its_seed() {
        assert_eq!(cut(Split::Random, 7, 10_000, 50), cut(Split::Random, 7, 10_000, 50));
        assert_ne!(cut(Split::Random, 7, 10_000, 50), cut(Split::Random, 8, 10_000, 50));
        // Computed from the recipe above by another program, in another language.
        let published = [228, 1_058, 1_340, 1_544, 3_640, 974, 339, 877];
        assert_eq!(cut(Split::Random, 7, 10_000, 8), published);
    }

    /// The mean share of each position over 20,000 cuts of 100 into 5 is 20. The standard deviation
    /// of one share is below 17, of the mean below 0.12: 0.6 is five of them.
    #[test]
    fn no_position_is_favoured() {
        const CUTS: u64 = 20_000;
        let mut sums = [0_u64; 5];
        for n in 0..CUTS {
            for (sum, share) in sums.iter_mut().zip(cut(Split::Random, n, 100, 5)) {
                *sum += share;
            }
        }
        for sum in sums {
            assert!(sum.abs_diff(20 * CUTS) < CUTS * 6 / 10, "{sums:?}");
        }
    }

    /// 7 in 4 ordered parts: C(6, 3) = 20 compositions, 1,000 expected each of 20,000. The
    /// chi-square statistic with 19 degrees of freedom stays below 43.8 with probability 0.999.
    #[test]
    fn every_composition_is_equally_likely() {
        let mut counts: BTreeMap<Vec<u64>, i64> = BTreeMap::new();
        for n in 0..20_000 {
            *counts.entry(cut(Split::Random, n, 7, 4)).or_default() += 1;
        }
        assert_eq!(counts.len(), 20);
        let chi_square_times_1000: i64 = counts.values().map(|c| (c - 1000) * (c - 1000)).sum();
        assert!(chi_square_times_1000 < 43_800, "{counts:?}");
    }

    #[test]
    fn the_first_to_claim_keep_what_does_not_divide() {
        assert_eq!(cut(Split::Equal, 0, 11, 4), [3, 3, 3, 2]);
    }
}
