//! The CSV files that Largesse gives out: failures, duplicates, generated rows.
//!
//! They open in a spreadsheet: a byte order mark, CRLF, and an apostrophe before a text that begins
//! as a formula does. They can be uploaded again as they are: a [`Reader`](crate::Reader) removes the
//! apostrophe and skips the columns `failure`, `part` and `line`.

use std::borrow::Cow;

use crate::reason::neutral;
use crate::row::Row;

/// Which columns a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `member_id`, `amount`, `reason`.
    Rows,
    /// The same, and `failure`: why the row was not paid.
    Failures,
    /// The same, `part` and `line`: the upload that the row came in, and where it stood there.
    Duplicates,
}

impl Layout {
    /// The beginning of the file: the byte order mark and the header.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Rows => "\u{feff}member_id,amount,reason\r\n",
            Self::Failures => "\u{feff}member_id,amount,reason,failure\r\n",
            Self::Duplicates => "\u{feff}member_id,amount,reason,part,line\r\n",
        }
    }
}

/// A line of [`Layout::Rows`].
#[must_use]
pub fn row(row: &Row) -> String {
    format!("{}\r\n", cells(row))
}

/// A line of [`Layout::Failures`]. Control characters of the failure become blanks.
#[must_use]
pub fn failed(row: &Row, failure: &str) -> String {
    let printable = failure.replace(char::is_control, " ");
    format!("{},{}\r\n", cells(row), cell(&printable))
}

/// A line of [`Layout::Duplicates`], of a row of that part.
#[must_use]
pub fn duplicate(row: &Row, part: u32) -> String {
    format!("{},{part},{}\r\n", cells(row), row.line)
}

fn cells(row: &Row) -> String {
    format!("{},{},{}", cell(row.member.as_str()), row.amount, cell(row.reason.as_str()))
}

/// A text as a cell: neutral to a spreadsheet, in quotes where it needs them.
fn cell(text: &str) -> Cow<'_, str> {
    let text = neutral(text);
    if text.contains([',', '"', '\r', '\n', ' ', '\'']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        text
    }
}
