//! Bodies that are no JSON, no object, or an object with the wrong fields.

use rstest::rstest;

use super::Scene;

/// A field, a value that is right for it, and values that are not.
type Field = (&'static str, &'static str, &'static [&'static str]);

/// What is no whole number in any version.
const NO_NUMBER: &[&str] = &[
    "null",
    "true",
    "[]",
    "[5]",
    "{}",
    r#""""#,
    r#""x""#,
    r#""5x""#,
    r#""1e3""#,
    r#""0x10""#,
    r#""5.5""#,
    "5.5",
    "-5",
    "0",
    "-0.0",
    r#""1_0""#,
    r#""5.""#,
    r#""1.0e1""#,
    "1e3",
    "5e0",
    "18446744073709551616",
    "-9223372036854775809",
    "1e400",
    "99999999999999999999999999999999",
];
/// What v2 does not take for a number although v1 would.
const NO_V2_NUMBER: &[&str] = &[r#""5""#, r#"" 5 ""#, "5.0", r#""5.0""#];
/// What is no amount.
const NO_AMOUNT: &[&str] = &["1000000000001", "9223372036854775807", "18446744073709551615"];
const NO_USER: &[&str] = &["9223372036854775808", "-9223372036854775809"];
const NO_RECIPIENTS: &[&str] = &["1001", "4294967297"];
const NO_SLOTS: &[&str] = &["100001", "4294967297"];
const NO_PERIOD: &[&str] = &["9", "604801"];
const NO_TEXT: &[&str] = &["true", "7", "1.5", "[]", r#"["a"]"#, "{}"];
const NO_NAME: &[&str] = &["null", r#""""#, r#""  ""#];
const NO_SPLIT: &[&str] =
    &["null", r#""""#, r#""Random""#, r#""half""#, r#"" equal""#, r#"{"equal":null}"#, "0"];
const NO_TIME: &[&str] = &[
    r#""""#,
    r#""2026-01-31""#,
    r#""2026-02-30T00:00:00Z""#,
    r#""2026-01-31T09:00:00""#,
    r#""2300-01-01T00:00:00Z""#,
    r#""now""#,
    "0",
];
const NO_POLICY: &[&str] =
    &[r#""""#, r#""First""#, r#""last""#, r#"" sum""#, r#"{"sum":null}"#, "0"];
const NO_MEMBERS: &[&str] =
    &["null", r#""2""#, "{}", "[1]", "[null]", r#"[""]"#, r#"["a b"]"#, r#"["2",["3"]]"#];

fn body(fields: &[(&str, &str)]) -> String {
    let fields: Vec<_> = fields.iter().map(|(name, raw)| format!("\"{name}\":{raw}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// The right body, with the field at `position` as given.
fn with(fields: &[Field], position: usize, raw: &str) -> String {
    let fields: Vec<_> = fields
        .iter()
        .enumerate()
        .map(|(at, (name, right, _))| (*name, if at == position { raw } else { right }))
        .collect();
    body(&fields)
}

/// Bodies that nobody could read.
pub(super) fn unreadable(right: &str) -> Vec<Vec<u8>> {
    let cut = &right[..right.len() - 1];
    let texts = [
        "",
        " ",
        "{",
        "}",
        "{\"",
        "null",
        "true",
        "7",
        "\"text\"",
        "[]",
        "{,}",
        "nul",
        "NaN",
        cut,
        &right[..right.len() / 2],
        &format!("[{right}]"),
        &format!("{right}{right}"),
        &format!("{right},"),
        &format!("{right} x"),
        &format!("\u{feff}{right}"),
        &right.replace('"', "'"),
        &format!("{cut},}}"),
        &format!("// why\n{right}"),
        &format!("{cut},\"x\":\"\\ud800\"}}"),
        &format!("{cut},\"x\":\"\\udc00\\ud800\"}}"),
        &format!("{cut},\"x\":\"\\u00\"}}"),
        &format!("{cut},\"x\":\"\0\"}}"),
        &format!("{cut},\"x\":\"a\nb\"}}"),
        &format!("{cut},\"x\":01}}"),
        &format!("{cut},\"x\":+1}}"),
        &"[".repeat(60_000),
        &"{\"a\":".repeat(10_000),
        &format!("{cut},\"x\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000)),
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    bodies.push([cut.as_bytes(), b",\"x\":\"\xff\"}"].concat());
    bodies.push([cut.as_bytes(), b",\"x\":\"\xc0\x80\"}"].concat());
    bodies.push([cut.as_bytes(), b",\"x\":\"\xed\xa0\x80\"}"].concat());
    bodies
}

pub(super) fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned()
}

#[rstest]
#[case("/api/v2/wallets/2/deposits", &[("amount", "5", NO_AMOUNT), ("memo", "\"m\"", NO_TEXT)])]
#[case("/api/v2/rooms", &[("name", "\"n\"", NO_NAME), ("members", "[\"3\"]", NO_MEMBERS)])]
#[case("/api/v2/sprays", &[
    ("amount", "5", NO_AMOUNT), ("recipients", "2", NO_RECIPIENTS),
    ("split", "\"equal\"", NO_SPLIT), ("expires_in_s", "60", NO_PERIOD),
])]
#[case("/api/v2/campaigns", &[
    ("name", "\"n\"", NO_NAME), ("default_reason", "\"r\"", NO_TEXT),
    ("default_amount", "5", NO_AMOUNT), ("starts_at", "\"2026-01-31T09:00:00Z\"", NO_TIME),
    ("duplicates", "\"sum\"", NO_POLICY),
])]
#[case("/api/v2/drops", &[
    ("name", "\"n\"", NO_NAME), ("slots", "2", NO_SLOTS), ("amount", "5", NO_AMOUNT),
    ("opens_at", "\"2026-01-01T00:00:00Z\"", NO_TIME),
    ("closes_at", "\"2026-01-31T09:00:00Z\"", NO_TIME),
])]
#[case("/api/v2/products", &[
    ("title", "\"t\"", NO_NAME), ("target", "5", NO_AMOUNT),
    ("opens_at", "\"2026-01-01T00:00:00Z\"", NO_TIME),
    ("closes_at", "\"2026-01-31T09:00:00Z\"", NO_TIME),
    ("min_investment", "5", NO_AMOUNT), ("max_per_investor", "5", NO_AMOUNT),
    ("min_raise", "5", NO_AMOUNT),
])]
#[tokio::test]
async fn v2_refuses_every_malformed_body(#[case] path: &str, #[case] fields: &[Field]) {
    let scene = Scene::set().await;
    let right = with(fields, usize::MAX, "");
    for bad in unreadable(&right) {
        let ask = scene.ask("POST", path).header("content-type", "application/json");
        let reply = ask.raw(bad.clone()).await;
        scene.refused(&reply, 400, "ERR001", &format!("{path} {}", shown(&bad)));
    }
    let mut bad = Vec::new();
    for (at, (name, right_value, wrong)) in fields.iter().enumerate() {
        let mut named: Vec<_> = wrong.iter().map(|raw| with(fields, at, raw)).collect();
        let is_number = right_value.parse::<u64>().is_ok();
        if is_number {
            let wrong = NO_NUMBER.iter().chain(NO_V2_NUMBER);
            named.extend(wrong.map(|raw| with(fields, at, raw)));
        } else if right_value.starts_with('"') {
            named.extend(NO_TEXT.iter().chain(&["null"]).map(|raw| with(fields, at, raw)));
        }
        for bad in named {
            let reply = scene.ask("POST", path).json(&bad).await;
            scene.refused(&reply, 400, "ERR001", &format!("{path} {bad}"));
            assert!(reply.body["errors"][0]["field"].as_str().unwrap().starts_with(name), "{bad}");
        }
        let twice = format!("{},\"{name}\":{right_value}}}", &right[..right.len() - 1]);
        bad.extend([twice, with(fields, at, right_value).replace(name, &name.to_uppercase())]);
        let others: Vec<_> = fields.iter().map(|(n, raw, _)| (*n, *raw)).collect();
        let others: Vec<_> = others.into_iter().filter(|(other, _)| other != name).collect();
        if ["amount", "recipients", "name"].contains(name) {
            bad.push(body(&others));
        }
    }
    bad.push(format!("{},\"unknown\":1}}", &right[..right.len() - 1]));
    bad.push("{}".to_owned());
    for bad in bad {
        let reply = scene.ask("POST", path).json(&bad).await;
        scene.refused(&reply, 400, "ERR001", &format!("{path} {bad}"));
        assert!(reply.body["errors"][0]["field"].is_string(), "{}", reply.text);
    }
    let reply = scene.ask("POST", path).json(&right).await;
    assert_eq!(reply.status, 201, "{right} is right: {}", reply.text);
}

#[rstest]
#[case("/api/v1/spray", &[
    ("total_amount", "5", NO_AMOUNT), ("recipient_count", "2", NO_RECIPIENTS),
])]
#[case("/api/v1/receive", &[("token", "\"{token}\"", NO_TEXT)])]
#[case("/api/v1/wallet/charge", &[("amount", "5", NO_AMOUNT)])]
#[case("/api/v1/rooms", &[("room_name", "\"n\"", NO_NAME)])]
#[case("/api/v1/rooms/{room}/invite", &[
    ("user_id", "5", NO_USER),
])]
#[tokio::test]
async fn v1_answers_422_to_every_malformed_body(#[case] path: &str, #[case] fields: &[Field]) {
    let scene = Scene::set().await;
    let right = with(fields, usize::MAX, "").replace("{token}", &scene.token);
    for bad in unreadable(&right) {
        for kind in ["application/json", "text/plain"] {
            let reply = scene.ask("POST", path).header("content-type", kind).raw(bad.clone()).await;
            scene.refused(&reply, 422, "ERR001", &format!("{path} {kind} {}", shown(&bad)));
        }
    }
    let mut bad = vec!["{}".to_owned()];
    for (at, (name, right_value, wrong)) in fields.iter().enumerate() {
        bad.extend(wrong.iter().map(|raw| with(fields, at, raw)));
        let is_number = right_value.parse::<u64>().is_ok();
        let wrong = if is_number { NO_NUMBER } else { NO_TEXT };
        // Any integer may name a user.
        let wrong = wrong
            .iter()
            .filter(|raw| *name != "user_id" || raw.parse::<i64>().is_err() && **raw != "-0.0");
        bad.extend(wrong.map(|raw| with(fields, at, raw)));
        bad.push(with(fields, at, right_value).replace(name, &name.to_uppercase()));
        bad.push(format!("{},\"{name}\":{right_value}}}", &right[..right.len() - 1]));
        bad.push(format!("{},\"other\":1,\"other\":1}}", &right[..right.len() - 1]));
    }
    for bad in bad {
        let reply = scene.ask("POST", path).json(&bad).await;
        scene.refused(&reply, 422, "ERR001", &format!("{path} {bad}"));
        for issue in reply.body["detail"].as_array().unwrap() {
            assert_eq!(issue["loc"][0], "body", "{issue}");
            assert!(issue["msg"].is_string() && issue["type"].is_string(), "{issue}");
        }
    }
    let reply = scene.ask("POST", path).json(&right).await;
    assert_eq!(reply.status, 200, "{right} is right: {}", reply.text);
}

#[rstest]
#[case("/api/v2/sprays", r#"{"amount":2,"recipients":3}"#, 400)]
#[case("/api/v1/spray", r#"{"total_amount":2,"recipient_count":3}"#, 422)]
#[case("/api/v1/spray", r#"{"total_amount":"2","recipient_count":"3"}"#, 422)]
#[tokio::test]
async fn an_amount_that_does_not_give_each_one_is_refused(
    #[case] path: &str,
    #[case] body: &str,
    #[case] status: u16,
) {
    let scene = Scene::set().await;
    scene.refused(&scene.ask("POST", path).json(body).await, status, "ERR001", body);
}
