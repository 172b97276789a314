//! Uploads: what is taken, what is refused, and what a refusal leaves.

use largesse_tests::http::Api;
use rstest::rstest;
use serde_json::json;

use super::{ROWS, act, put, shown, simple};

/// The largest body of a part.
const LEN_MAX: usize = 6_291_456;

#[tokio::test]
async fn the_same_part_twice_is_one_part_and_another_under_its_number_is_refused() {
    let api = Api::new(11);
    let id = simple(&api).await;
    let first = put(&api, &id, "1", ROWS).await.expect(200);
    assert_eq!(first.body["replayed"], false);
    let before = api.dump();
    let again = put(&api, &id, "1", ROWS).await.expect(200);
    assert_eq!(again.body["replayed"], true);
    let same = |name: &str| assert_eq!(first.body[name], again.body[name], "{name}");
    ["part", "rows", "accepted", "refused", "amount", "errors"].into_iter().for_each(same);
    let other = put(&api, &id, "1", "member_id,amount\nkim,11\n").await;
    assert_eq!(other.verdict(), (409, "ERR208"));
    assert!(api.dump() == before, "a repeat changed something");
    // Also once the campaign is sealed.
    act(&api, "ann", &id, "seal").await.expect(202);
    assert_eq!(put(&api, &id, "1", ROWS).await.expect(200).body["replayed"], true);
    let late = put(&api, &id, "2", ROWS).await;
    assert_eq!((late.verdict(), &late.body["state"]), ((409, "ERR201"), &json!("SEALING")));
}

#[tokio::test]
async fn an_upload_that_was_cut_off_leaves_nothing() {
    let api = Api::new(12);
    let id = simple(&api).await;
    let before = api.dump();
    for declared in ["30", "32", "4000"] {
        let cut = put(&api, &id, "1", ROWS).header("content-length", declared).await;
        assert_eq!(cut.verdict(), (400, "ERR001"), "{declared}");
    }
    assert_eq!(ROWS.len(), 31, "what the lengths above are not");
    // Within a quoted cell the reader notices by itself.
    let cut = put(&api, &id, "1", "member_id,amount,reason\nkim,10,\"atten").await;
    assert_eq!(cut.verdict(), (400, "ERR001"));
    assert_eq!(cut.body["errors"][0]["code"], "quote_unclosed");
    assert!(api.dump() == before, "it left something");
    assert_eq!(shown(&api, &id).await.body["parts"]["count"], 0);
    put(&api, &id, "1", ROWS).header("content-length", "31").await.expect(200);
}

#[rstest]
#[case("", "header_missing", 1)]
#[case("member_id,amount,bonus\nkim,1,2\n", "column_unknown", 1)]
#[case("amount\n1\n", "column_missing", 1)]
// The unknown name is told first: it is why member_id and the others are missing.
#[case("Member_ID,amount,reason\nkim,1,x\n", "column_unknown", 1)]
#[case("member_id;amount;reason\nkim;1;x\n", "column_unknown", 1)]
#[case("member_id,amount\n", "rows_none", 2)]
#[tokio::test]
async fn a_file_that_cannot_be_read_is_refused_with_the_place(
    #[case] file: &str,
    #[case] code: &str,
    #[case] line: u64,
) {
    let api = Api::new(13);
    let id = simple(&api).await;
    let before = api.dump();
    let refused = put(&api, &id, "1", file).await;
    assert_eq!(refused.verdict(), (400, "ERR001"), "{}", refused.text);
    let error = &refused.body["errors"][0];
    assert_eq!((error["code"].as_str(), error["line"].as_u64()), (Some(code), Some(line)));
    assert!(error["field"].is_string() && error["detail"].is_string());
    assert!(api.dump() == before);
}

#[tokio::test]
async fn another_encoding_is_refused_with_the_byte() {
    let api = Api::new(14);
    let id = simple(&api).await;
    let body = [b"member_id,amount,reason\nkim,1,".as_slice(), &[0xc3, 0xe2, 0xbc, 0xae, b'\n']];
    let ask = put(&api, &id, "1", "").raw(body.concat());
    let refused = ask.await;
    assert_eq!(refused.verdict(), (400, "ERR001"), "{}", refused.text);
    let error = &refused.body["errors"][0];
    assert_eq!((&error["line"], &error["byte"]), (&json!(2), &json!(30)), "{error}");
}

#[tokio::test]
async fn rows_that_are_refused_are_named_and_the_others_count() {
    let api = Api::new(15);
    let id = simple(&api).await;
    let file = "\u{feff}amount,member_id\r\n10,kim\r\n1E+05,lee\r\n1,lee,x\r\n,,\r\n1,=1+1\r\n";
    let part = put(&api, &id, "7", file).await.expect(200);
    assert_eq!((part.number("rows"), part.number("accepted"), part.number("refused")), (4, 1, 3));
    let errors = part.body["errors"].as_array().unwrap();
    assert_eq!((part.number("error_count"), part.number("blank")), (3, 1));
    let named = |at: usize| (errors[at]["line"].as_u64(), errors[at]["code"].as_str());
    assert_eq!(named(0), (Some(3), Some("amount_scientific")));
    assert_eq!(named(1), (Some(4), Some("cells_many")));
    assert_eq!(named(2), (Some(6), Some("member_formula")));
    assert_eq!(errors[0]["column"], "amount");
}

#[tokio::test]
async fn json_lines_are_taken_under_both_their_types_and_other_types_are_not() {
    let api = Api::new(16);
    let id = simple(&api).await;
    let line = |n: u32| format!("{{\"member_id\":\"m{n}\",\"amount\":{n}}}\n");
    for (number, kind) in [(1, "application/jsonl"), (2, "application/x-ndjson; charset=utf-8")] {
        let path = format!("/api/v2/campaigns/{id}/parts/{number}");
        let ask = api.ask("PUT", path).user("ann").header("content-type", kind);
        assert_eq!(ask.raw(line(number)).await.expect(200).number("accepted"), 1);
    }
    for kind in ["", "application/json", "text/plain", "text/csv; charset=euc-kr"] {
        let path = format!("/api/v2/campaigns/{id}/parts/3");
        let ask = api.ask("PUT", path).user("ann").header("content-type", kind);
        assert_eq!(ask.raw(line(3)).await.verdict(), (415, "ERR001"), "{kind}");
    }
}

#[tokio::test]
async fn a_part_has_at_most_6_mib() {
    let api = Api::new(17);
    let id = simple(&api).await;
    // Blank lines are skipped, so that the file is long and quickly read.
    let file = |len: usize| format!("{ROWS}{}", "\n".repeat(len - ROWS.len()));
    assert_eq!(put(&api, &id, "1", &file(LEN_MAX)).await.expect(200).number("accepted"), 2);
    let before = api.dump();
    assert_eq!(put(&api, &id, "2", &file(LEN_MAX + 1)).await.verdict(), (413, "ERR001"));
    assert!(api.dump() == before);
}
