//! What is wrong, where, and how it is shown.

use std::fmt;

use crate::VALUE_LEN_MAX;
use crate::code::Code;

/// One reason to refuse a row or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The physical line, from 1: that of the cell, or of the first cell of the row. CR, LF and
    /// CRLF each end one line, also inside quotes.
    pub line: u64,
    /// How many bytes of the file stand before the first byte that is not UTF-8; only where the
    /// encoding is the problem.
    pub byte: Option<u64>,
    /// The column's name, or the field's, as the file has it; at most [`VALUE_LEN_MAX`] characters.
    pub column: Option<String>,
    /// The value, at most [`VALUE_LEN_MAX`] characters: a longer one ends in `…`, and characters
    /// that do not show are escaped.
    pub value: Option<String>,
    /// The reason.
    pub code: Code,
}

impl Problem {
    /// A problem of a line as a whole.
    pub(crate) fn at(line: u64, code: Code) -> Self {
        Self { line, byte: None, column: None, value: None, code }
    }

    pub(crate) fn column(self, name: &str) -> Self {
        Self { column: Some(shown(name)), ..self }
    }

    pub(crate) fn value(self, text: &str) -> Self {
        Self { value: Some(shown(text)), ..self }
    }

    pub(crate) fn byte(self, offset: u64) -> Self {
        Self { byte: Some(offset), ..self }
    }

    /// The reason in plain English, with the value and the byte where there are any; the `detail`
    /// of the API.
    #[must_use]
    pub fn detail(&self) -> String {
        let mut detail = self.code.text().to_owned();
        // A cell that is empty has its own reason.
        if let Some(value) = self.value.as_ref().filter(|value| !value.is_empty()) {
            detail.push_str(" Found: ");
            detail.push_str(value);
        }
        if let Some(byte) = self.byte {
            detail.push_str(&format!(" The first such byte comes after {byte} bytes of the file."));
        }
        detail
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(column) = &self.column {
            write!(f, ", {column}")?;
        }
        write!(f, ": {} ({})", self.detail(), self.code.as_str())
    }
}

/// A text as a problem shows it: what does not show is escaped as in Rust, and the rest of a long
/// text is replaced by `…`.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut len = 0_usize;
    // Where the text ends if the `…` must still fit.
    let mut cut = 0;
    for c in text.chars() {
        let escaped = escaped(c);
        len = len.saturating_add(escaped.chars().count());
        if len > VALUE_LEN_MAX {
            shown.truncate(cut);
            shown.push('…');
            break;
        }
        shown.push_str(&escaped);
        if len < VALUE_LEN_MAX {
            cut = shown.len();
        }
    }
    shown
}

/// Quotes show, and say much about a cell; Rust would escape them.
fn escaped(c: char) -> String {
    if matches!(c, '"' | '\'') { c.to_string() } else { c.escape_debug().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case::plain("출석 보상", "출석 보상")]
    #[case::quotes("'0\"", "'0\"")]
    #[case::control("a\t\r\n\0b", "a\\t\\r\\n\\0b")]
    #[case::invisible("42\u{200b}\u{feff}", "42\\u{200b}\\u{feff}")]
    #[case::direction("a\u{202e}b", "a\\u{202e}b")]
    #[case::backslash("\\n", "\\\\n")]
    fn a_value_is_shown_with_what_does_not_show(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(shown(text), expected);
    }

    #[test]
    fn a_value_is_shortened_to_64_characters() {
        assert_eq!(shown(&"가".repeat(64)), "가".repeat(64));
        assert_eq!(shown(&"가".repeat(65)), "가".repeat(63) + "…");
        // An escape is left out as a whole.
        assert_eq!(shown(&("a".repeat(62) + "\nbc")), "a".repeat(62) + "…");
    }

    proptest! {
        #[test]
        fn a_shown_value_is_short_and_has_no_control_character(text in "\\PC{0,80}|(?s).{0,80}") {
            let shown = shown(&text);
            prop_assert!(shown.chars().count() <= VALUE_LEN_MAX);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }

    #[test]
    fn a_problem_reads_as_a_sentence() {
        let problem = Problem::at(5, Code::AmountScientific).column("amount").value("1E+05");
        assert_eq!(
            problem.to_string(),
            "line 5, amount: The amount is in scientific notation: a spreadsheet has damaged it. \
             Write all its digits. Found: 1E+05 (amount_scientific)"
        );
        let empty = Problem::at(5, Code::MemberEmpty).column("member_id").value("");
        assert_eq!(empty.to_string(), "line 5, member_id: The member is missing. (member_empty)");
    }
}
