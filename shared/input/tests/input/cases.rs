//! Files that people who pay in bulk have really sent. `cN` is the row of the collection.

use largesse_domain::ledger::Memo;
use largesse_input::{Code, Format, Options};
use rstest::rstest;

use crate::{cells, csv, lenient, problems, read, strict};

const HEADER: &str = "member_id,amount,reason\n";

/// The problems of one row below the header.
fn refused(row: &str) -> Vec<(u64, String, Code)> {
    let (rows, summary) = csv(&format!("{HEADER}{row}\n"));
    assert_eq!((rows.len(), summary.refused, summary.stopped), (0, 1, false), "{row}");
    problems(&summary).into_iter().map(|(line, name, code)| (line, name.to_owned(), code)).collect()
}

#[rstest]
#[case::bom("\u{feff}")]
#[case::zero_width_space("\u{200b}")]
#[case::word_joiner("\u{2060}")]
#[case::several("\u{feff}\u{200b}\u{2060}\u{feff}")]
fn c1_a_mark_before_the_first_name_is_as_without(#[case] mark: &str) {
    for rest in ["member_id,amount,reason\n42,1000,x\n", "\"member_id\",amount,reason\n42,1000,x\n"]
    {
        let (rows, summary) = csv(&format!("{mark}{rest}"));
        assert_eq!(cells(&rows), [(2, "42", 1000, "x")]);
        assert_eq!(summary.problems, []);
    }
    let line = format!("{mark}{{\"member_id\":\"42\"}}");
    assert_eq!(read(Format::JsonLines, &lenient(), line.as_bytes()).1.accepted, 1);
    // Anywhere else it is part of the text.
    let (_, summary) = csv(&format!("amount,{mark}member_id,reason\n"));
    assert_eq!(summary.problems[0].code, Code::ColumnUnknown);
}

/// 출석 보상 in CP949.
const CP949: &[u8] = b"\xc3\xe2\xbc\xae \xba\xb8\xbb\xf3";

#[test]
fn c2_a_reason_in_cp949_is_refused_with_line_byte_and_what_to_do() {
    let file = [HEADER.as_bytes(), b"42,1000,x\n43,1000,", CP949, b"\n44,1000,x\n"].concat();
    let (_, summary) = read(Format::Csv, &strict(), &file);
    assert!(summary.stopped);
    let problem = &summary.problems[0];
    assert_eq!((problem.line, problem.byte), (3, Some(42)));
    assert_eq!(problem.code, Code::EncodingCp949);
    assert!(problem.to_string().starts_with("line 3: "), "{problem}");
    assert!(problem.detail().contains("Save it as UTF-8"), "{problem}");
    assert!(problem.detail().contains("after 42 bytes"), "{problem}");
}

#[rstest]
#[case::le_marked(true, true, 0)]
#[case::le(true, false, 1)]
#[case::be_marked(false, true, 0)]
#[case::be(false, false, 0)]
fn c2_a_file_in_utf16_is_refused_with_line_byte_and_what_to_do(
    #[case] little: bool,
    #[case] marked: bool,
    #[case] byte: u64,
    #[values(Format::Csv, Format::JsonLines)] format: Format,
) {
    let text = format!("{HEADER}42,1000,출석 보상\n");
    let units = marked.then_some(0xfeff).into_iter().chain(text.encode_utf16());
    let file: Vec<u8> = units
        .flat_map(|unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() })
        .collect();
    let (rows, summary) = read(format, &strict(), &file);
    let problem = &summary.problems[0];
    assert_eq!((rows.len(), problem.line, problem.byte), (0, 1, Some(byte)));
    assert_eq!(problem.code, Code::EncodingUtf16);
    assert!(problem.detail().contains("Save it as UTF-8"), "{problem}");
}

#[test]
fn c3_ids_are_text_and_another_width_is_a_warning() {
    let ids = ["00042", "021000021", "42", "0042"];
    for quote in ["", "\""] {
        let lines: String = ids.iter().map(|id| format!("{quote}{id}{quote},1,x\n")).collect();
        let (rows, summary) = csv(&format!("{HEADER}{lines}"));
        let members: Vec<&str> = rows.iter().map(|row| row.member.as_str()).collect();
        assert_eq!(members, ids);
        assert_eq!((summary.problem_count, summary.id_widths.odd()), (0, 3));
    }
    let (_, summary) = csv(&format!("{HEADER}00042,1,x\n00043,1,x\nuser-1,1,x\n"));
    assert_eq!(summary.id_widths.odd(), 0);
}

#[rstest]
#[case("1E+05", Code::AmountScientific)]
#[case("1,000", Code::AmountThousands)]
#[case("\"1,000\"", Code::AmountThousands)]
#[case("1,000,000", Code::AmountThousands)]
#[case("\"₩1,000\"", Code::AmountCurrency)]
#[case("1000원", Code::AmountCurrency)]
#[case("1000.00", Code::AmountFraction)]
#[case("１０００", Code::AmountFullWidth)]
#[case("+1000", Code::AmountSign)]
#[case("-1", Code::AmountSign)]
#[case("0", Code::AmountZero)]
#[case("", Code::AmountEmpty)]
fn c4_an_amount_that_is_not_digits_is_refused_by_line_with_its_reason(
    #[case] amount: &str,
    #[case] code: Code,
) {
    assert_eq!(refused(&format!("42,{amount},x")), [(2, "amount".to_owned(), code)]);
}

#[test]
fn c4_a_spreadsheets_damage_is_named() {
    assert_eq!(refused("1.23457E+16,1,x"), [(2, "member_id".to_owned(), Code::MemberScientific)]);
    for code in [Code::MemberScientific, Code::AmountScientific] {
        assert!(code.text().contains("a spreadsheet has damaged it"), "{code:?}");
    }
}

#[test]
fn c4_spaces_around_an_amount_are_taken() {
    let (rows, _) = csv(&format!("{HEADER}42, 1000 ,x\n"));
    assert_eq!(cells(&rows), [(2, "42", 1000, "x")]);
}

#[test]
fn c4_an_amount_split_by_its_comma_is_not_taken_for_another_column() {
    // Every place of the amount, and a group that is none.
    let (_, summary) = csv("amount,member_id,reason\n1,000,42,x\n1,00,42,x\n");
    assert_eq!(
        problems(&summary),
        [(2, "amount", Code::AmountThousands), (3, "", Code::CellsMany)]
    );
    assert_eq!(summary.problems[0].value.as_deref(), Some("1,000"));
}

#[rstest]
#[case("'00042", Code::MemberApostrophe)]
#[case("=1+1", Code::MemberFormula)]
#[case("+1", Code::MemberFormula)]
#[case("-1", Code::MemberFormula)]
#[case("@x", Code::MemberFormula)]
#[case("\t7", Code::MemberFormula)]
#[case("\"\r7\"", Code::MemberFormula)]
fn c5_an_id_that_is_a_formula_or_marked_as_text_is_refused(#[case] id: &str, #[case] code: Code) {
    assert_eq!(refused(&format!("{id},1,x")), [(2, "member_id".to_owned(), code)]);
}

#[test]
fn c6_blank_rows_are_skipped_and_counted() {
    let file = format!("\n{HEADER}\n,,\n \t, ,\"\"\n,\n,,,,\n42,1,x\n{}", ",,\n".repeat(50_000));
    let (rows, summary) = csv(&file);
    assert_eq!(cells(&rows), [(8, "42", 1, "x")]);
    assert_eq!((summary.rows, summary.blank, summary.problem_count), (1, 50_006, 0));
}

#[test]
fn c6_ragged_rows_are_refused_by_their_physical_line() {
    let (rows, summary) = csv(&format!("{HEADER}\"a\n\nb\",1,x\n42,1\n42,1,x,\n42\n43,1,x\n"));
    assert_eq!(cells(&rows), [(8, "43", 1, "x")]);
    assert_eq!(
        problems(&summary),
        [
            (2, "member_id", Code::CellLineBreak),
            (5, "reason", Code::CellsFew),
            (6, "", Code::CellsMany),
            (7, "amount", Code::CellsFew),
        ]
    );
    assert_eq!(summary.problems[1].value.as_deref(), Some("2 cells for 3 columns"));
}

#[rstest]
#[case::lf("\n", "\n")]
#[case::crlf("\r\n", "\r\n")]
#[case::cr("\r", "\r")]
#[case::mixed("\r\n", "\r")]
#[case::mixed_again("\r", "\n")]
#[case::no_final_line_end("\n", "")]
fn c6_line_ends_of_any_kind_end_a_line(#[case] end: &str, #[case] last: &str) {
    // CR before LF would be one line end, so the row between them has cells.
    let (rows, _) = csv(&format!("member_id,amount,reason{end}42,1,x{last}"));
    assert_eq!(cells(&rows), [(2, "42", 1, "x")]);
    let two = format!("member_id,amount,reason{end}42,1,x{end}43,2,y{last}");
    assert_eq!(cells(&csv(&two).0), [(2, "42", 1, "x"), (3, "43", 2, "y")]);
}

#[test]
fn c6_a_line_break_in_quotes_is_one_cell_and_never_hides_a_row() {
    let (rows, summary) = csv(&format!("{HEADER}42,1,\"a\r\nb\"\n43,1,x\n"));
    assert_eq!(cells(&rows), [(4, "43", 1, "x")]);
    assert_eq!(problems(&summary), [(2, "reason", Code::CellLineBreak)]);
    // Two lost quotes make one cell of two rows: in a column that is not read, too.
    let file = "member_id,amount,reason,failure\n42,1,x,\"a\n43,1,x,b\"\n44,1,x,c\n";
    let (rows, summary) = csv(file);
    assert_eq!(cells(&rows), [(4, "44", 1, "x")]);
    assert_eq!(problems(&summary), [(2, "failure", Code::CellLineBreak)]);
}

#[test]
fn c6_an_unclosed_quote_is_refused_at_its_line_and_the_rest_is_no_cell() {
    let rest: String = (0..1_500).map(|n| format!("user-{n},1000,x\n")).collect();
    for rest in [rest.as_str(), "", "43,1,x\n"] {
        let (rows, summary) = csv(&format!("{HEADER}41,1,x\n42,1,\"x\n{rest}"));
        assert_eq!(cells(&rows), [(2, "41", 1, "x")]);
        assert_eq!(problems(&summary), [(3, "reason", Code::QuoteUnclosed)]);
        assert!(summary.stopped);
    }
    // A quote inside a cell refuses its own row only.
    let (rows, summary) =
        csv(&format!("{HEADER}42,1,5\" nail\n43,1,\"a\"b\n44,1,\"5\"\" nail\"\n"));
    assert_eq!(cells(&rows), [(4, "44", 1, "5\" nail")]);
    let misplaced = Code::QuoteMisplaced;
    assert_eq!(problems(&summary), [(2, "reason", misplaced), (3, "reason", misplaced)]);
}

#[rstest]
#[case::twice("member_id,member_id,amount", "member_id", Code::ColumnDuplicate)]
#[case::another_spelling("Member ID,amount,reason", "Member ID", Code::ColumnUnknown)]
#[case::another_case("Member_id,amount,reason", "Member_id", Code::ColumnUnknown)]
#[case::korean("회원ID,amount,reason", "회원ID", Code::ColumnUnknown)]
#[case::blank_before("member_id, amount,reason", " amount", Code::ColumnUnknown)]
#[case::additional("member_id,amount,reason,note", "note", Code::ColumnUnknown)]
#[case::unnamed("member_id,amount,reason,", "", Code::ColumnUnnamed)]
#[case::no_header("42,1000,x", "42", Code::ColumnUnknown)]
#[case::semicolons("member_id;amount;reason", "member_id;amount;reason", Code::ColumnUnknown)]
#[case::no_member("amount,reason", "member_id", Code::ColumnMissing)]
#[case::no_amount("member_id,reason", "amount", Code::ColumnMissing)]
#[case::no_reason("member_id,amount", "reason", Code::ColumnMissing)]
fn c7_a_header_is_refused_with_the_name_of_the_column(
    #[case] header: &str,
    #[case] name: &str,
    #[case] code: Code,
) {
    let (rows, summary) = csv(&format!("{header}\n42,1000,x\n"));
    assert_eq!((rows.len(), summary.stopped), (0, true));
    assert_eq!(problems(&summary)[0], (1, name, code));
}

#[test]
fn c7_a_header_is_exact_names_in_any_order() {
    let (rows, _) = csv("reason,amount,member_id\nx,1,42\n");
    assert_eq!(cells(&rows), [(2, "42", 1, "x")]);
    // What the campaign has a default for may be left out, as a column or in a row.
    let (rows, _) = read(Format::Csv, &lenient(), b"amount,member_id\n1,42\n,43\n");
    assert_eq!(cells(&rows), [(2, "42", 1, "default"), (3, "43", 7, "default")]);
    let (rows, _) = read(Format::Csv, &lenient(), b"member_id\n42\n");
    assert_eq!(cells(&rows), [(2, "42", 7, "default")]);
}

#[test]
fn c7_a_blank_default_reason_is_no_default() {
    let blank = Options { default_reason: Some(Memo::new(" ").unwrap()), ..lenient() };
    let (_, summary) = read(Format::Csv, &blank, b"member_id,reason\n42,\n");
    assert_eq!(problems(&summary), [(2, "reason", Code::ReasonEmpty)]);
    let (_, summary) = read(Format::Csv, &blank, b"member_id\n42\n");
    assert_eq!(problems(&summary), [(1, "reason", Code::ColumnMissing)]);
}

#[test]
fn c7_a_file_without_rows_is_refused() {
    assert_eq!(problems(&csv(HEADER).1), [(2, "", Code::RowsNone)]);
    assert_eq!(problems(&csv("").1), [(1, "", Code::HeaderMissing)]);
    assert_eq!(problems(&csv("\n,,\n").1), [(1, "", Code::HeaderMissing)]);
}

#[test]
fn c9_one_member_twice_is_two_rows_with_their_lines() {
    // The policy of the campaign decides later; here case counts and blanks are refused.
    let (rows, summary) = csv(&format!("{HEADER}kim,1,x\nkim,2,x\nKim,1,x\nkim ,1,x\n"));
    assert_eq!(cells(&rows), [(2, "kim", 1, "x"), (3, "kim", 2, "x"), (4, "Kim", 1, "x")]);
    assert_eq!(problems(&summary), [(5, "member_id", Code::MemberBlanks)]);
}

#[rstest]
fn c10_a_placeholder_is_no_member_and_no_amount(
    #[values("NULL", "N/A", "#N/A", "-", "null", "undefined", "nan")] placeholder: &str,
) {
    let found = refused(&format!("{placeholder},{placeholder},x"));
    assert_eq!(
        found,
        [
            (2, "member_id".to_owned(), Code::MemberPlaceholder),
            (2, "amount".to_owned(), Code::AmountPlaceholder),
        ]
    );
    // Nor is it taken for "use the default".
    let file = format!("member_id,amount\n42,{placeholder}\n");
    assert_eq!(read(Format::Csv, &lenient(), file.as_bytes()).1.refused, 1);
}

#[test]
fn c12_a_bad_row_is_named_and_the_others_are_read() {
    let mut lines: Vec<String> = (1..=1_500).map(|n| format!("user-{n},1000,x")).collect();
    lines[49] = "user-50,1000원,x".to_owned();
    let file = format!("{HEADER}{}", lines.join("\n"));
    let (rows, summary) = csv(&file);
    assert_eq!((rows.len(), summary.refused, summary.stopped), (1_499, 1, false));
    assert_eq!(problems(&summary), [(51, "amount", Code::AmountCurrency)]);
    assert_eq!(summary.problems[0].value.as_deref(), Some("1000원"));
    // The same part again is the same.
    assert_eq!(csv(&file), (rows, summary));
}

#[test]
fn c12_a_row_that_is_cut_off_is_refused() {
    let (rows, summary) = csv(&format!("{HEADER}42,1000,x\n43,10"));
    assert_eq!(cells(&rows), [(2, "42", 1000, "x")]);
    assert_eq!(problems(&summary), [(3, "reason", Code::CellsFew)]);
    let file = format!("{HEADER}42,1000,출석");
    let (rows, summary) = read(Format::Csv, &strict(), &file.as_bytes()[..file.len() - 1]);
    assert_eq!((rows.len(), problems(&summary)), (0, vec![(2, "", Code::EncodingUnknown)]));
}
