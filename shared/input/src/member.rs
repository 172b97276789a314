//! The member of a row. An id is text: `00042`, `0042` and `42` are three members.

use largesse_domain::id::{USER_ID_LEN_MAX, UserId};

use crate::code::Code;
use crate::row::is_blank;

/// What programs write where they have no value, and the error values of spreadsheets. Some of these
/// words would be ids.
const PLACEHOLDERS: [&str; 12] = [
    "null",
    "undefined",
    "nan",
    "n/a",
    "-",
    "#n/a",
    "#null!",
    "#ref!",
    "#value!",
    "#name?",
    "#num!",
    "#div/0!",
];

/// Whether a text stands for a missing value, in any case. A spreadsheet shows a value that is wider
/// than its column as `#` alone.
pub(crate) fn is_placeholder(text: &str) -> bool {
    let is_too_wide = !text.is_empty() && text.bytes().all(|b| b == b'#');
    is_too_wide || PLACEHOLDERS.iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Takes a text as a member, exactly as it is.
///
/// # Errors
/// The first reason that applies.
pub(crate) fn read(text: &str) -> Result<UserId, Code> {
    if is_blank(text) {
        return Err(Code::MemberEmpty);
    }
    if is_placeholder(text) {
        return Err(Code::MemberPlaceholder);
    }
    if text.starts_with('\'') {
        return Err(Code::MemberApostrophe);
    }
    if is_scientific(text) {
        return Err(Code::MemberScientific);
    }
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        return Err(Code::MemberFormula);
    }
    if text.contains(['\r', '\n']) {
        return Err(Code::CellLineBreak);
    }
    if text.trim_matches([' ', '\t']) != text {
        return Err(Code::MemberBlanks);
    }
    text.parse().map_err(|_| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        let too_long = text.len() > USER_ID_LEN_MAX && text.bytes().all(allowed);
        if too_long { Code::MemberTooLong } else { Code::MemberCharacters }
    })
}

/// Whether an id is a number as spreadsheets write a long one: `1.23457E+16`. `1E5` has neither a
/// fraction nor a sign and may well be an id, in hexadecimal for example.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let unsigned = exponent.trim_start_matches(['+', '-']);
    let fraction = mantissa.split_once('.');
    let is_number = match fraction {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(mantissa),
    };
    is_number && digits(unsigned) && (fraction.is_some() || unsigned != exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::leading_zeros("00042")]
    #[case::routing_number("021000021")]
    #[case::one_zero("0")]
    #[case::hexadecimal("1E5")]
    #[case::hyphen_inside("a-b_c")]
    #[case::word_inside("nullable")]
    fn a_member_is_text_as_it_is(#[case] text: &str) {
        assert_eq!(read(text).unwrap().as_str(), text);
    }

    #[rstest]
    #[case("", Code::MemberEmpty)]
    #[case("  ", Code::MemberEmpty)]
    #[case("NULL", Code::MemberPlaceholder)]
    #[case("null", Code::MemberPlaceholder)]
    #[case("N/A", Code::MemberPlaceholder)]
    #[case("#N/A", Code::MemberPlaceholder)]
    #[case("#REF!", Code::MemberPlaceholder)]
    #[case("####", Code::MemberPlaceholder)]
    #[case("#42", Code::MemberCharacters)]
    #[case("-", Code::MemberPlaceholder)]
    #[case("undefined", Code::MemberPlaceholder)]
    #[case("NaN", Code::MemberPlaceholder)]
    #[case("'00042", Code::MemberApostrophe)]
    #[case("1.23457E+16", Code::MemberScientific)]
    #[case("1.2e5", Code::MemberScientific)]
    #[case("1E-05", Code::MemberScientific)]
    #[case("=1+1", Code::MemberFormula)]
    #[case("+82", Code::MemberFormula)]
    #[case("-1", Code::MemberFormula)]
    #[case("@x", Code::MemberFormula)]
    #[case("\t7", Code::MemberFormula)]
    #[case("\r7", Code::MemberFormula)]
    #[case("7\n8", Code::CellLineBreak)]
    #[case(" 42", Code::MemberBlanks)]
    #[case("42\t", Code::MemberBlanks)]
    #[case("a b", Code::MemberCharacters)]
    #[case("회원", Code::MemberCharacters)]
    #[case("42\u{200b}", Code::MemberCharacters)]
    #[case("\u{ff14}\u{ff12}", Code::MemberCharacters)]
    #[case("42.0", Code::MemberCharacters)]
    #[case("a\0", Code::MemberCharacters)]
    fn a_member_is_refused_with_its_reason(#[case] text: &str, #[case] code: Code) {
        assert_eq!(read(text), Err(code));
    }

    #[test]
    fn a_member_has_up_to_64_characters() {
        assert!(read(&"x".repeat(64)).is_ok());
        assert_eq!(read(&"x".repeat(65)), Err(Code::MemberTooLong));
        assert_eq!(read(&"x.".repeat(64)), Err(Code::MemberCharacters));
    }
}
