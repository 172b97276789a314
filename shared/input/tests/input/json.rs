//! JSON Lines.

use largesse_input::{Code, Format, Row, Summary};
use rstest::rstest;

use crate::{cells, lenient, problems, read, strict};

fn json(text: &str) -> (Vec<Row>, Summary) {
    read(Format::JsonLines, &strict(), text.as_bytes())
}

#[test]
fn an_object_on_each_line_is_a_row_and_blank_lines_are_counted() {
    let file = "\n{\"member_id\":\"00042\",\"amount\":1000,\"reason\":\"출석 \\ubcf4\\uc0c1\"}\r\n  \r\n\
                { \"reason\" : \"'=x\" , \"amount\" : 1 , \"member_id\" : \"42\" }";
    let (rows, summary) = json(file);
    // No spreadsheet has seen this reason: its apostrophe is its own.
    assert_eq!(cells(&rows), [(2, "00042", 1000, "출석 보상"), (4, "42", 1, "'=x")]);
    assert_eq!((summary.blank, summary.problem_count, summary.id_widths.odd()), (2, 0, 1));
}

#[test]
fn a_field_that_is_left_out_is_the_default() {
    let (rows, _) = read(Format::JsonLines, &lenient(), b"{\"member_id\":\"42\"}\n");
    assert_eq!(cells(&rows), [(1, "42", 7, "default")]);
    let (_, summary) = json("{}");
    assert_eq!(
        problems(&summary),
        [
            (1, "member_id", Code::MemberEmpty),
            (1, "amount", Code::AmountEmpty),
            (1, "reason", Code::ReasonEmpty),
        ]
    );
}

#[rstest]
#[case::array("[1]", "", Code::JsonNotObject)]
#[case::text("member_id,amount", "", Code::JsonNotObject)]
#[case::truncated("{\"member_id\":\"42\",\"am", "", Code::JsonMalformed)]
#[case::two_objects("{} {}", "", Code::JsonMalformed)]
#[case::unknown("{\"member_id\":\"42\",\"memo\":\"x\"}", "memo", Code::JsonFieldUnknown)]
#[case::another_case("{\"Member_id\":\"42\"}", "Member_id", Code::JsonFieldUnknown)]
#[case::twice("{\"amount\":1,\"amount\":1}", "amount", Code::JsonFieldDuplicate)]
#[case::twice_escaped("{\"amount\":1,\"\\u0061mount\":2}", "amount", Code::JsonFieldDuplicate)]
fn a_line_is_refused_with_the_name_of_the_field(
    #[case] line: &str,
    #[case] name: &str,
    #[case] code: Code,
) {
    assert_eq!(problems(&json(line).1), [(1, name, code)]);
}

#[rstest]
#[case::number("member_id", "42", Code::MemberNotText)]
#[case::null("member_id", "null", Code::MemberPlaceholder)]
#[case::placeholder("member_id", "\"NULL\"", Code::MemberPlaceholder)]
#[case::formula("member_id", "\"=1\"", Code::MemberFormula)]
#[case::surrogate("member_id", "\"\\ud800\"", Code::JsonMalformed)]
#[case::zero_byte("member_id", "\"a\\u0000\"", Code::MemberCharacters)]
#[case::string("amount", "\"1000\"", Code::AmountNotNumber)]
#[case::boolean("amount", "true", Code::AmountNotNumber)]
#[case::array("amount", "[1]", Code::AmountNotNumber)]
#[case::null("amount", "null", Code::AmountPlaceholder)]
#[case::float("amount", "1000.0", Code::AmountFraction)]
#[case::exponent("amount", "1e5", Code::AmountScientific)]
#[case::negative("amount", "-1", Code::AmountSign)]
#[case::zero("amount", "0", Code::AmountZero)]
#[case::large("amount", "18446744073709551617", Code::AmountTooLarge)]
#[case::null("reason", "null", Code::ReasonNotText)]
#[case::number("reason", "1", Code::ReasonNotText)]
#[case::line_feed("reason", "\"a\\nb\"", Code::ReasonControl)]
#[case::empty("reason", "\"\"", Code::ReasonEmpty)]
fn a_value_is_refused_with_its_reason(
    #[case] field: &str,
    #[case] value: &str,
    #[case] code: Code,
) {
    let good = [("member_id", "\"42\""), ("amount", "1000"), ("reason", "\"x\"")];
    let line =
        good.map(|(name, own)| format!("\"{name}\":{}", if name == field { value } else { own }));
    let (rows, summary) = json(&format!("{{{}}}\n", line.join(",")));
    assert_eq!((rows.len(), problems(&summary)), (0, vec![(1, field, code)]));
    assert_eq!(
        summary.problems[0].value.as_deref().map(|v| v.replace("\\\\", "\\")),
        Some(value.to_owned())
    );
}

#[test]
fn a_deeply_nested_value_is_refused() {
    let nested = "[".repeat(8_000) + &"]".repeat(8_000);
    for (line, name, code) in [
        (nested.clone(), "", Code::JsonNotObject),
        (format!("{{\"member_id\":{nested}}}"), "member_id", Code::MemberNotText),
        (format!("{{\"x\":{nested}}}"), "x", Code::JsonFieldUnknown),
    ] {
        let (_, summary) = read(Format::JsonLines, &lenient(), line.as_bytes());
        assert_eq!(problems(&summary), [(1, name, code)]);
    }
}

#[test]
fn a_file_without_objects_is_refused() {
    assert_eq!(problems(&json("").1), [(1, "", Code::RowsNone)]);
    assert_eq!(problems(&json("\n\n").1), [(3, "", Code::RowsNone)]);
}
