//! Every refused request of this suite as a line of JSON, for tests/deploy: it sends them to the
//! deployed API and to the local one and compares the answers.

use std::fs::OpenOptions;
use std::io::Write;

use largesse_tests::http::Reply;
use serde_json::json;

use super::Scene;

/// The file to append to. Without it, nothing is recorded.
const FILE: &str = "MALFORMED_REQUESTS";

/// Appends the request and its verdict. This world's room and token become placeholders.
pub(super) fn record(scene: &Scene, reply: &Reply) {
    let Some(file) = std::env::var_os(FILE) else { return };
    let asked = &reply.asked;
    // A byte is a character: header values need not be UTF-8.
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
    let general = |text: &str| text.replace(&scene.room, "{room}");
    let is_token = |part: &&str| *part == scene.token;
    let (path, query) = match asked.path.split_once('?') {
        Some((path, query)) => (path, format!("?{query}")),
        None => (asked.path.as_str(), String::new()),
    };
    let parts = path.split('/').map(|part| if is_token(&part) { "{token}" } else { part });
    let path = general(&(parts.collect::<Vec<_>>().join("/") + &query));
    let headers: Vec<_> =
        asked.headers.iter().map(|(name, value)| (name, general(&text(value)))).collect();
    let body = text(&asked.body).replace(&format!("\"{}\"", scene.token), "\"{token}\"");
    let (status, code) = reply.verdict();
    let line = json!({
        "method": asked.method, "path": path, "headers": headers, "body": general(&body),
        "status": status, "code": code,
    });
    // One write, since tests run side by side.
    let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}
