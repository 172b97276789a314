//! How the rows of a sealed campaign lie in chunks.
//!
//! A row's chunk follows from its member alone, so one read finds a row, and all rows of a member
//! meet in one chunk, where duplicates are folded.
//!
//! # The layout
//! * n accepted rows, duplicates included, lie in ⌈n / 100⌉ · 2^round chunks.
//! * The chunk of a member is the first 8 bytes of SHA-256(`round` LF `member`), big-endian, modulo
//!   the number of chunks. (The bias of the modulus is below 10^-12.)
//!
//! # How large a chunk becomes
//! A chunk of n members is binomial with a mean of at most 100, so P(size ≥ 201) is at most
//! e^-(100 - 201 + 201 · ln 2.01) < 10^-16 (Chernoff's bound). Of the 10,000 chunks of a million
//! rows, one is larger than [`CHUNK_ROWS_MAX`] with a probability below 10^-12. Only rows made for
//! it can do that, for example one member named 201 times. Such a chunk is folded first: only rows
//! that are kept count. When it is too large even so, the seal takes the next round, which hashes
//! anew into twice as many chunks; after [`LAYOUT_ROUNDS`] the seal fails ([`ChunkTooLarge`]).

use sha2::{Digest, Sha256};

use super::ROWS_MAX;
use super::key::ChunkNumber;
use crate::id::UserId;

/// The rows of a chunk in the mean (architecture.md 5.4: about 100).
pub const CHUNK_ROWS_MEAN: u64 = 100;

/// The most rows of a chunk. A row is at most 64 bytes of member, 13 digits and 800 bytes of
/// reason, so a chunk stays below 180 KB of the 400 KB that an item may have.
pub const CHUNK_ROWS_MAX: usize = 200;

/// How many layouts a seal tries.
pub const LAYOUT_ROUNDS: u8 = 3;

/// Which member lies in which chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    rows: u64,
    round: u8,
}

/// More rows in a chunk than it may have, in the last layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a chunk has more than {CHUNK_ROWS_MAX} rows in each of {LAYOUT_ROUNDS} layouts")]
pub struct ChunkTooLarge;

impl Layout {
    /// The first layout of this many accepted rows; `None` outside 1 to [`ROWS_MAX`].
    #[must_use]
    pub fn new(rows: u64) -> Option<Self> {
        (1..=ROWS_MAX).contains(&rows).then_some(Self { rows, round: 0 })
    }

    /// The layout of a round, as a sealed campaign keeps it; `None` outside the limits.
    #[must_use]
    pub fn of_round(rows: u64, round: u8) -> Option<Self> {
        let first = Self::new(rows)?;
        (round < LAYOUT_ROUNDS).then_some(Self { round, ..first })
    }

    /// The layout to try when a chunk is too large.
    ///
    /// # Errors
    /// [`ChunkTooLarge`] after the last round.
    pub fn next(self) -> Result<Self, ChunkTooLarge> {
        Self::of_round(self.rows, self.round.saturating_add(1)).ok_or(ChunkTooLarge)
    }

    /// The accepted rows that it was made for.
    #[must_use]
    pub const fn rows(self) -> u64 {
        self.rows
    }

    /// Which round it is, from 0.
    #[must_use]
    pub const fn round(self) -> u8 {
        self.round
    }

    /// How many chunks there are: at least 1, at most 40,000.
    #[must_use]
    pub fn chunks(self) -> u32 {
        let first = self.rows.div_ceil(CHUNK_ROWS_MEAN);
        u32::try_from(first << self.round).unwrap_or(u32::MAX)
    }

    /// The chunk of a member.
    #[must_use]
    pub fn chunk(self, member: &UserId) -> ChunkNumber {
        let digest = Sha256::digest(format!("{}\n{member}", self.round));
        let word = digest.iter().take(8).fold(0, |bits, byte| (bits << 8) | u64::from(*byte));
        let chunk = word.checked_rem(u64::from(self.chunks())).unwrap_or(0);
        ChunkNumber(u32::try_from(chunk).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows in the largest and the smallest chunk.
    fn sizes(layout: Layout, rows: u64, member: impl Fn(u64) -> String) -> (usize, usize) {
        let mut sizes = vec![0_usize; usize::try_from(layout.chunks()).unwrap()];
        for n in 0..rows {
            let chunk = layout.chunk(&member(n).parse().unwrap());
            sizes[usize::try_from(chunk.0).unwrap()] += 1;
        }
        (*sizes.iter().min().unwrap(), *sizes.iter().max().unwrap())
    }

    #[test]
    fn no_chunk_of_a_million_rows_is_above_the_limit() {
        let layout = Layout::new(ROWS_MAX).unwrap();
        assert_eq!(layout.chunks(), 10_000);
        let (smallest, largest) = sizes(layout, ROWS_MAX, |n| format!("{n:07}"));
        assert!(largest <= CHUNK_ROWS_MAX && smallest > 0, "{smallest} to {largest}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_chunk_is_above_the_limit_whatever_the_ids_look_like(
            rows in 1..20_000_u64,
            prefix in "[A-Za-z0-9_-]{0,20}",
            step in 1..1_000_000_u64,
            round in 0..LAYOUT_ROUNDS,
        ) {
            let layout = Layout::of_round(rows, round).unwrap();
            let (_, largest) = sizes(layout, rows, |n| format!("{prefix}{}", n * step));
            prop_assert!(largest <= CHUNK_ROWS_MAX, "{largest}");
        }
    }

    #[test]
    fn a_layout_has_a_chunk_for_each_hundred_rows_and_doubles_when_one_is_too_large() {
        let chunks = |rows| Layout::new(rows).map(Layout::chunks);
        assert_eq!([chunks(1), chunks(100), chunks(101)], [Some(1), Some(1), Some(2)]);
        assert_eq!([chunks(0), chunks(ROWS_MAX + 1)], [None, None]);
        let mut layout = Layout::new(1_000).unwrap();
        let mut seen = vec![layout.chunks()];
        while let Ok(next) = layout.next() {
            layout = next;
            seen.push(layout.chunks());
        }
        assert_eq!(seen, [10, 20, 40]);
    }

    /// Members made to share a chunk do not share one in the next round.
    #[test]
    fn the_next_round_takes_a_chunk_apart() {
        let layout = Layout::new(1_000).unwrap();
        let members = (0..).map(|n| format!("m{n}").parse().unwrap());
        let in_first: Vec<UserId> =
            members.filter(|member| layout.chunk(member) == ChunkNumber(0)).take(1_000).collect();
        let next = layout.next().unwrap();
        let largest = sizes(next, 1_000, |n| in_first[usize::try_from(n).unwrap()].to_string()).1;
        assert!(largest <= CHUNK_ROWS_MAX, "{largest}");
    }
}
