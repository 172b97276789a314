//! The amount of a row: digits, and a reason for everything else. Nothing is guessed.

use largesse_domain::money::{Amount, MoneyError};

use crate::code::Code;
use crate::member::is_placeholder;
use crate::row::is_blank;

/// Signs and words of currencies that amounts are written with.
const CURRENCIES: [&str; 11] = ["₩", "￦", "원", "$", "€", "£", "¥", "￥", "KRW", "USD", "won"];

/// Separators between groups of digits: in English, German, French and Swiss numbers, and in code.
/// U+00A0 and U+202F are the blanks that spreadsheets write there.
const SEPARATORS: [char; 7] = [',', ' ', '\'', '_', '\u{2019}', '\u{a0}', '\u{202f}'];

/// Takes a cell as an amount: ASCII digits, with spaces around them. An empty one is the default.
///
/// # Errors
/// The first reason that applies.
pub(crate) fn read(text: &str, default: Option<Amount>) -> Result<Amount, Code> {
    if is_blank(text) {
        return default.ok_or(Code::AmountEmpty);
    }
    let text = text.trim_matches(' ');
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused(text));
    }
    // Only a number above 2^64 fails to parse.
    let minor = text.parse().map_err(|_| Code::AmountTooLarge)?;
    Amount::new(minor).map_err(|error| match error {
        MoneyError::Zero => Code::AmountZero,
        MoneyError::TooLarge => Code::AmountTooLarge,
    })
}

/// Why a text that is not digits alone is no amount. The order matters: `₩1,000` names its currency
/// before its separator.
fn refused(text: &str) -> Code {
    let unsigned = text.strip_prefix(['+', '-', '\u{2212}']);
    let written_as = |extra: &[char]| is_number_with(text, extra);
    if is_placeholder(text) {
        Code::AmountPlaceholder
    } else if text.starts_with('\'') {
        Code::AmountApostrophe
    } else if text.contains(['\r', '\n']) {
        Code::CellLineBreak
    } else if has_currency(text) {
        Code::AmountCurrency
    } else if text.contains(|c| matches!(c, '\u{ff01}'..='\u{ff5e}')) {
        Code::AmountFullWidth
    } else if is_scientific(unsigned.unwrap_or(text)) {
        Code::AmountScientific
    } else if text.starts_with(['=', '@', '\t']) {
        Code::AmountFormula
    } else if unsigned.is_some() {
        Code::AmountSign
    } else if written_as(&['.']) {
        Code::AmountFraction
    } else if written_as(&SEPARATORS) || written_as(&['.', ',']) {
        Code::AmountThousands
    } else {
        Code::AmountCharacters
    }
}

fn has_currency(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    CURRENCIES.iter().any(|sign| upper.contains(&sign.to_ascii_uppercase()))
}

/// Whether a text is digits and some of these characters.
fn is_number_with(text: &str, extra: &[char]) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || extra.contains(&c))
}

/// Whether a text is a number with an exponent: `1E+05`, `1.5e5`.
fn is_scientific(text: &str) -> bool {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else { return false };
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    is_number_with(mantissa, &['.', ',']) && is_number_with(exponent, &[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::money::AMOUNT_MAX;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("1", 1)]
    #[case("1000", 1000)]
    #[case(" 1000 ", 1000)]
    #[case("0001000", 1000)]
    #[case("1000000000000", AMOUNT_MAX)]
    fn an_amount_is_digits_with_spaces_around(#[case] text: &str, #[case] minor: u64) {
        assert_eq!(read(text, None).map(Amount::get), Ok(minor));
    }

    #[rstest]
    #[case("", Code::AmountEmpty)]
    #[case("  ", Code::AmountEmpty)]
    #[case("0", Code::AmountZero)]
    #[case("000", Code::AmountZero)]
    #[case("1000000000001", Code::AmountTooLarge)]
    #[case("99999999999999999999999999", Code::AmountTooLarge)]
    #[case("NULL", Code::AmountPlaceholder)]
    #[case("null", Code::AmountPlaceholder)]
    #[case("N/A", Code::AmountPlaceholder)]
    #[case("#N/A", Code::AmountPlaceholder)]
    #[case("#VALUE!", Code::AmountPlaceholder)]
    #[case("-", Code::AmountPlaceholder)]
    #[case("undefined", Code::AmountPlaceholder)]
    #[case("nan", Code::AmountPlaceholder)]
    #[case("'1000", Code::AmountApostrophe)]
    #[case("1E+05", Code::AmountScientific)]
    #[case("1e5", Code::AmountScientific)]
    #[case("1.5E+05", Code::AmountScientific)]
    #[case("-1E+05", Code::AmountScientific)]
    #[case("1,000", Code::AmountThousands)]
    #[case("1 000", Code::AmountThousands)]
    #[case("1\u{a0}000", Code::AmountThousands)]
    #[case("1,000.00", Code::AmountThousands)]
    #[case("1_000", Code::AmountThousands)]
    #[case("₩1,000", Code::AmountCurrency)]
    #[case("￦1000", Code::AmountCurrency)]
    #[case("1000원", Code::AmountCurrency)]
    #[case("$1000", Code::AmountCurrency)]
    #[case("1000 krw", Code::AmountCurrency)]
    #[case("-₩1", Code::AmountCurrency)]
    #[case("1000.00", Code::AmountFraction)]
    #[case("1000.", Code::AmountFraction)]
    #[case(".5", Code::AmountFraction)]
    #[case("１０００", Code::AmountFullWidth)]
    #[case("1０00", Code::AmountFullWidth)]
    #[case("1，000", Code::AmountFullWidth)]
    #[case("+1000", Code::AmountSign)]
    #[case("-1", Code::AmountSign)]
    #[case("\u{2212}1", Code::AmountSign)]
    #[case("-1,000", Code::AmountSign)]
    #[case("=500*2", Code::AmountFormula)]
    #[case("@x", Code::AmountFormula)]
    #[case("\t1000", Code::AmountFormula)]
    #[case("1000\n", Code::CellLineBreak)]
    #[case("0x10", Code::AmountCharacters)]
    #[case("(1000)", Code::AmountCharacters)]
    #[case("١٠٠٠", Code::AmountCharacters)]
    #[case("1000\u{200b}", Code::AmountCharacters)]
    #[case("thousand", Code::AmountCharacters)]
    fn an_amount_is_refused_with_its_reason(#[case] text: &str, #[case] code: Code) {
        assert_eq!(read(text, None), Err(code));
    }

    #[test]
    fn only_an_empty_amount_is_the_default() {
        let default = Amount::new(5).ok();
        assert_eq!(read("", default).map(Amount::get), Ok(5));
        assert_eq!(read(" ", default).map(Amount::get), Ok(5));
        assert_eq!(read("0", default), Err(Code::AmountZero));
        assert_eq!(read("null", default), Err(Code::AmountPlaceholder));
    }

    proptest! {
        #[test]
        fn an_amount_that_is_taken_is_the_number_that_is_written(text in "[-+ 0-9.,eE]{1,8}|\\PC{0,8}") {
            if let Ok(amount) = read(&text, None) {
                let digits = text.trim_matches(' ').trim_start_matches('0');
                prop_assert_eq!(amount.to_string(), digits);
            }
        }
    }
}
