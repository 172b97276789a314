//! Files that Largesse writes come back as they were, also through a spreadsheet.

use largesse_domain::ledger::Memo;
use largesse_domain::money::{AMOUNT_MAX, Amount};
use largesse_input::generate::Plan;
use largesse_input::write::{self, Layout};
use largesse_input::{Format, Row};
use proptest::prelude::*;

use crate::{cells, csv, lenient, read};

fn file(layout: Layout, rows: &[Row], line: impl Fn(&Row) -> String) -> String {
    layout.header().to_owned() + &rows.iter().map(line).collect::<String>()
}

fn row(line: u64, member: &str, amount: u64, reason: &str) -> Row {
    let (amount, reason) = (Amount::new(amount).unwrap(), Memo::new(reason).unwrap());
    Row { line, member: member.parse().unwrap(), amount, reason }
}

#[test]
fn c5_what_is_written_opens_in_a_spreadsheet_and_runs_no_formula() {
    let reasons = ["=1+1", "+1", "-1", "@x", "'=x", "a,\"b\"", "＝1", "출석"];
    let rows: Vec<Row> =
        (2..).zip(reasons).map(|(line, text)| row(line, "00042", 1, text)).collect();
    let text = file(Layout::Failures, &rows, |row| write::failed(row, "\t=no\r\nmoney"));
    let expected = "\u{feff}member_id,amount,reason,failure\r\n\
        00042,1,\"'=1+1\",\" =no  money\"\r\n\
        00042,1,\"'+1\",\" =no  money\"\r\n\
        00042,1,\"'-1\",\" =no  money\"\r\n\
        00042,1,\"'@x\",\" =no  money\"\r\n\
        00042,1,\"''=x\",\" =no  money\"\r\n\
        00042,1,\"a,\"\"b\"\"\",\" =no  money\"\r\n\
        00042,1,\"'＝1\",\" =no  money\"\r\n\
        00042,1,출석,\" =no  money\"\r\n";
    assert_eq!(text, expected);
    assert_eq!(cells(&csv(&text).0), cells(&rows));
    assert!(write::failed(&rows[0], "=x").ends_with(",\"'=x\"\r\n"));
}

/// The rows of a file as a spreadsheet writes it again: every cell in quotes, the columns in
/// another order, a byte order mark, CRLF, and blank rows at the end.
fn resaved(text: &str) -> String {
    let mut lines = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let mut out = csv::WriterBuilder::new()
        .quote_style(csv::QuoteStyle::Always)
        .terminator(csv::Terminator::CRLF)
        .from_writer("\u{feff}".as_bytes().to_vec());
    for record in lines.records().map(Result::unwrap) {
        out.write_record([&record[2], &record[0], &record[1]]).unwrap();
    }
    String::from_utf8(out.into_inner().unwrap()).unwrap() + ",,\r\n,,\r\n"
}

#[test]
fn c11_a_generated_file_that_a_spreadsheet_saved_again_reads_the_same() {
    let plan = Plan {
        rows: 1_500,
        seed: 42,
        amount_min: Amount::new(1_000).unwrap(),
        amount_max: Amount::new(100_000).unwrap(),
        reason: Memo::new("추석, \"보너스\"").unwrap(),
    };
    let rows: Vec<Row> = plan.rows().collect();
    let text = file(Layout::Rows, &rows, write::row);
    let (read_back, summary) = csv(&text);
    assert_eq!((&read_back, summary.problem_count, summary.blank), (&rows, 0, 0));
    let (read_again, summary) = csv(&resaved(&text));
    assert_eq!((&read_again, summary.problem_count, summary.blank), (&rows, 0, 2));
    // A column that the spreadsheet added is refused, not mapped by its place.
    let added = text.replace("reason\r\n", "reason,memo\r\n");
    assert!(csv(&added).1.stopped);
}

#[test]
fn duplicates_say_the_part_and_the_line_that_they_came_in() {
    let rows = [row(7, "kim", 5, "x"), row(9, "kim", 6, "x")];
    let text = file(Layout::Duplicates, &rows, |row| write::duplicate(row, 3));
    let lines = "member_id,amount,reason,part,line\r\nkim,5,x,3,7\r\nkim,6,x,3,9\r\n";
    assert_eq!(text, format!("\u{feff}{lines}"));
    assert_eq!(cells(&csv(&text).0), [(2, "kim", 5, "x"), (3, "kim", 6, "x")]);
}

/// Lines of JSON, since no reason is lost in its spelling.
fn lines() -> impl Strategy<Value = String> {
    let reason =
        prop_oneof!["\\PC{1,30}", "'{0,3}[-=+@＝＋－＠][a-z,\"' ]{0,10}", "[ ,\"']{1,5}[a-z]"];
    let row = ("[A-Za-z0-9_-]{1,12}", 1..=AMOUNT_MAX, reason)
        .prop_filter("the id is refused", |(id, _, _)| !id.starts_with('-'))
        .prop_map(|(id, amount, reason)| {
            let reason = serde_json::to_string(&reason).unwrap();
            format!("{{\"member_id\":\"{id}\",\"amount\":{amount},\"reason\":{reason}}}\n")
        });
    prop::collection::vec(row, 1..20).prop_map(|rows| rows.concat())
}

proptest! {
    #[test]
    fn rows_that_are_written_are_read_as_they_were(text in lines(), failure in "(?s).{0,20}") {
        let (rows, _) = read(Format::JsonLines, &lenient(), text.as_bytes());
        prop_assume!(!rows.is_empty());
        let values = |rows: &[Row]| -> Vec<_> {
            rows.iter().map(|row| (row.member.clone(), row.amount, row.reason.clone())).collect()
        };
        for text in [
            file(Layout::Rows, &rows, write::row),
            file(Layout::Failures, &rows, |row| write::failed(row, &failure)),
            file(Layout::Duplicates, &rows, |row| write::duplicate(row, 10_000)),
            resaved(&file(Layout::Rows, &rows, write::row)),
        ] {
            let (again, summary) = csv(&text);
            prop_assert_eq!(summary.problems, vec![]);
            prop_assert_eq!(values(&again), values(&rows));
        }
    }

    #[test]
    fn no_cell_that_is_written_begins_as_a_formula_does(text in lines(), failure in "(?s)[-=+@\t\r]?.{0,20}") {
        let (rows, _) = read(Format::JsonLines, &lenient(), text.as_bytes());
        let text = file(Layout::Failures, &rows, |row| write::failed(row, &failure));
        let mut parsed = csv::ReaderBuilder::new().from_reader(text.as_bytes());
        for record in parsed.records().map(Result::unwrap) {
            for cell in &record {
                prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{}", cell);
            }
        }
    }
}
