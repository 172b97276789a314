//! The binary as a process: how it starts, refuses to start, stops, and survives kill -9; and what
//! its benchmark counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod life;
mod signed;
mod up;

use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;

use reqwest::Method;
use serde_json::Value;

use crate::up::{Up, command, failure, folder};

#[test]
fn a_busy_port_is_named_and_the_exit_code_is_one() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, said) = failure(&["up", "--listen", &address]);
    assert_eq!(code, Some(1), "{said}");
    let hint = format!("largesse: cannot listen on {address}: is another program using it?");
    assert!(said.starts_with(&hint), "{said}");
    assert_eq!(said.lines().count(), 1, "one line, no trace: {said}");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named_and_the_exit_code_is_one() {
    // Below a file there can be no folder, for any user.
    let parent = folder("unwritable");
    std::fs::create_dir_all(&parent).unwrap();
    std::fs::write(parent.join("file"), "").unwrap();
    let data = parent.join("file").join("data");
    let (code, said) =
        failure(&["up", "--listen", "127.0.0.1:0", "--data", data.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    let hint = format!("largesse: cannot write to the data folder {}", data.display());
    assert!(said.starts_with(&hint), "{said}");
    assert_eq!(said.lines().count(), 1, "one line, no trace: {said}");
}

#[test]
fn a_data_folder_in_use_is_named_and_the_exit_code_is_one() {
    let data = folder("in-use");
    let data = data.to_str().unwrap();
    let _first = Up::start(&["--data", data]);
    let (code, said) = failure(&["up", "--listen", "127.0.0.1:0", "--data", data]);
    assert_eq!(code, Some(1), "{said}");
    let hint = format!("largesse: another process uses the data folder {data}");
    assert!(said.starts_with(&hint), "{said}");
}

#[test]
fn a_wrong_argument_is_explained_and_the_exit_code_is_two() {
    let (code, said) = failure(&["up", "--listen", "nowhere"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("--listen"), "{said}");
}

#[test]
fn options_of_up_may_stand_before_it_and_are_never_ignored() {
    let data = folder("before");
    let path = data.to_str().unwrap();
    for words in [&["openapi"][..], &["dlq", "list"]] {
        let (code, said) = failure(&[&["--data", path], words].concat());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("cannot be used with this command"), "{said}");
    }
    let (code, said) = failure(&["--data", path, "up", "--data", path]);
    assert_eq!(code, Some(2), "{said}");
    assert!(!data.exists());
    let mut child = command(&["--data", path, "--listen", "127.0.0.1:0", "up"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let kept = lines.find(|line| line.starts_with("  data"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(kept.unwrap(), format!("  data   in {path}, and survives kill -9"));
}

#[test]
fn an_address_that_cannot_be_used_is_explained() {
    for address in ["localhost:4414", "127.0.0.1"] {
        let (code, said) = failure(&["up", "--listen", address]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("an IP address and a port, as 127.0.0.1:3000"), "{said}");
    }
    // A documentation address (RFC 5737), which no machine has.
    let (code, said) = failure(&["up", "--listen", "192.0.2.1:80"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("this machine has no such address"), "{said}");
}

#[tokio::test]
async fn the_ledger_of_a_running_stack_is_proved_by_hand() {
    let up = Up::start(&[]);
    let (path, body) = ("/api/v2/wallets/ann/deposits", serde_json::json!({ "amount": 500 }));
    let sent = up.client.send(Method::POST, path, "ann", None, Some("k"), Some(&body)).await;
    assert_eq!(sent.unwrap().status, 201);
    let run = |words: &[&str]| {
        let words = [&["verify"], words, &["--endpoint", &up.endpoint]].concat();
        let output = command(&words).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = run(&["ledger"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("issued            500\n"), "{said}");
    assert!(said.ends_with("\neverything adds up\n"), "{said}");
    assert_eq!(run(&["frozen"]), (Some(0), "no pool is frozen\n".to_owned()));
    let pool = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV";
    assert_eq!(run(&["unfreeze", pool]), (Some(0), format!("{pool} was not frozen\n")));
}

#[test]
fn a_webhook_that_cannot_be_called_is_refused_and_its_address_is_not_repeated() {
    for url in ["http://hooks.example/canary", "canary"] {
        for words in [&["up", "--webhook-url", url][..], &["--webhook-url", url]] {
            let (code, said) = failure(words);
            assert_eq!(code, Some(2), "{said}");
            assert!(said.contains("https, or http to this machine"), "{said}");
            assert!(!said.contains("canary"), "{said}");
        }
    }
    let url = "https://hooks.example/canary";
    let twice = &["--webhook-url", url, "up", "--webhook-url", url][..];
    for words in [twice, &["--webhook-url", url, "openapi"]] {
        let (code, said) = failure(words);
        assert_eq!((code, said.contains("canary")), (Some(2), false), "{said}");
    }
}

#[test]
fn a_malformed_log_filter_is_named_and_the_exit_code_is_one() {
    let mut up = command(&["up", "--listen", "127.0.0.1:0"]);
    let output = up.env("RUST_LOG", "info,grant_pay=debgu").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let hint = "largesse: the environment variable RUST_LOG is malformed: it must be targets and \
                levels, as `info` or `info,grant_pay=debug`\n";
    assert_eq!(said, hint);
}

#[test]
fn a_demonstration_that_is_not_possible_is_refused_with_its_limits() {
    for (options, limit) in [
        (["--amount", "10", "--shares", "20"], "a share is 1 won at least"),
        (["--amount", "0", "--shares", "1"], "1..=1000000000000"),
        (["--amount", "1000000000001", "--shares", "1"], "1..=1000000000000"),
    ] {
        let (code, said) = failure(&[&["demo", "spray"], &options[..]].concat());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(limit), "{said}");
    }
    for words in [
        ["demo", "campaign", "--rows", "0"],
        ["demo", "drop", "--people", "0"],
        ["demo", "product", "--target", "0"],
        ["bench", "campaign", "--rows", "999"],
    ] {
        let (code, said) = failure(&words);
        assert_eq!((code, said.contains("..=1000000")), (Some(2), true), "{said}");
    }
    let help = command(&["demo", "spray", "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for limit in ["1 to 100,000", "1 to 1,000", "at most 1,000,000,000,000", "1 to 1,024"] {
        assert!(help.contains(limit), "{help}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_is_lost_is_a_failure() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(&["openapi"]).stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("largesse: cannot write to standard output"), "{said}");
}

#[test]
fn a_folder_of_functions_that_is_not_there_is_named() {
    let (code, said) = failure(&["bench", "functions", "--functions", "/nope"]);
    assert_eq!((code, said.as_str()), (Some(1), "largesse: there is no folder /nope\n"));
}

#[test]
fn a_reader_that_closes_the_pipe_is_no_failure() {
    let mut child = command(&["openapi"]).spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    assert_eq!((first, said.as_str()), (*b"{", ""));
}

#[test]
fn the_benchmark_counts_every_operation_and_says_it_in_json() {
    let out = command(&["bench", "counts", "--json"]).output().unwrap();
    assert!(out.status.success(), "{out:?}");
    let report: Value = serde_json::from_slice(&out.stdout).unwrap();
    let ways = ["the first, cold", "cold", "warm"].map(str::to_owned).to_vec();
    let full = |way: &String| [way.clone(), format!("{way}, meets a full bucket")];
    let ways: Vec<String> =
        ways[..1].iter().cloned().chain(ways[1..].iter().flat_map(full)).collect();
    let claims: Vec<String> = [20, 100, 1_000]
        .iter()
        .flat_map(|people| ways.iter().map(move |way| format!("claim of {people}, {way}")))
        .collect();
    let claims = claims.iter().map(String::as_str);
    let before = ["deposit", "spray create, 20 shares", "spray create, 1000 shares"];
    let after = [
        "claim again by the same member",
        "claim, all taken, first of a process",
        "claim, all taken, known to the process",
        "payment of a claim (outbox, grant-pay)",
        "payment, 10 claims together, for each",
        "read by token, 10 of 20 claimed",
        "refund of a spray, 10 of 20 claimed",
        "refund of a spray, 0 of 1,000 claimed",
    ];
    let expected: Vec<&str> = before.into_iter().chain(claims).chain(after).collect();
    // Member ids of 36 characters, and of 64.
    for table in ["counts", "counts_long_ids"] {
        let tables = report["tables"].as_array().unwrap();
        let found = tables.iter().find(|found| found["table"] == table).unwrap();
        let rows = found["rows"].as_array().unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
        assert_eq!(names, expected);
        for row in rows {
            // Where a claim goes is random: on a small spray, none may meet a full bucket.
            let is_there = row["dollars_per_million"].as_f64().is_some_and(|dollars| dollars > 0.0);
            let name = row["name"].as_str().unwrap();
            assert!(is_there || name.ends_with("meets a full bucket"), "{row}");
        }
        let row = |name: &str| rows.iter().find(|row| row["name"] == name).unwrap();
        let is_met = |name: &str, mark: &str| row(name)["marks"][mark]["met"] == true;
        for people in [20, 100, 1_000] {
            for way in ["the first, cold", "cold"] {
                let name = format!("claim of {people}, {way}");
                assert!(is_met(&name, "calls_in_a_row"), "{}", row(&name));
            }
            let calls = |way: &str| row(&format!("claim of {people}, {way}"))["calls"].as_f64();
            assert!(calls("warm") < calls("cold"), "{people}");
        }
        assert!(is_met("claim, all taken, known to the process", "write_units"));
        assert!(is_met("payment of a claim (outbox, grant-pay)", "calls"));
        assert!(is_met("payment of a claim (outbox, grant-pay)", "write_units"));
    }
}
