//! Times on the wire: RFC 3339 in UTC, to the millisecond.

use jiff::civil::Date;
use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;
use largesse_domain::time::{TIMESTAMP_MS_MAX, Timestamp};

/// One day.
pub const DAY_MS: u64 = 86_400_000;

static PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// The moment as `2026-01-31T09:00:00.000Z`.
#[must_use]
pub fn format(at: Timestamp) -> String {
    // Every Timestamp lies within the range of jiff.
    let at = jiff::Timestamp::from_millisecond(at.ms()).unwrap_or_default();
    PRINTER.timestamp_to_string(&at)
}

/// The moment of an RFC 3339 text; `None` outside 1970 to 2286.
#[must_use]
pub fn parse(text: &str) -> Option<Timestamp> {
    from_jiff(rfc3339(text)?.parse().ok()?)
}

/// The first moment of a range: the start of a day in UTC, or a time as in [`parse`].
#[must_use]
pub fn parse_from(text: &str) -> Option<Timestamp> {
    day(text).or_else(|| parse(text))
}

/// The first moment after a range: the end of a day in UTC, or a time as in [`parse`].
#[must_use]
pub fn parse_to(text: &str) -> Option<Timestamp> {
    day(text).map(|start| start.plus_ms(DAY_MS)).or_else(|| parse(text))
}

/// The start of a day in UTC, written `2026-01-31`.
pub(crate) fn day(text: &str) -> Option<Timestamp> {
    // jiff would also read a date from the start of a longer text.
    if text.len() != "0000-00-00".len() {
        return None;
    }
    let date: Date = text.parse().ok()?;
    from_jiff(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Whether the text is a time whose `+` came as a blank: in a query, a bare `+` means one.
pub(crate) fn lost_its_plus(text: &str) -> bool {
    text.contains(' ') && parse(&text.replace(' ', "+")).is_some()
}

/// The digits after the point that jiff reads: nanoseconds.
const FRACTION_LEN_MAX: usize = 9;

/// The text, if it has the form of RFC 3339 section 5.6; digits below a nanosecond are cut off.
/// jiff alone accepts more: hours alone, texts without separators, commas, zone names.
fn rfc3339(text: &str) -> Option<String> {
    let is_like = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                _ => byte == wanted,
            })
    };
    let (seconds, rest) = text.split_at_checked("0000-00-00T00:00:00".len())?;
    let (fraction, offset) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?,
        None => ("0", rest),
    };
    let is_offset = is_like(offset, "Z") || is_like(offset, "+00:00") || is_like(offset, "-00:00");
    if !is_like(seconds, "0000-00-00T00:00:00") || fraction.is_empty() || !is_offset {
        return None;
    }
    let fraction = fraction.get(..FRACTION_LEN_MAX).unwrap_or(fraction);
    Some(format!("{seconds}.{fraction}{offset}"))
}

/// The moment as a [`Timestamp`]; `None` outside 1970 to 2286.
pub(crate) fn from_jiff(at: jiff::Timestamp) -> Option<Timestamp> {
    let ms = at.as_millisecond();
    (0..=TIMESTAMP_MS_MAX).contains(&ms).then(|| Timestamp::from_ms(ms))
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
    #[case("2026-01-31T09:00:00.123456789012Z", Some(1_769_850_000_123))]
    #[case("2026-01-31T00:00:00-09:00", Some(1_769_850_000_000))]
    #[case("2026-01-31T09Z", None)]
    #[case("2026-01-31T09:00Z", None)]
    #[case("2026-01-31T090000Z", None)]
    #[case("2026-01-31T09:00:00,5Z", None)]
    #[case("2026-01-31T09:00:00.Z", None)]
    #[case("2026-01-31T09:00:00+09", None)]
    #[case("2026-01-31T09:00:00+0900", None)]
    #[case("2026-01-31t09:00:00z", None)]
    #[case("2026-01-31", None)]
    #[case("", None)]
    #[case("가나다라T", None)]
    fn only_rfc_3339_is_a_time(#[case] text: &str, #[case] ms: Option<i64>) {
        assert_eq!(parse(text).map(Timestamp::ms), ms);
    }

    #[rstest]
    #[case("2026-01-31", Some(0), Some(DAY_MS))]
    #[case("2026-01-31T00:00:00Z", Some(0), Some(0))]
    #[case("2026-01-31T00:00:00.001Z", Some(1), Some(1))]
    #[case("2026-1-31", None, None)]
    #[case("2026-02-30", None, None)]
    #[case("20260131", None, None)]
    #[case("1969-12-31", None, None)]
    #[case("2026-01-31T00:00:00", None, None)]
    fn a_range_of_dates_holds_both_days_in_utc(
        #[case] text: &str,
        #[case] from_ms: Option<u64>,
        #[case] to_ms: Option<u64>,
    ) {
        let midnight = parse("2026-01-31T00:00:00Z").unwrap();
        assert_eq!(parse_from(text), from_ms.map(|ms| midnight.plus_ms(ms)));
        assert_eq!(parse_to(text), to_ms.map(|ms| midnight.plus_ms(ms)));
    }

    #[rstest]
    #[case("2026-01-31T00:00:00 09:00", true)]
    #[case("2026-01-31T00:00:00.5 09:00", true)]
    #[case("2026-01-31T00:00:00+09:00", false)]
    #[case("2026-01-31 00:00:00Z", false)]
    #[case("2026-01-31T00:00:00 9", false)]
    #[case(" ", false)]
    fn a_plus_that_became_a_blank_is_found(#[case] text: &str, #[case] lost: bool) {
        assert_eq!(lost_its_plus(text), lost);
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
}
