//! Days of a time zone: half-open, from midnight to the next one.

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use largesse_domain::time::Timestamp;

use crate::time::from_jiff;

/// The most days of one request (docs/limits.md).
pub const DAYS_MAX: usize = 366;

/// A day of a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Its date, as `2026-01-31`.
    pub date: String,
    /// Its first moment. Where midnight is skipped by summer time, the first moment after it.
    pub from: Timestamp,
    /// The first moment of the next day.
    pub to: Timestamp,
}

/// A date.
#[must_use]
pub fn date(text: &str) -> Option<Date> {
    // jiff would also read a date from the start of a longer text.
    let is_date = text.len() == "0000-00-00".len();
    if is_date { text.parse().ok() } else { None }
}

/// A time zone by its name in the IANA database, as `Asia/Seoul` or `UTC`.
#[must_use]
pub fn zone(name: &str) -> Option<TimeZone> {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b"/_-+".contains(&b);
    let looks = (1..=64).contains(&name.len()) && name.bytes().all(is_name);
    if looks { TimeZone::get(name).ok() } else { None }
}

/// The days from one date to another, both included; `None` where there are none, more than
/// [`DAYS_MAX`], or one lies outside 1970 to 2286.
#[must_use]
pub fn days(zone: &TimeZone, from: Date, to: Date) -> Option<Vec<Day>> {
    let start = |date: Date| from_jiff(date.to_zoned(zone.clone()).ok()?.timestamp());
    let mut days = Vec::new();
    let mut date = from;
    while date <= to {
        let next = date.checked_add(1.day()).ok()?;
        days.push(Day { date: date.to_string(), from: start(date)?, to: start(next)? });
        if days.len() > DAYS_MAX {
            return None;
        }
        date = next;
    }
    (!days.is_empty()).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::format;
    use rstest::rstest;

    fn of(name: &str, from: &str, to: &str) -> Option<Vec<Day>> {
        days(&zone(name).unwrap(), date(from).unwrap(), date(to).unwrap())
    }

    #[rstest]
    #[case("UTC", "2026-01-31", "2026-01-31T00:00:00.000Z", "2026-02-01T00:00:00.000Z")]
    #[case("Asia/Seoul", "2026-01-31", "2026-01-30T15:00:00.000Z", "2026-01-31T15:00:00.000Z")]
    #[case("Asia/Kathmandu", "2026-01-31", "2026-01-30T18:15:00.000Z", "2026-01-31T18:15:00.000Z")]
    // Summer time begins and ends in New York: 23 and 25 hours.
    #[case(
        "America/New_York",
        "2026-03-08",
        "2026-03-08T05:00:00.000Z",
        "2026-03-09T04:00:00.000Z"
    )]
    #[case(
        "America/New_York",
        "2026-11-01",
        "2026-11-01T04:00:00.000Z",
        "2026-11-02T05:00:00.000Z"
    )]
    // Cairo goes from 23:59 to 01:00: the day begins there.
    #[case("Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00.000Z", "2026-04-24T21:00:00.000Z")]
    fn a_day_goes_from_midnight_to_the_next_one(
        #[case] name: &str,
        #[case] day: &str,
        #[case] from: &str,
        #[case] to: &str,
    ) {
        let days = of(name, day, day).unwrap();
        assert_eq!((format(days[0].from).as_str(), format(days[0].to).as_str()), (from, to));
        assert_eq!((days.len(), days[0].date.as_str()), (1, day));
    }

    #[test]
    fn days_follow_each_other_without_gap() {
        for name in ["UTC", "Asia/Seoul", "America/New_York", "Australia/Lord_Howe"] {
            let days = of(name, "2026-01-01", "2026-12-31").unwrap();
            assert_eq!(days.len(), 365);
            assert!(days.windows(2).all(|pair| pair[0].to == pair[1].from), "{name}");
            let is_cell = |at: Timestamp| at.ms() % 900_000 == 0;
            assert!(days.iter().all(|day| is_cell(day.from)), "{name}: a quarter of an hour");
        }
    }

    #[test]
    fn there_are_at_most_366_days_and_at_least_one() {
        assert_eq!(of("UTC", "2028-01-01", "2028-12-31").unwrap().len(), 366);
        assert_eq!(of("UTC", "2028-01-01", "2029-01-01"), None);
        assert_eq!(of("UTC", "2028-01-02", "2028-01-01"), None);
        assert_eq!(of("UTC", "1960-01-02", "1960-01-02"), None);
    }

    #[test]
    fn a_zone_has_a_name_of_the_database() {
        for name in ["", "Seoul", "Asia/", "+09:00", "../UTC", "UTC ", "KST"] {
            assert!(zone(name).is_none(), "{name}");
        }
    }
}
