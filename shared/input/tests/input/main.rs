//! The reader as its callers use it: whole files in, rows and problems out.

#![allow(clippy::unwrap_used, clippy::panic, reason = "these helpers are tests")]

mod bounds;
mod cases;
mod files;
mod json;
mod page;

use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_input::{Code, Format, Options, Reader, Row, Summary};

/// A campaign without defaults, for a million rows.
fn strict() -> Options {
    Options { rows_max: 1_000_000, default_amount: None, default_reason: None }
}

/// A campaign whose rows need only a member.
fn lenient() -> Options {
    Options {
        default_amount: Some(Amount::new(7).unwrap()),
        default_reason: Some(Memo::new("default").unwrap()),
        ..strict()
    }
}

fn read(format: Format, options: &Options, bytes: &[u8]) -> (Vec<Row>, Summary) {
    let (mut reader, mut rows) = (Reader::new(format, options.clone()), Vec::new());
    reader.feed(bytes, &mut |row| rows.push(row));
    let summary = reader.finish(&mut |row| rows.push(row));
    (rows, summary)
}

fn csv(text: &str) -> (Vec<Row>, Summary) {
    read(Format::Csv, &strict(), text.as_bytes())
}

/// A row as a table of a test writes it.
type Cells<'a> = (u64, &'a str, u64, &'a str);

fn cells(rows: &[Row]) -> Vec<Cells<'_>> {
    rows.iter()
        .map(|row| (row.line, row.member.as_str(), row.amount.get(), row.reason.as_str()))
        .collect()
}

/// Line, column and code of each problem.
fn problems(summary: &Summary) -> Vec<(u64, &str, Code)> {
    summary
        .problems
        .iter()
        .map(|p| (p.line, p.column.as_deref().unwrap_or_default(), p.code))
        .collect()
}
