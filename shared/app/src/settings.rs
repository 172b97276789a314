//! Settings: what a function is told by its environment variables.
//!
//! Each function has one struct of settings and reads all of it before anything else. A variable that
//! is missing or malformed ends the process, with the variable's name and what it must be. The text
//! of an error never repeats a value, since some values are secrets.

use std::fmt;
use std::ops::RangeInclusive;

/// Why a function does not start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {name} {fault}: it must be {expected}")]
pub struct SettingError {
    /// The variable.
    pub name: &'static str,
    /// What is wrong with it.
    pub fault: Fault,
    /// What is accepted.
    pub expected: String,
}

/// What is wrong with a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not set, or empty.
    Missing,
    /// It holds something else than it must.
    Malformed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is not set",
            Self::Malformed => "is malformed",
        })
    }
}

/// Gives the value of a variable that is set.
type Lookup<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The environment variables of a process.
pub struct Variables<'a>(Box<Lookup<'a>>);

impl<'a> Variables<'a> {
    /// Those of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var(name).ok())
    }

    /// Those that `lookup` knows.
    pub fn new(lookup: impl Fn(&str) -> Option<String> + 'a) -> Self {
        Self(Box::new(lookup))
    }

    /// A variable that may be missing.
    ///
    /// # Errors
    /// [`SettingError`] when `parse` refuses its value.
    pub fn optional<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        let Some(text) = (self.0)(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        let malformed =
            || SettingError { name, fault: Fault::Malformed, expected: expected.to_owned() };
        parse(&text).ok_or_else(malformed).map(Some)
    }

    /// A variable that must be there.
    ///
    /// # Errors
    /// [`SettingError`] when it is missing, or `parse` refuses its value.
    pub fn required<T>(
        &self,
        name: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, SettingError> {
        let missing =
            || SettingError { name, fault: Fault::Missing, expected: expected.to_owned() };
        self.optional(name, expected, parse)?.ok_or_else(missing)
    }

    /// A whole number that must be there, and within `range`.
    ///
    /// # Errors
    /// [`SettingError`].
    pub fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u32>,
    ) -> Result<u32, SettingError> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        self.required(name, &expected, |text| {
            text.parse().ok().filter(|number| range.contains(number))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_is_missing_or_malformed_is_named_with_what_it_must_be() {
        let read = |value: Option<&'static str>| {
            Variables::new(move |_| value.map(str::to_owned)).number("RETRIES", 0..=9)
        };
        assert_eq!((read(Some("0")), read(Some("9"))), (Ok(0), Ok(9)));
        let said = |value| read(value).unwrap_err().to_string();
        let missing = "the environment variable RETRIES is not set: it must be a whole number from \
                       0 to 9";
        for value in [None, Some("")] {
            assert_eq!(said(value), missing);
        }
        let malformed = missing.replace("not set", "malformed");
        for value in ["x", "10", "-1", "1.0", " 1", "99999999999"] {
            assert_eq!(said(Some(value)), malformed, "{value}");
        }
    }

    #[test]
    fn what_may_be_missing_must_be_well_formed_all_the_same() {
        let read = |value: Option<&'static str>| {
            let variables = Variables::new(move |_| value.map(str::to_owned));
            variables.optional("LEVEL", "a digit", |text| text.parse::<u8>().ok())
        };
        assert_eq!(
            (read(None), read(Some("")), read(Some("7"))),
            (Ok(None), Ok(None), Ok(Some(7)))
        );
        assert_eq!(read(Some("x")).unwrap_err().fault, Fault::Malformed);
    }
}
