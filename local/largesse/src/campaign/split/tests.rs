use largesse_domain::campaign::ROWS_MAX;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_input::{Options, Problem, Reader, Row, Summary};
use proptest::prelude::*;
use rstest::rstest;

use super::*;

const SMALL: Size = Size { bytes: 40, rows: 1_000 };

fn pieces(bytes: &[u8], format: Format, size: Size) -> Vec<Piece> {
    let mut splitter = Splitter::new(bytes, format, size);
    std::iter::from_fn(|| splitter.next_piece().unwrap()).collect()
}

fn read(bytes: &[u8], format: Format) -> (Vec<Row>, Summary) {
    let default_amount = Amount::new(7).ok();
    let default_reason = Memo::new("why").ok();
    let options = Options { rows_max: ROWS_MAX, default_amount, default_reason };
    let (mut reader, mut rows) = (Reader::new(format, options), Vec::new());
    reader.feed(bytes, &mut |row| rows.push(row));
    let summary = reader.finish(&mut |row| rows.push(row));
    (rows, summary)
}

/// The rows, the problems and the number of refused rows of all pieces, by the lines of the file.
fn read_pieces(pieces: &[Piece], format: Format) -> (Vec<Row>, Vec<Problem>, u64) {
    let (mut rows, mut problems, mut refused) = (Vec::new(), Vec::new(), 0);
    for piece in pieces {
        let (some, summary) = read(&piece.body, format);
        assert!(!summary.stopped, "{:?}", summary.problems);
        assert_eq!(piece.rows, summary.rows);
        rows.extend(some.into_iter().map(|r| Row { line: piece.line_in_file(r.line), ..r }));
        let lines = summary.problems.into_iter();
        problems.extend(lines.map(|p| Problem { line: piece.line_in_file(p.line), ..p }));
        refused += summary.refused;
    }
    (rows, problems, refused)
}

fn same_as_whole(text: &[u8], format: Format, size: Size) -> Result<(), TestCaseError> {
    let (rows, summary) = read(text, format);
    let pieces = pieces(text, format, size);
    if summary.stopped {
        return Ok(());
    }
    let numbers: Vec<u32> = pieces.iter().map(|piece| piece.number).collect();
    prop_assert_eq!(numbers, (1..).take(pieces.len()).collect::<Vec<u32>>());
    for piece in &pieces {
        prop_assert!(piece.rows <= size.rows);
        prop_assert!(piece.rows == 1 || piece.body.len() <= size.bytes);
    }
    let (parts, problems, refused) = read_pieces(&pieces, format);
    prop_assert_eq!(parts, rows);
    prop_assert_eq!(problems, summary.problems);
    prop_assert_eq!(refused, summary.refused);
    Ok(())
}

/// Pieces of CSV that matter to a splitter.
fn csv_text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        4 => Just("user-1,5,\"a\nb\"\n"),
        4 => Just("00042,10,출석\r\n"),
        3 => Just(",,\n"),
        3 => Just("\n"),
        2 => Just("\r"),
        2 => Just("\r\n"),
        2 => Just("\""),
        2 => Just("\"\""),
        2 => Just(","),
        2 => Just("a"),
        2 => Just(" "),
        1 => Just("\"\",\"\",\"\"\n"),
        1 => Just("\"\"\"\",1,\"x \"\"y\"\"\"\n"),
        1 => Just("9"),
    ];
    let start = prop_oneof![
        Just("member_id,amount,reason\n"),
        Just("\u{feff}member_id,amount,reason\r\n"),
        Just("\u{feff}\u{200b}\n,,\r\"member_id\",\"amount\",reason\r"),
        Just("reason,member_id,amount\r\n\r\n"),
    ];
    (start, prop::collection::vec(token, 0..40)).prop_map(|(start, tokens)| {
        tokens.into_iter().fold(start.to_owned(), |text, token| text + token)
    })
}

fn json_text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        4 => Just("{\"member_id\":\"a\"}\n"),
        3 => Just("{\"member_id\":\"00042\",\"amount\":10,\"reason\":\"\\\"\\n\"}\r\n"),
        2 => Just("{\"member_id\":1}\r"),
        2 => Just(" \t\n"),
        1 => Just("\r\n"),
        1 => Just("{"),
        1 => Just("\""),
    ];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn the_parts_of_a_file_have_the_rows_and_the_problems_of_the_file(
        text in csv_text(), bytes in 1_usize..200, rows in 1_u64..9,
    ) {
        same_as_whole(text.as_bytes(), Format::Csv, Size { bytes, rows })?;
    }

    #[test]
    fn the_parts_of_json_lines_have_the_rows_and_the_problems_of_the_file(
        text in json_text(), bytes in 1_usize..200, rows in 1_u64..9,
    ) {
        same_as_whole(text.as_bytes(), Format::JsonLines, Size { bytes, rows })?;
    }

    #[test]
    fn the_parts_do_not_depend_on_how_the_bytes_come(text in csv_text(), step in 1_usize..7) {
        struct Slow<'a>(&'a [u8], usize);
        impl Read for Slow<'_> {
            fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
                let len = into.len().min(self.1);
                self.0.read(&mut into[..len])
            }
        }
        let mut slow = Splitter::new(Slow(text.as_bytes(), step), Format::Csv, SMALL);
        let slow: Vec<Piece> = std::iter::from_fn(|| slow.next_piece().unwrap()).collect();
        prop_assert_eq!(slow, pieces(text.as_bytes(), Format::Csv, SMALL));
    }

    #[test]
    fn any_bytes_are_split_or_refused_with_bounded_parts(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
    ) {
        for format in [Format::Csv, Format::JsonLines] {
            for piece in pieces(&bytes, format, SMALL) {
                prop_assert!(piece.rows > 0 && piece.body.len() <= bytes.len());
            }
        }
    }
}

fn bodies(pieces: &[Piece]) -> Vec<&str> {
    pieces.iter().map(|piece| std::str::from_utf8(&piece.body).unwrap()).collect()
}

#[rstest]
#[case::final_newline("m\nabc\ndef\n", &["m\nabc\n", "m\ndef\n"])]
#[case::no_final_newline("m\nabc\ndef", &["m\nabc\n", "m\ndef"])]
#[case::crlf("m\r\nabc\r\ndef\r\n", &["m\r\nabc\r\n", "m\r\ndef\r\n"])]
#[case::cr("m\rabc\rdef\r", &["m\rabc\r", "m\rdef\r"])]
#[case::byte_order_mark("\u{feff}m\nabc\ndef\n", &["m\nabc\n", "m\ndef\n"])]
#[case::newline_in_quotes("m\n\"a\nb\"\ndef\n", &["m\n\"a\nb\"\n", "m\ndef\n"])]
#[case::crlf_in_quotes("m\n\"a\r\nb\"\ndef\n", &["m\n\"a\r\nb\"\n", "m\ndef\n"])]
#[case::quotes_in_quotes("m\n\"a\"\"\nb\"\nd\n", &["m\n\"a\"\"\nb\"\n", "m\nd\n"])]
#[case::quote_in_a_bare_cell("m\na\"b\ndef\n", &["m\na\"b\n", "m\ndef\n"])]
#[case::blank_rows_at_the_ends("\n,\nm\n\nabc\n,,\n\ndef\n\n,,\n", &["m\nabc\n", "m\ndef\n"])]
#[case::header_only("m\n", &[])]
#[case::header_without_newline("m", &[])]
#[case::blank_rows_only("\n\n,,\n", &[])]
#[case::empty("", &[])]
fn a_file_is_cut_between_its_rows(#[case] text: &str, #[case] expected: &[&str]) {
    let pieces = pieces(text.as_bytes(), Format::Csv, Size { bytes: 40, rows: 1 });
    assert_eq!(bodies(&pieces), expected);
}

#[test]
fn a_part_is_full_at_its_bytes_or_at_its_rows() {
    let text = "m\n1\n2\n3\n4\n5\n";
    let cut = |bytes, rows| {
        let pieces = pieces(text.as_bytes(), Format::Csv, Size { bytes, rows });
        pieces.iter().map(|piece| piece.rows).collect::<Vec<u64>>()
    };
    assert_eq!(cut(6, 100), [2, 2, 1]);
    assert_eq!(cut(7, 100), [2, 2, 1]);
    assert_eq!(cut(8, 100), [3, 2]);
    assert_eq!(cut(100, 4), [4, 1]);
    // A row that is larger than a part has one of its own.
    assert_eq!(cut(1, 100), [1, 1, 1, 1, 1]);
}

#[test]
fn a_line_of_a_part_is_found_in_the_file() {
    // Lines: 1 blank, 2–3 header, 4 blank, 5 row, 6 blank, 7 row, 8–9 row.
    let text = "\n\"m\nn\",o\n\na,1\n\nb,2\n\"c\n\",3\n";
    let pieces = pieces(text.as_bytes(), Format::Csv, Size { bytes: 100, rows: 2 });
    assert_eq!(bodies(&pieces), ["\"m\nn\",o\na,1\n\nb,2\n", "\"m\nn\",o\n\"c\n\",3\n"]);
    let lines = |piece: &Piece| (1..=5).map(|n| piece.line_in_file(n)).collect::<Vec<u64>>();
    assert_eq!(lines(&pieces[0]), [2, 3, 5, 6, 7]);
    assert_eq!(lines(&pieces[1])[..4], [2, 3, 8, 9]);
}

#[test]
fn a_huge_row_is_refused_without_being_read_as_a_whole() {
    let fits = format!("m\n{}\n", "x".repeat(ROW_LEN_MAX));
    assert_eq!(pieces(fits.as_bytes(), Format::Csv, SMALL).len(), 1);
    for endless in [b'x', b'\n', b'\r'] {
        let open = b"m\nab\n\"".as_slice();
        let mut splitter = Splitter::new(open.chain(std::io::repeat(endless)), Format::Csv, SMALL);
        let refused = loop {
            match splitter.next_piece() {
                Ok(Some(_)) => {}
                other => break other.unwrap_err(),
            }
        };
        assert!(matches!(refused, SplitError::RowTooLong { line: 3 }), "{refused}");
    }
}

#[test]
fn blank_rows_without_end_are_not_held() {
    let blanks = b",,\n".repeat(100_000);
    let text = [b"m\na\n".as_slice(), &blanks, b"b\n", &blanks].concat();
    let pieces = pieces(&text, Format::Csv, Size::LOAD);
    assert_eq!(bodies(&pieces), ["m\na\n", "m\nb\n"]);
    assert_eq!(pieces[1].line_in_file(2), 100_003);
}
