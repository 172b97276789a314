//! The examples of docs/signing.md, run against its vectors.

use std::io::Write;
use std::process::{Command, Stdio};

use largesse_edge::auth::signature::{Parts, decoded_path, sign, signed_text};

const PAGE: &str = include_str!("../../docs/signing.md");
const SECRET: &str = "6361417eb15fb9a900720404e8d9e0d6aa32c11f1bb42574ac196c1e8f249209";
const ROOM: &str = "01K9Z3NDEKTSV4RRFFQ69G5FAV";

/// Method, path, query, room and body of a vector. The rest is the same in all.
const VECTORS: [[&str; 5]; 2] = [
    ["POST", "/api/v2/wallets/ann/deposits", "", "", r#"{"amount":1000}"#],
    ["GET", "/api/v2/rooms/a%2Fb%EA%B9%80", "limit=5&cursor=x%2Fy", ROOM, ""],
];

/// The signatures of the page, in the order of its vectors.
fn signatures() -> Vec<&'static str> {
    let (_, rest) = PAGE.split_once("| request | signature |\n| --- | --- |\n").unwrap();
    let rows = rest.lines().take_while(|line| line.starts_with('|'));
    rows.map(|row| row.rsplit('`').nth(1).unwrap()).collect()
}

/// The code of the page in a language.
fn example(language: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("\n```{language}\n")).unwrap();
    rest.split_once("\n```").unwrap().0
}

/// The output of an interpreter that reads the example and one call more; `None` when this machine
/// has no such interpreter.
fn output(interpreter: &str, language: &str, call: &str) -> Option<String> {
    // Each of them reads its program from standard input.
    let mut command = Command::new(interpreter);
    command.env("LARGESSE_SECRET", SECRET).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().ok()?;
    let program = format!("{}\n{call}\n", example(language));
    child.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{interpreter}: {program}");
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

/// Gives `call` the values of each vector, quoted, and compares what it prints.
fn signs_as_the_page_says(
    interpreter: &str,
    language: &str,
    call: impl Fn(&[String; 5]) -> String,
) -> bool {
    VECTORS.iter().zip(signatures()).all(|(vector, expected)| {
        let quoted = vector.map(|value| format!("'{value}'"));
        let printed = output(interpreter, language, &call(&quoted));
        assert!(printed.as_deref().is_none_or(|printed| printed == expected), "{interpreter}");
        printed.is_some()
    })
}

#[test]
fn the_vectors_of_the_page_are_what_the_server_computes() {
    assert_eq!(signatures().len(), VECTORS.len());
    for ([method, path, query, room, body], expected) in VECTORS.iter().zip(signatures()) {
        let path = decoded_path(path).unwrap();
        let text = signed_text(&Parts {
            method,
            path: &path,
            query,
            timestamp: "1700000000",
            nonce: "0123456789abcdef",
            user: "ann",
            room,
            body: body.as_bytes(),
        });
        assert_eq!(sign(SECRET, &text), format!("v1={expected}"));
    }
}

#[test]
fn the_examples_for_a_shell_and_for_python_sign_as_the_server_does() {
    let shell = signs_as_the_page_says("bash", "sh", |[method, path, query, room, body]| {
        // It takes the path decoded.
        let path = decoded_path(path).unwrap();
        format!("sign {method} {path} {query} 1700000000 0123456789abcdef ann {room} {body}")
    });
    let python = signs_as_the_page_says(
        "python3",
        "python",
        |[method, path, query, room, body]| {
            format!(
                "print(sign('{SECRET}', {method}, {path}, {query}, '1700000000', '0123456789abcdef', \
             'ann', {room}, {body}.encode()))"
            )
        },
    );
    assert!(shell && python, "CI has both");
}

/// Run where Node.js is; the other languages are there wherever this repository is built.
#[test]
fn the_example_for_javascript_signs_as_the_server_does() {
    signs_as_the_page_says("node", "js", |[method, path, query, room, body]| {
        format!(
            "console.log(sign('{SECRET}', {method}, {path}, {query}, '1700000000', \
             '0123456789abcdef', 'ann', {room}, {body}))"
        )
    });
}
