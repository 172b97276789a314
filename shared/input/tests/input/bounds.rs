//! What cannot be a row is refused after a few kilobytes, however much more comes.

use largesse_input::{CELL_LEN_MAX, COLUMNS_MAX, Code, Format, ROW_LEN_MAX, Reader, Summary};
use rstest::rstest;

use crate::strict;

const HEADER: &str = "member_id,amount,reason\n";

/// Feeds `first`, then `endless` again and again; gives the bytes of it that were fed until the
/// reader stopped, at most a mebibyte.
fn until_refused(format: Format, first: &str, endless: &str) -> (usize, Summary) {
    let mut reader = Reader::new(format, strict());
    let mut given = |row| panic!("a row came out: {row:?}");
    reader.feed(first.as_bytes(), &mut given);
    let mut fed = 0;
    while !reader.is_stopped() && fed < 1_048_576 {
        reader.feed(endless.as_bytes(), &mut given);
        fed += endless.len();
    }
    (fed, reader.finish(&mut given))
}

fn code(summary: &Summary) -> (u64, Code) {
    assert!(summary.stopped);
    summary.problems.last().map(|problem| (problem.line, problem.code)).unwrap()
}

#[test]
fn an_endless_cell_is_refused_early() {
    let (fed, summary) = until_refused(Format::Csv, HEADER, "x");
    assert_eq!((fed, code(&summary)), (CELL_LEN_MAX + 1, (2, Code::CellTooLong)));
}

#[test]
fn an_endless_quoted_cell_is_refused_early() {
    let first = format!("{HEADER}\"");
    let (fed, summary) = until_refused(Format::Csv, &first, "x");
    assert_eq!((fed, code(&summary)), (CELL_LEN_MAX + 1, (2, Code::CellTooLong)));
    // Rows behind a quote that is never closed are no cell, and the line is that of the quote.
    let first = format!("{HEADER}42,1000,\"");
    let (fed, summary) = until_refused(Format::Csv, &first, "43,1000,x\n");
    assert_eq!(code(&summary), (2, Code::QuoteUnclosed));
    assert!(fed <= CELL_LEN_MAX + 10, "{fed} bytes");
    assert_eq!(summary.problems[0].column.as_deref(), Some("reason"));
}

#[test]
fn an_endless_row_is_refused_early() {
    let (fed, summary) = until_refused(Format::Csv, HEADER, &format!("{},", "x".repeat(4_000)));
    assert_eq!((fed, code(&summary)), (5 * 4_001, (2, Code::RowTooLong)));
    assert!(fed < ROW_LEN_MAX + 4_001);
}

#[test]
fn an_endless_line_of_json_is_refused_early() {
    let (fed, summary) = until_refused(Format::JsonLines, "", "[");
    assert_eq!((fed, code(&summary)), (ROW_LEN_MAX + 1, (1, Code::RowTooLong)));
}

#[rstest]
#[case::in_the_header("member_id,amount,reason", 1)]
#[case::in_every_row("member_id,amount,reason\n42,1000,x", 2)]
#[case::alone("", 1)]
fn c8_thousands_of_empty_columns_are_refused_at_the_first_row(
    #[case] first: &str,
    #[case] line: u64,
    #[values(1_000, 16_384)] columns: usize,
) {
    let mut reader = Reader::new(Format::Csv, strict());
    reader.feed(first.as_bytes(), &mut |row| panic!("a row came out: {row:?}"));
    let (mut fed, empty) = (0, ",".repeat(columns) + "\n");
    // A million such rows have 16 GB: the first is not even read to its end.
    for byte in empty.repeat(3).bytes() {
        if reader.is_stopped() {
            break;
        }
        reader.feed(&[byte], &mut |row| panic!("a row came out: {row:?}"));
        fed += 1;
    }
    let summary = reader.finish(&mut |row| panic!("a row came out: {row:?}"));
    assert_eq!(code(&summary), (line, Code::ColumnsTooMany));
    assert!(fed <= COLUMNS_MAX, "{fed} bytes");
}

#[test]
fn one_row_too_many_is_refused_at_its_line() {
    let rows = "a,1,x\n,,\nb,2,x\nc,x,x\n";
    let options = |rows_max| largesse_input::Options { rows_max, ..strict() };
    let (accepted, summary) =
        crate::read(Format::Csv, &options(3), (HEADER.to_owned() + rows).as_bytes());
    assert_eq!((accepted.len(), summary.rows, summary.stopped), (2, 3, false));
    let more = format!("{HEADER}{rows}\nd,4,x\n{}", "e,5,x\n".repeat(1_000));
    let (_, summary) = crate::read(Format::Csv, &options(3), more.as_bytes());
    assert_eq!((code(&summary), summary.rows), ((7, Code::RowsTooMany), 3));
    let lines = "{\"member_id\":\"a\",\"amount\":1,\"reason\":\"x\"}\n".repeat(4);
    let (_, summary) = crate::read(Format::JsonLines, &options(3), lines.as_bytes());
    assert_eq!((code(&summary), summary.accepted), ((4, Code::RowsTooMany), 3));
}

#[test]
fn nothing_is_read_after_a_stop() {
    let mut reader = Reader::new(Format::Csv, strict());
    reader.feed(b"member\n", &mut |row| panic!("a row came out: {row:?}"));
    assert!(reader.is_stopped());
    reader.feed(b"member_id,amount,reason\n42,1000,x\n\xff", &mut |row| {
        panic!("a row came out: {row:?}")
    });
    let summary = reader.finish(&mut |row| panic!("a row came out: {row:?}"));
    let codes: Vec<Code> = summary.problems.iter().map(|problem| problem.code).collect();
    let missing = Code::ColumnMissing;
    assert_eq!(codes, [Code::ColumnUnknown, missing, missing, missing]);
}
