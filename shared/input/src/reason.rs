//! The reason of a row: any text that a memo may be.
//!
//! A spreadsheet runs a cell that begins as a formula does. [`neutral`] writes an apostrophe before
//! such a reason, and [`read_cell`] removes one: the two undo each other for every text, since both
//! look past apostrophes.

use std::borrow::Cow;

use largesse_domain::ledger::{MEMO_LEN_MAX, Memo};

use crate::code::Code;
use crate::row::is_blank;

/// What a formula begins with. OWASP, "CSV Injection": these, the line feed, and in some locales
/// the full-width forms.
const FORMULA_FIRST: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

/// Whether a text begins as a formula does, after any number of apostrophes.
fn looks_like_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(FORMULA_FIRST)
}

/// The text with an apostrophe in front if it begins as a formula does.
pub(crate) fn neutral(text: &str) -> Cow<'_, str> {
    if looks_like_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// Takes a cell as a reason, without the apostrophe that neutralises a formula.
///
/// # Errors
/// The first reason that applies.
pub(crate) fn read_cell(text: &str, default: Option<&Memo>) -> Result<Memo, Code> {
    match text.strip_prefix('\'') {
        Some(rest) if looks_like_formula(rest) => read(rest, default),
        _ => read(text, default),
    }
}

/// Takes a text as a reason. A blank one is the default.
///
/// # Errors
/// The first reason that applies.
pub(crate) fn read(text: &str, default: Option<&Memo>) -> Result<Memo, Code> {
    if is_blank(text) {
        return default.cloned().ok_or(Code::ReasonEmpty);
    }
    Memo::new(text).map_err(|_| {
        let too_long = text.chars().count() > MEMO_LEN_MAX;
        if too_long { Code::ReasonTooLong } else { Code::ReasonControl }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("=1+1", "=1+1")]
    #[case("'=1+1", "=1+1")]
    #[case("''=1+1", "'=1+1")]
    #[case("'tis", "'tis")]
    #[case(" 출석 보상 ", " 출석 보상 ")]
    #[case("NULL", "NULL")]
    fn a_reason_is_text_but_for_the_apostrophe_before_a_formula(
        #[case] cell: &str,
        #[case] reason: &str,
    ) {
        assert_eq!(read_cell(cell, None).unwrap().as_str(), reason);
        assert_eq!(read(cell, None).unwrap().as_str(), cell);
    }

    #[test]
    fn a_reason_has_the_limits_of_a_memo() {
        assert!(read(&"가".repeat(200), None).is_ok());
        assert_eq!(read(&"가".repeat(201), None), Err(Code::ReasonTooLong));
        assert_eq!(read("a\0", None), Err(Code::ReasonControl));
        assert_eq!(read(" \t", None), Err(Code::ReasonEmpty));
        let default = Memo::new("출석").unwrap();
        assert_eq!(read("", Some(&default)), Ok(default));
    }

    proptest! {
        #[test]
        fn a_neutral_reason_is_read_as_it_was(text in "'{0,2}[-=+@＝x]?\\PC{0,20}") {
            let cell = neutral(&text);
            prop_assert!(!cell.starts_with(FORMULA_FIRST), "{}", cell);
            match read(&text, None) {
                Ok(reason) => prop_assert_eq!(read_cell(&cell, None), Ok(reason)),
                Err(code) => prop_assert_eq!(read_cell(&cell, None), Err(code)),
            }
        }
    }
}
