//! The files that a campaign gives out.

use largesse_tests::http::Api;
use serde_json::json;

use super::{made, put, sealed, shown};

/// The path of the next page, as a caller follows the link.
fn next(path: &str, link: &str) -> Option<String> {
    let query = link.strip_prefix("<?")?.strip_suffix(">; rel=\"next\"")?;
    Some(format!("{path}?{query}"))
}

#[tokio::test]
async fn duplicates_of_a_campaign_can_be_uploaded_to_another() {
    let api = Api::new(21);
    let rows =
        "member_id,amount,reason\nkim,10,=1+1\nkim,20,\"a, \"\"b\"\"\"\nlee,1,x\nkim,30,'0\n";
    let (id, _) = sealed(&api, json!({ "name": "n" }), rows).await;
    let path = format!("/api/v2/campaigns/{id}/duplicates.csv");
    let file = api.get("ann", &*path).await.expect(200);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    let name = format!("attachment; filename=\"duplicates-{id}.csv\"");
    assert_eq!((file.header("content-disposition"), file.header("link")), (name.as_str(), ""));
    let lines: Vec<_> = file.text.split("\r\n").collect();
    assert_eq!(lines[0], "\u{feff}member_id,amount,reason,part,line");
    assert!(lines[1].starts_with("kim,20,") && lines[1].ends_with(",1,3"), "{}", lines[1]);
    assert_eq!(lines.len(), 4);
    let other = made(&api, json!({ "name": "m" })).await;
    let part = put(&api, &other, "1", &file.text).await.expect(200);
    assert_eq!((part.number("accepted"), part.number("amount")), (2, 50), "{}", part.text);
}

#[tokio::test]
async fn a_file_comes_in_pages_that_are_files_themselves() {
    let api = Api::new(22);
    let rows: String = (1..=7).map(|amount| format!("kim,{amount}\n")).collect();
    let rows = format!("member_id,amount\n{rows}");
    let (id, _) = sealed(&api, json!({ "name": "n", "default_reason": "r" }), &rows).await;
    let path = format!("/api/v2/campaigns/{id}/duplicates.csv");
    let (mut at, mut found) = (Some(format!("{path}?limit=4")), Vec::new());
    while let Some(page) = at {
        let page = api.get("ann", page).await.expect(200);
        let mut lines = page.text.lines();
        assert_eq!(lines.next(), Some("\u{feff}member_id,amount,reason,part,line"));
        found.extend(lines.map(str::to_owned));
        at = next(&path, page.header("link"));
    }
    let expected: Vec<_> = (2..=7).map(|n| format!("kim,{n},r,1,{}", n + 1)).collect();
    assert_eq!(found, expected);
    for limit in ["0", "3001", "x", "04"] {
        let refused = api.get("ann", format!("{path}?limit={limit}")).await;
        assert_eq!(refused.verdict(), (400, "ERR001"), "{limit}");
    }
}

#[tokio::test]
async fn a_campaign_that_is_not_sealed_has_no_duplicates() {
    let api = Api::new(23);
    let id = made(&api, json!({ "name": "n" })).await;
    let file = api.get("ann", format!("/api/v2/campaigns/{id}/duplicates.csv")).await.expect(200);
    assert_eq!(file.text, "\u{feff}member_id,amount,reason,part,line\r\n");
    assert_eq!(shown(&api, &id).await.body["state"], "DRAFT");
}
