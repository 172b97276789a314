//! The figures of each feature by days of a time zone, as reconcile's pass has counted them.

use largesse_domain::stats::{CELL_MS, Cell, DAY_MS, Feature};
use largesse_domain::time::Timestamp;

use crate::ports::{DailyStats, PortResult};

/// A half-open range of time, such as a day of a time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first moment of it.
    pub from: Timestamp,
    /// The first moment behind it.
    pub to: Timestamp,
}

/// The figures of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The range.
    pub range: Range,
    /// What each feature did, in the order of [`Feature::ALL`].
    pub features: [Cell; 5],
}

/// The figures of some ranges, and until when they are complete; `None` before the first pass.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn read<D: DailyStats>(
    deps: &D,
    ranges: &[Range],
) -> PortResult<(Option<Timestamp>, Vec<Figures>)> {
    let from = ranges.iter().map(|range| range.from).min();
    let to = ranges.iter().map(|range| range.to).max();
    let days = from.zip(to).map_or_else(Vec::new, |(from, to)| days_of(from, to));
    let (complete_until, stats) = deps.daily_stats(&days).await?;
    let figures = |range: &Range| Figures {
        range: *range,
        features: Feature::ALL.map(|feature| stats.sum(feature, range.from, range.to)),
    };
    Ok((complete_until, ranges.iter().map(figures).collect()))
}

/// The days of UTC that a range touches.
fn days_of(from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
    let mut day = day_of(from);
    let mut days = Vec::new();
    while day < to {
        days.push(day);
        day = day.plus_ms(DAY_MS);
    }
    days
}

/// The start of the day of UTC that a moment lies in.
#[must_use]
pub fn day_of(at: Timestamp) -> Timestamp {
    at.minus_ms(at.ms_unsigned().checked_rem(DAY_MS).unwrap_or(0))
}

const _: () = assert!(DAY_MS.is_multiple_of(CELL_MS));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_touches_the_days_that_it_shares_a_moment_with() {
        let at = |day: i64, ms: i64| Timestamp::from_ms(day * 86_400_000 + ms);
        let days =
            |from, to| days_of(from, to).iter().map(|d| d.ms() / 86_400_000).collect::<Vec<_>>();
        assert_eq!(days(at(5, 0), at(6, 0)), [5]);
        assert_eq!(days(at(5, 1), at(6, 1)), [5, 6]);
        assert_eq!(days(at(5, -32_400_000), at(6, -32_400_000)), [4, 5], "a day of Seoul");
    }
}
