//! How long something took, counted in buckets of powers of two.
//!
//! # Guarantees
//! * A percentile is at least what was measured, and less than twice as long:
//!   `a_percentile_is_at_least_what_was_measured_and_less_than_twice_as_long`.

/// How many buckets there are. The last one holds everything from 2^30 ms, which is twelve days, on.
const BUCKETS: usize = 32;

/// Counts by their length: bucket 0 holds 0 ms, bucket n from 2^(n-1) up to below 2^n ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    counts: [u32; BUCKETS],
}

impl Latencies {
    /// One that took so long.
    #[must_use]
    pub fn of(ms: u64) -> Self {
        let bits = u64::BITS.saturating_sub(ms.leading_zeros());
        let mut one = Self::default();
        one.add(usize::try_from(bits).unwrap_or(usize::MAX), 1);
        one
    }

    /// Adds to a bucket; what belongs behind the last one is added to the last one.
    pub fn add(&mut self, bucket: usize, more: u32) {
        if let Some(count) = self.counts.get_mut(bucket.min(BUCKETS.saturating_sub(1))) {
            *count = count.saturating_add(more);
        }
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        for (bucket, more) in other.buckets() {
            self.add(bucket, more);
        }
        self
    }

    /// The buckets that hold something.
    pub fn buckets(&self) -> impl Iterator<Item = (usize, u32)> {
        self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).fold(0, u64::saturating_add)
    }

    /// The longest time, in milliseconds, that the bucket holds in which so many percent of all are
    /// reached; `None` when there are none.
    #[must_use]
    pub fn percentile_ms(&self, percent: u64) -> Option<u64> {
        let rank = self.count().saturating_mul(percent).div_ceil(100).max(1);
        let mut reached = 0_u64;
        let found = self.buckets().find(|(_, count)| {
            reached = reached.saturating_add(u64::from(*count));
            reached >= rank
        });
        let (bucket, _) = found?;
        let ends = u32::try_from(bucket).ok().and_then(|bits| 1_u64.checked_shl(bits));
        Some(ends.map_or(u64::MAX, |ends| ends.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_all(all: &[u64]) -> Latencies {
        all.iter().fold(Latencies::default(), |sum, ms| sum.plus(&Latencies::of(*ms)))
    }

    #[test]
    fn percentiles_are_the_ends_of_buckets() {
        assert_eq!((of_all(&[]).count(), of_all(&[]).percentile_ms(50)), (0, None));
        assert_eq!(of_all(&[0]).percentile_ms(99), Some(0));
        let mut all = vec![100; 98];
        all.extend([3_000, 900_000]);
        let all = of_all(&all);
        let percentiles = [50, 98, 99, 100].map(|percent| all.percentile_ms(percent));
        assert_eq!(percentiles, [Some(127), Some(127), Some(4_095), Some(1_048_575)]);
        assert_eq!(all.count(), 100);
    }

    #[test]
    fn what_took_weeks_is_in_the_last_bucket() {
        assert_eq!(of_all(&[u64::MAX]), of_all(&[1 << 30]));
        assert_ne!(of_all(&[u64::MAX]), of_all(&[(1 << 30) - 1]));
    }

    proptest! {
        #[test]
        fn a_percentile_is_at_least_what_was_measured_and_less_than_twice_as_long(
            mut all in proptest::collection::vec(0..1_u64 << 31, 1..100),
            percent in 1..=100_u64,
        ) {
            let told = of_all(&all).percentile_ms(percent).unwrap();
            all.sort_unstable();
            let rank = (u64::try_from(all.len()).unwrap() * percent).div_ceil(100);
            let measured = all[usize::try_from(rank).unwrap() - 1];
            prop_assert!(measured <= told && told <= measured * 2, "{measured} {told}");
        }
    }
}
