//! Rate and estimate, in whole numbers.

use crate::time::Timestamp;

/// How far a campaign had come at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When.
    pub at: Timestamp,
    /// How many rows were no longer open: paid or failed.
    pub done: u64,
}

/// Rows done between two snapshots, and the milliseconds it took; `None` when nothing was done or
/// no time passed.
fn advance(earlier: Snapshot, later: Snapshot) -> Option<(u128, u128)> {
    let rows = later.done.checked_sub(earlier.done).filter(|rows| *rows > 0)?;
    let ms = later.at.ms_since(earlier.at);
    (ms > 0).then_some((u128::from(rows), u128::from(ms)))
}

/// The rate between two snapshots in rows per 1,000 seconds, rounded down: 250 rows a second are
/// 250,000. `None` when nothing was done or no time passed.
#[must_use]
pub fn rows_per_1000_s(earlier: Snapshot, later: Snapshot) -> Option<u64> {
    let (rows, ms) = advance(earlier, later)?;
    u64::try_from(rows.checked_mul(1_000_000)?.checked_div(ms)?).ok()
}

/// The seconds that `open` rows will take at the rate between two snapshots, rounded up. `None`
/// when the rate is not known.
#[must_use]
pub fn eta_s(earlier: Snapshot, later: Snapshot, open: u64) -> Option<u64> {
    let (rows, ms) = advance(earlier, later)?;
    let ms_times_rows = u128::from(open).checked_mul(ms)?;
    u64::try_from(ms_times_rows.div_ceil(rows.checked_mul(1_000)?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn snapshot(ms: i64, done: u64) -> Snapshot {
        Snapshot { at: Timestamp::from_ms(ms), done }
    }

    #[rstest]
    #[case::five_seconds(1_250, 5_000, 998_750, Some(250_000), Some(3_995))]
    #[case::rounded(1, 3_000, 1, Some(333), Some(3))]
    #[case::a_part_of_a_second_is_one(3, 1_000, 1, Some(3_000), Some(1))]
    #[case::nothing_left(1, 1_000, 0, Some(1_000), Some(0))]
    #[case::nothing_done(0, 5_000, 10, None, None)]
    #[case::no_time(5, 0, 10, None, None)]
    #[case::the_clock_went_back(5, -1, 10, None, None)]
    #[case::huge(u64::MAX - 7, 1, 1, None, Some(1))]
    fn rate_and_estimate_are_whole_numbers(
        #[case] done: u64,
        #[case] ms: i64,
        #[case] open: u64,
        #[case] rate: Option<u64>,
        #[case] eta: Option<u64>,
    ) {
        let (earlier, later) = (snapshot(1_000, 7), snapshot(1_000 + ms, 7 + done));
        assert_eq!(rows_per_1000_s(earlier, later), rate);
        assert_eq!(eta_s(earlier, later, open), eta);
    }

    #[test]
    fn rows_that_were_opened_again_make_no_rate() {
        let (earlier, later) = (snapshot(0, 100), snapshot(5_000, 90));
        assert_eq!((rows_per_1000_s(earlier, later), eta_s(earlier, later, 1)), (None, None));
    }
}
