//! The order in which a member tries the buckets of a pool.

use sha2::{Digest, Sha256};

use crate::id::{PoolId, UserId};

/// A permutation of the buckets of a pool, fixed by hash(pool, member).
///
/// It is double hashing (Knuth, TAOCP volume 3, 6.4): start, start + step, start + 2 step … modulo
/// the number of buckets, with a step that has no common divisor with it.
#[derive(Clone, Debug)]
pub struct Walk {
    next: u64,
    step: u64,
    buckets: u64,
    left: u32,
}

impl Walk {
    /// The member's walk over `buckets` buckets.
    #[must_use]
    pub fn new(pool: &PoolId, member: &UserId, buckets: u32) -> Self {
        let mut hash = Sha256::new();
        hash.update(pool.to_string().as_bytes());
        // A pool's name never holds a line feed, so no two pairs hash the same text.
        hash.update(b"\n");
        hash.update(member.as_str().as_bytes());
        let digest = hash.finalize();
        let mut words = digest
            .chunks_exact(8)
            .map(|bytes| bytes.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte)));
        let count = u64::from(buckets.max(1));
        let mut below = |n: u64| words.next().and_then(|word| word.checked_rem(n)).unwrap_or(0);
        let next = below(count);
        let mut step = below(count).max(1);
        while greatest_common_divisor(step, count) != 1 {
            step = step.saturating_add(1);
        }
        Self { next, step, buckets: count, left: buckets }
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while let Some(rest) = a.checked_rem(b) {
        (a, b) = (b, rest);
    }
    a
}

impl Iterator for Walk {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        self.left = self.left.checked_sub(1)?;
        let bucket = u32::try_from(self.next).ok()?;
        self.next = self.next.saturating_add(self.step).checked_rem(self.buckets)?;
        Some(bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn pool() -> PoolId {
        "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
    }

    proptest! {
        #[test]
        fn a_walk_visits_every_bucket_once_and_is_the_members_own(
            member in "[A-Za-z0-9_-]{1,64}", buckets in 0..6_300_u32,
        ) {
            let member: UserId = member.parse().unwrap();
            let walk: Vec<u32> = Walk::new(&pool(), &member, buckets).collect();
            let seen: BTreeSet<u32> = walk.iter().copied().collect();
            prop_assert_eq!(seen, (0..buckets).collect::<BTreeSet<u32>>());
            prop_assert_eq!(walk.len(), buckets as usize);
            let again: Vec<u32> = Walk::new(&pool(), &member, buckets).collect();
            prop_assert_eq!(walk, again);
        }
    }

    #[test]
    fn members_start_evenly_over_the_buckets() {
        let mut starts = [0_u32; 63];
        for n in 0..63_000 {
            let member = format!("member-{n}").parse().unwrap();
            starts[Walk::new(&pool(), &member, 63).next().unwrap() as usize] += 1;
        }
        // 1,000 each on average, 31 the standard deviation.
        assert!(starts.iter().all(|n| (840..=1_160).contains(n)), "{starts:?}");
    }
}
