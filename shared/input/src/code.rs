//! The table of reason codes. It generates the enum and the table of docs/campaign-input.md.

use std::fmt::Write as _;

/// What a problem refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The whole file: the reader stops, and no row of it counts.
    File,
    /// One row. The reader goes on.
    Row,
}

impl Scope {
    /// The scope in one word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Row => "row",
        }
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $scope:ident, $text:literal;)+) => {
        /// Why a file or a row is refused. The meaning of a code never changes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $text] $name,)+
        }

        impl Code {
            /// All codes, in the order of the page.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The code on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// What the code refuses.
            #[must_use]
            pub const fn scope(self) -> Scope {
                match self { $(Self::$name => Scope::$scope,)+ }
            }

            /// What is wrong and what to do, in plain English.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

codes! {
    EncodingUtf16 = "encoding_utf16", File,
        "The file is UTF-16. Save it as UTF-8 (in Excel: \"CSV UTF-8\").";
    EncodingCp949 = "encoding_cp949", File,
        "The file looks like CP949 (EUC-KR). Save it as UTF-8 (in Excel: \"CSV UTF-8\").";
    EncodingUnknown = "encoding_unknown", File,
        "The file is not UTF-8, or it ends inside a character. Save it as UTF-8 and send all of it.";
    HeaderMissing = "header_missing", File,
        "The file is empty. Its first row is the header: member_id, amount, reason.";
    ColumnUnnamed = "column_unnamed", File,
        "A column of the header has no name. Delete the empty columns.";
    ColumnUnknown = "column_unknown", File,
        "No such column. The first row is the header, separated by commas, and has exactly these names in any order: member_id, amount, reason.";
    ColumnDuplicate = "column_duplicate", File,
        "The column is twice in the header. Keep one.";
    ColumnMissing = "column_missing", File,
        "The column is not in the header. member_id is always needed, amount and reason are unless the campaign has a default.";
    ColumnsTooMany = "columns_too_many", File,
        "A row has more than 64 cells. Delete the empty columns.";
    QuoteUnclosed = "quote_unclosed", File,
        "A quote is opened and not closed. Close it, or write a quote inside a quoted cell twice.";
    CellTooLong = "cell_too_long", File,
        "A cell has more than 4,096 bytes.";
    RowTooLong = "row_too_long", File,
        "A row has more than 16,384 bytes.";
    RowsTooMany = "rows_too_many", File,
        "The file has more rows than one part, or one campaign, may have. Split it.";
    RowsNone = "rows_none", File,
        "The file has no rows.";
    QuoteMisplaced = "quote_misplaced", Row,
        "A quote stands inside a cell. Put the whole cell in quotes and write each quote inside it twice.";
    CellsFew = "cells_few", Row,
        "The row has fewer cells than the header.";
    CellsMany = "cells_many", Row,
        "The row has more cells than the header. Put a cell that contains a comma in quotes.";
    CellLineBreak = "cell_line_break", Row,
        "A cell contains a line break. Write it on one line, or look for a quote that is not closed.";
    MemberEmpty = "member_empty", Row,
        "The member is missing.";
    MemberPlaceholder = "member_placeholder", Row,
        "The member is a placeholder for a missing value.";
    MemberApostrophe = "member_apostrophe", Row,
        "The member begins with an apostrophe. A spreadsheet marks text in this way: remove it.";
    MemberScientific = "member_scientific", Row,
        "The member is in scientific notation: a spreadsheet has damaged it, and its digits are lost. Take the id from its source, as text.";
    MemberFormula = "member_formula", Row,
        "The member begins as a formula does: with =, +, -, @, a tab or a carriage return.";
    MemberBlanks = "member_blanks", Row,
        "Blanks stand before or after the member. Remove them.";
    MemberTooLong = "member_too_long", Row,
        "The member has more than 64 characters.";
    MemberCharacters = "member_characters", Row,
        "The member has a character other than A-Z, a-z, 0-9, _ and -.";
    MemberNotText = "member_not_text", Row,
        "The member is no JSON string. Put it in quotes, so that 00042 and 42 stay two members.";
    AmountEmpty = "amount_empty", Row,
        "The amount is missing and the campaign has no default amount.";
    AmountPlaceholder = "amount_placeholder", Row,
        "The amount is a placeholder for a missing value.";
    AmountZero = "amount_zero", Row,
        "The amount is zero. The least is 1.";
    AmountTooLarge = "amount_too_large", Row,
        "The amount is above 1,000,000,000,000.";
    AmountApostrophe = "amount_apostrophe", Row,
        "The amount begins with an apostrophe. A spreadsheet marks text in this way: remove it.";
    AmountFullWidth = "amount_full_width", Row,
        "The amount has full-width characters. Write it with the digits 0-9.";
    AmountCurrency = "amount_currency", Row,
        "The amount has a currency sign. Write the number alone.";
    AmountScientific = "amount_scientific", Row,
        "The amount is in scientific notation: a spreadsheet has damaged it. Write all its digits.";
    AmountSign = "amount_sign", Row,
        "The amount has a sign. Write the number alone.";
    AmountFormula = "amount_formula", Row,
        "The amount is a formula. Write its value.";
    AmountThousands = "amount_thousands", Row,
        "The amount has separators between its digits. Write the digits alone.";
    AmountFraction = "amount_fraction", Row,
        "The amount has a decimal point. Write a whole number of the minor unit.";
    AmountCharacters = "amount_characters", Row,
        "The amount has a character other than 0-9.";
    AmountNotNumber = "amount_not_number", Row,
        "The amount is no JSON number. Write it without quotes.";
    ReasonEmpty = "reason_empty", Row,
        "The reason is missing and the campaign has no default reason.";
    ReasonTooLong = "reason_too_long", Row,
        "The reason has more than 200 characters.";
    ReasonControl = "reason_control", Row,
        "The reason has a control character.";
    ReasonNotText = "reason_not_text", Row,
        "The reason is no JSON string. Put it in quotes, or leave the field out.";
    JsonNotObject = "json_not_object", Row,
        "The line is no JSON object. Write one object on each line.";
    JsonMalformed = "json_malformed", Row,
        "The line is malformed JSON. Write one complete object on each line.";
    JsonFieldUnknown = "json_field_unknown", Row,
        "No such field. The fields are member_id, amount and reason.";
    JsonFieldDuplicate = "json_field_duplicate", Row,
        "The field is twice in the object. Keep one.";
}

/// The table of all codes, as docs/campaign-input.md has it.
#[must_use]
pub fn codes_markdown() -> String {
    let mut table = String::from("| code | refuses | text |\n| --- | --- | --- |\n");
    for code in Code::ALL {
        let (name, scope, text) = (code.as_str(), code.scope().as_str(), code.text());
        // Writing into a String cannot fail.
        let _ = writeln!(table, "| `{name}` | {scope} | {text} |");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use largesse_domain::id::USER_ID_LEN_MAX;
    use largesse_domain::ledger::MEMO_LEN_MAX;
    use largesse_domain::money::AMOUNT_MAX;
    use std::collections::BTreeSet;

    #[test]
    fn every_code_has_its_own_short_name() {
        let names: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(names.iter().all(|name| name.len() < 25), "{names:?}");
    }

    #[test]
    fn the_texts_state_the_limits_of_the_code() {
        let states = |code: Code, limit: u64| {
            let digits: String = code.text().chars().filter(char::is_ascii_digit).collect();
            assert_eq!(digits, limit.to_string(), "{code:?}");
        };
        let size = |n: usize| u64::try_from(n).unwrap();
        states(Code::ColumnsTooMany, size(crate::COLUMNS_MAX));
        states(Code::CellTooLong, size(crate::CELL_LEN_MAX));
        states(Code::RowTooLong, size(crate::ROW_LEN_MAX));
        states(Code::MemberTooLong, size(USER_ID_LEN_MAX));
        states(Code::ReasonTooLong, size(MEMO_LEN_MAX));
        states(Code::AmountTooLarge, AMOUNT_MAX);
    }

    #[test]
    fn the_page_has_the_table_of_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/campaign-input.md");
        let stored = std::fs::read_to_string(path).unwrap();
        let table: String = stored
            .lines()
            .skip_while(|line| *line != "| code | refuses | text |")
            .take_while(|line| line.starts_with('|'))
            .flat_map(|line| [line, "\n"])
            .collect();
        if std::env::var_os("UPDATE").is_some() && !table.is_empty() {
            std::fs::write(path, stored.replace(&table, &codes_markdown())).unwrap();
            return;
        }
        assert_eq!(table, codes_markdown(), "run the tests with UPDATE=1");
    }
}
