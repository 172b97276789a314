//! Dates and times in the query strings of v1.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use largesse_domain::time::Timestamp;

use crate::time::{DAY_MS, day, from_jiff, parse};

/// The first moment of a `start_date`: a day in UTC, or a moment (in UTC when it has no zone).
#[must_use]
pub fn parse_start(text: &str) -> Option<Timestamp> {
    day(text).or_else(|| moment(text))
}

/// The first moment after an `end_date`: the end of a day, or 1 ms after a moment.
#[must_use]
pub fn parse_end(text: &str) -> Option<Timestamp> {
    let end = day(text).map(|start| start.plus_ms(DAY_MS));
    end.or_else(|| moment(text).map(|at| at.plus_ms(1)))
}

fn moment(text: &str) -> Option<Timestamp> {
    if let Some(at) = parse(text) {
        return Some(at);
    }
    if text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let local: DateTime = text.parse().ok()?;
    from_jiff(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::format;

    #[test]
    fn an_end_date_includes_its_whole_day() {
        let start = parse_start("2026-01-31").unwrap();
        assert_eq!(format(start), "2026-01-31T00:00:00.000Z");
        assert_eq!(parse_end("2026-01-31"), Some(start.plus_ms(DAY_MS)));
        let naive = parse_end("2026-01-31T09:00:00").unwrap();
        assert_eq!(format(naive), "2026-01-31T09:00:00.001Z");
        for bad in ["2026-1-31", "2026-02-30", "yesterday", "20260131", ""] {
            assert_eq!(parse_start(bad), None, "{bad}");
        }
    }
}
