use super::*;
use proptest::prelude::*;
use rstest::rstest;

/// The rows of a text with their lines; `None` where a quote is misplaced or not closed.
fn split(text: &str) -> Option<Vec<(u64, Vec<String>)>> {
    let (mut splitter, mut rows) = (Splitter::new(), Vec::new());
    for c in text.chars().map(Some).chain([None]) {
        let step = match c {
            Some(c) => splitter.push(c),
            None => splitter.finish(),
        };
        match step {
            Step::Going => {}
            Step::RowEnd if splitter.misplaced().is_some() => return None,
            Step::RowEnd => {
                let cells = splitter.cells().iter().map(|cell| cell.text.to_owned()).collect();
                rows.push((splitter.row_line(), cells));
                splitter.clear();
            }
            Step::Stop(_) => return None,
        }
    }
    Some(rows)
}

#[rstest]
#[case::lf("a,b\nc,d\n", &[(1, &["a", "b"]), (2, &["c", "d"])])]
#[case::crlf("a,b\r\nc,d\r\n", &[(1, &["a", "b"]), (2, &["c", "d"])])]
#[case::cr("a,b\rc,d\r", &[(1, &["a", "b"]), (2, &["c", "d"])])]
#[case::no_final_line_end("a,b\nc,", &[(1, &["a", "b"]), (2, &["c", ""])])]
#[case::quoted_line_ends("a,\"1\r\n2\r3\n4\"\nc,d", &[(1, &["a", "1\r\n2\r3\n4"]), (5, &["c", "d"])])]
#[case::quoted_quotes("\"a\"\"b\",\"\"\"\"\n", &[(1, &["a\"b", "\""])])]
#[case::quoted_commas("\"a,b\",\"\"\n", &[(1, &["a,b", ""])])]
fn a_text_is_split_into_rows_with_their_physical_lines(
    #[case] text: &str,
    #[case] rows: &[(u64, &[&str; 2])],
) {
    let expected: Vec<(u64, Vec<String>)> =
        rows.iter().map(|(line, cells)| (*line, cells.map(str::to_owned).to_vec())).collect();
    assert_eq!(split(text), Some(expected));
}

#[test]
fn a_cell_knows_the_line_on_which_it_begins() {
    let mut splitter = Splitter::new();
    for c in "\"a\nb\",c,\"\n\n\",d".chars() {
        assert_eq!(splitter.push(c), Step::Going);
    }
    assert_eq!(splitter.finish(), Step::RowEnd);
    let lines: Vec<u64> = splitter.cells().iter().map(|cell| cell.line).collect();
    assert_eq!(lines, [1, 2, 2, 4]);
}

#[rstest]
#[case::in_a_bare_cell("a\"b\n")]
#[case::behind_a_blank(" \"a\"\n")]
#[case::behind_a_closing_quote("\"a\"b\n")]
#[case::not_closed("\"a\nb\n")]
fn a_quote_that_is_not_clear_is_not_guessed(#[case] text: &str) {
    assert_eq!(split(text), None);
}

proptest! {
    /// The `csv` crate takes quotes in other places too, and skips empty lines.
    #[test]
    fn what_is_clear_is_split_as_another_parser_splits_it(text in "[ab,\"\r\n ]{0,40}") {
        if let Some(rows) = split(&text) {
            let is_line = |cells: &Vec<String>| cells.as_slice() != [""];
            let ours: Vec<_> = rows.into_iter().map(|(_, cells)| cells).filter(is_line).collect();
            let theirs: Vec<Vec<String>> = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text.as_bytes())
                .records()
                .map(|record| record.unwrap().iter().map(str::to_owned).collect())
                .filter(is_line)
                .collect();
            prop_assert_eq!(ours, theirs);
        }
    }
}
