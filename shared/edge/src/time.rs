//! Times on the wire: RFC 3339 in UTC, to the millisecond.

use jiff::civil::{Date, DateTime};
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use largesse_domain::time::{TIMESTAMP_MS_MAX, Timestamp};

/// One day.
pub const DAY_MS: u64 = 86_400_000;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// The moment as `2026-01-31T09:00:00.000Z`.
#[must_use]
pub fn format(at: Timestamp) -> String {
    // Every Timestamp lies within what jiff can tell.
    let at = jiff::Timestamp::from_millisecond(at.ms()).unwrap_or_default();
    PRINTER.timestamp_to_string(&at)
}

/// The moment of an RFC 3339 text; `None` outside 1970 to 2286.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    // jiff reads more than RFC 3339: a blank or lower-case letters as separators, and zone names.
    let is_plain = text.as_bytes().get(10) == Some(&b'T') && !text.contains('[');
    if !is_plain {
        return None;
    }
    from_jiff(text.parse().ok()?)
}

fn from_jiff(at: jiff::Timestamp) -> Option<Timestamp> {
    let ms = at.as_millisecond();
    (0..=TIMESTAMP_MS_MAX).contains(&ms).then(|| Timestamp::from_ms(ms))
}

/// The first moment of a v1 `start_date`: a day of UTC, or a moment (UTC where it names no zone).
#[must_use]
pub fn parse_v1_start(text: &str) -> Option<Timestamp> {
    v1_day(text).or_else(|| v1_moment(text))
}

/// The first moment after a v1 `end_date`: a day counts to its end, a moment itself.
#[must_use]
pub fn parse_v1_end(text: &str) -> Option<Timestamp> {
    let day = v1_day(text).map(|day| day.plus_ms(DAY_MS));
    day.or_else(|| v1_moment(text).map(|at| at.plus_ms(1)))
}

fn v1_day(text: &str) -> Option<Timestamp> {
    // A Date would also be read out of a longer text.
    if text.len() != 10 {
        return None;
    }
    let day: Date = text.parse().ok()?;
    from_jiff(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn v1_moment(text: &str) -> Option<Timestamp> {
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
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("2026-01-31T09:00:00Z", Some(1_769_850_000_000))]
    #[case("2026-01-31T18:00:00.5+09:00", Some(1_769_850_000_500))]
    #[case("1970-01-01T00:00:00Z", Some(0))]
    #[case("1969-12-31T23:59:59Z", None)]
    #[case("2300-01-01T00:00:00Z", None)]
    #[case("2026-01-31T09:00:00", None)]
    #[case("2026-01-31 09:00:00Z", None)]
    #[case("2026-02-30T09:00:00Z", None)]
    #[case("2026-01-31T09:00:00+09:00[Asia/Seoul]", None)]
    #[case("2026-01-31", None)]
    #[case("", None)]
    #[case("가나다라T", None)]
    fn only_rfc_3339_is_a_time(#[case] text: &str, #[case] ms: Option<i64>) {
        assert_eq!(parse(text).map(Timestamp::ms), ms);
    }

    proptest! {
        #[test]
        fn a_written_time_is_read_back(ms in 0..=TIMESTAMP_MS_MAX) {
            let at = Timestamp::from_ms(ms);
            let text = format(at);
            prop_assert_eq!(text.len(), 24);
            prop_assert_eq!(parse(&text), Some(at));
        }
    }

    #[test]
    fn a_v1_day_is_included_to_its_end() {
        let start = parse_v1_start("2026-01-31").unwrap();
        assert_eq!(format(start), "2026-01-31T00:00:00.000Z");
        assert_eq!(parse_v1_end("2026-01-31"), Some(start.plus_ms(DAY_MS)));
        let naive = parse_v1_end("2026-01-31T09:00:00").unwrap();
        assert_eq!(format(naive), "2026-01-31T09:00:00.001Z");
        for bad in ["2026-1-31", "2026-02-30", "yesterday", "20260131", ""] {
            assert_eq!(parse_v1_start(bad), None, "{bad}");
        }
    }
}
