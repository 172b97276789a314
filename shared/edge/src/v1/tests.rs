use super::*;
use crate::testing::call;
use rstest::rstest;

#[rstest]
#[case("7", Some(7))]
#[case(" 7 ", Some(7))]
#[case("+7", Some(7))]
#[case("007", Some(7))]
#[case("-9223372036854775808", Some(i64::MIN))]
#[case("9223372036854775808", None)]
#[case("7.0", Some(7))]
#[case("7.", None)]
#[case("7e1", None)]
#[case("--7", None)]
#[case("", None)]
#[case("-", None)]
#[case("٧", None)]
fn an_integer_may_have_blanks_a_sign_and_zeros_around_it(
    #[case] text: &str,
    #[case] number: Option<i64>,
) {
    assert_eq!(integer_in(text).ok(), number);
}

#[rstest]
#[case("7", serde_json::json!(7))]
#[case("-7", serde_json::json!(-7))]
#[case("007", serde_json::json!("007"))]
#[case("ann", serde_json::json!("ann"))]
#[case("-", serde_json::json!("-"))]
fn a_user_is_a_number_only_in_its_canonical_spelling(#[case] id: &str, #[case] shown: Value) {
    assert_eq!(user_value(&id.parse().unwrap()), shown);
}

#[test]
fn the_caller_is_one_user_in_all_spellings() {
    for spelling in ["7", "007", " 7", "+7"] {
        let call = call("POST", "/api/v1/spray", &[("X-USER-ID", spelling)], "");
        let caller = Issues::default().caller(&call).unwrap();
        assert_eq!(caller.as_str(), "7");
    }
}

#[test]
fn a_room_header_that_is_no_room_id_is_no_issue() {
    let mut issues = Issues::default();
    let of = |id: &str| call("POST", "/api/v1/spray", &[("X-ROOM-ID", id)], "");
    assert_eq!(issues.room(&of("lobby")), Some(None));
    assert!(matches!(issues.room(&of("01ARZ3NDEKTSV4RRFFQ69G5FAV")), Some(Some(_))));
    assert!(issues.0.is_empty());
    assert_eq!(issues.room(&of("")), None);
    assert_eq!(issues.room(&of(&"x".repeat(65))), None);
}

/// The table is the output of pydantic, with the documented differences in its third column.
#[test]
fn integers_are_read_as_pydantic_reads_them_but_for_the_documented_differences() {
    let any = Limits::new(i64::MIN, i64::MAX);
    let rows = include_str!("integers.tsv").lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for row in rows {
        let [json, expected @ ..] = &row.split('\t').collect::<Vec<_>>()[..] else { continue };
        let mut issues = Issues::default();
        let call = call("POST", "/api/v1/spray", &[], &format!("{{\"n\": {json} }}"));
        let body = issues.body(&call).unwrap();
        let read = match issues.integer(&body, "n", any) {
            Some(number) => number.to_string(),
            None => issues.0[0].code.to_owned(),
        };
        assert_eq!(Some(&read.as_str()), expected.last(), "{json}");
        count += 1;
    }
    assert_eq!(count, 119, "rows of the table");
}

#[test]
fn every_issue_of_an_integer_has_the_words_of_pydantic() {
    let mut issues = Issues::default();
    let body = r#"{"a":null,"b":true,"c":1.5,"d":1e3,"e":"x","f":0,"g":-1,"h":1000000000001,
        "i":18446744073709551615,"j":" 5 ","k":[],"l":"99999999999999999999"}"#;
    let call = call("POST", "/api/v1/spray", &[], body);
    let fields = issues.body(&call).unwrap();
    let read: Vec<_> =
        "abcdefghijklm".chars().map(|c| issues.amount(&fields, &c.to_string())).collect();
    assert_eq!(read.iter().flatten().collect::<Vec<_>>(), [&5]);
    let lines = issues.0.iter().map(|e| format!("{} {} {}", e.field, e.code, e.detail));
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r"
    a int_type Input should be a valid integer
    b int_type Input should be a valid integer
    c int_from_float Input should be a valid integer, got a number with a fractional part
    d int_from_float Input should be a valid integer, got a number with a fractional part
    e int_parsing Input should be a valid integer, unable to parse string as an integer
    f greater_than Input should be greater than 0
    g greater_than Input should be greater than 0
    h less_than_equal Input should be less than or equal to 1000000000000
    i int_parsing_size Unable to parse input string as an integer, exceeded maximum size
    k int_type Input should be a valid integer
    l int_parsing_size Unable to parse input string as an integer, exceeded maximum size
    m missing Field required
    ");
}

#[rstest]
#[case("", "missing", "")]
#[case("{\"a\":", "json_invalid", "4")]
#[case("{\n\"a\": x}", "json_invalid", "7")]
#[case("[]", "model_attributes_type", "")]
#[case("\"\\ud800\"", "json_invalid", "7")]
fn a_body_that_is_no_object_is_an_issue(
    #[case] body: &str,
    #[case] code: &str,
    #[case] field: &str,
) {
    let mut issues = Issues::default();
    assert_eq!(issues.body(&call("POST", "/api/v1/spray", &[], body)), None);
    assert_eq!((issues.0[0].code, issues.0[0].field.as_str()), (code, field));
}

#[test]
fn the_last_of_repeated_parameters_counts() {
    let call = call("GET", "/api/v1/wallet?page=1&page=3&other=x", &[], "");
    let mut issues = Issues::default();
    assert_eq!(issues.query_integer(&call, "page", Limits::new(1, 9), 1), Some(3));
    assert_eq!(issues.query_integer(&call, "absent", Limits::new(1, 9), 4), Some(4));
    assert_eq!(issues.query_integer(&call, "page", Limits::new(5, 9), 1), None);
    assert_eq!(issues.0[0].detail, "Input should be greater than or equal to 5");
}

#[rstest]
#[case(r#"{"amount":1,"amount":2}"#)]
#[case(r#"{"amount":1,"other":3,"amount":1}"#)]
fn a_duplicate_name_is_an_issue_that_names_it(#[case] body: &str) {
    let mut issues = Issues::default();
    assert_eq!(issues.body(&call("POST", "/api/v1/wallet/charge", &[], body)), None);
    assert_eq!((issues.0[0].code, issues.0[0].field.as_str()), ("value_error", "amount"));
}
