//! The binary as a process: how it starts, refuses to start, stops, and survives kill -9; and what
//! its benchmark counts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use largesse::client::{Client, Reply};
use largesse::compose;
use largesse_aws::production::SecureRng;
use largesse_domain::audit::audit;
use largesse_emulator::{World, WorldClock};
use reqwest::Method;
use serde_json::{Value, json};

/// A payment takes some milliseconds, and on a busy machine a second.
const PAID_WITHIN: Duration = Duration::from_secs(60);

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_largesse"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A folder of this test's own that is not there yet.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// A running stack; killed when dropped.
struct Up {
    child: Child,
    out: BufReader<ChildStdout>,
    client: Client,
}

impl Up {
    /// Starts and waits until it says where it listens.
    fn start(more: &[&str]) -> Self {
        let arguments = [&["up", "--listen", "127.0.0.1:0"], more].concat();
        let mut child = command(&arguments).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            if out.read_line(&mut line).unwrap() == 0 {
                let mut said = String::new();
                child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
                panic!("it did not start: {said}");
            }
            if let Some((_, rest)) = line.split_once("http://") {
                break rest.split('/').next().unwrap().to_owned();
            }
        };
        Self { child, out, client: Client::new(format!("http://{address}")) }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end; returns the exit status and its last output.
    fn ended(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.out.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }

    async fn get(&self, path: &str, user: &str, room: Option<&str>) -> Reply {
        let reply = self.client.send(Method::GET, path, user, room, None, None).await.unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply
    }

    /// Reads the wallet until it holds that much.
    async fn until_paid(&self, user: &str, balance: u64) {
        let held = Cell::new(0);
        let paid = async {
            while held.get() != balance {
                let wallet = self.get(&format!("/api/v2/wallets/{user}"), user, None).await;
                held.set(wallet.number("balance"));
            }
        };
        if tokio::time::timeout(PAID_WITHIN, paid).await.is_err() {
            let held = held.get();
            panic!("{user} holds {held} and not {balance} after {PAID_WITHIN:?}");
        }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs to the end; returns the exit code and what stood on standard error.
fn failure(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

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

#[tokio::test]
async fn ctrl_c_and_sigterm_stop_it_cleanly() {
    for signal in ["INT", "TERM"] {
        let up = Up::start(&[]);
        // A connection that stays open does not keep it running.
        up.client.deposit("ann", 5).await.unwrap();
        up.signal(signal);
        let client = up.client.clone();
        let (status, said) = up.ended();
        assert_eq!(status.code(), Some(0), "{signal}: {said}");
        assert!(said.contains("Stopped. Nothing is kept."), "{said}");
        drop(client);
    }
}

#[tokio::test]
async fn what_was_answered_survives_kill_9_and_nothing_is_doubled() {
    let data = folder("kill-9");
    let data = ["--data", data.to_str().unwrap()];
    let mut up = Up::start(&data);
    up.client.deposit("ann", 1_000).await.unwrap();
    let room = up.client.room("ann").await.unwrap();
    up.client.join(&room, "ann", "bob").await.unwrap();
    up.client.join(&room, "ann", "eve").await.unwrap();
    let token = up.client.spray(&room, "ann", "key", 900, 3).await.unwrap();
    let bobs = up.client.claim(&room, "bob", &token).await.unwrap();
    assert_eq!(bobs.status, 201, "{}", bobs.body);
    up.until_paid("bob", bobs.number("amount")).await;
    // Killed between this answer and its payment, or anywhere in it.
    let eves = up.client.claim(&room, "eve", &token).await.unwrap();
    assert_eq!(eves.status, 201, "{}", eves.body);
    up.child.kill().unwrap();
    up.child.wait().unwrap();

    for _ in 0..2 {
        let mut up = Up::start(&data);
        up.until_paid("bob", bobs.number("amount")).await;
        assert_eq!(up.get("/api/v2/wallets/ann", "ann", None).await.number("balance"), 100);
        let path = format!("/api/v2/sprays/{token}");
        let spray = up.get(&path, "ann", Some(&room)).await;
        assert_eq!((spray.number("amount"), spray.number("claimed_count")), (900, 2));
        let path = "/api/v2/wallets/bob/transactions";
        let rows = up.get(path, "bob", None).await.body["transactions"].clone();
        assert_eq!(rows.as_array().unwrap().len(), 1, "paid once: {rows}");
        // Repeats are recognized.
        let again = up.client.claim(&room, "bob", &token).await.unwrap();
        assert_eq!((again.status, again.code()), (409, "ERR102"));
        let again = up.client.spray(&room, "ann", "key", 900, 3).await.unwrap();
        assert_eq!(again, token);
        let body = json!({ "amount": 1_000 });
        let key = format!("/api/v2/wallets/ann/deposits-ann-{body}");
        let path = "/api/v2/wallets/ann/deposits";
        let sent = up.client.send(Method::POST, path, "ann", None, Some(&key), Some(&body));
        assert_eq!(sent.await.unwrap().number("balance"), 1_000, "the first answer again");
        up.child.kill().unwrap();
        up.child.wait().unwrap();
    }
    let wallets = wallets_in_the_end(Path::new(data[1])).await;
    let expected = [("ann", 100), ("bob", bobs.number("amount")), ("eve", eves.number("amount"))];
    assert_eq!(wallets, BTreeMap::from(expected.map(|(user, held)| (user.to_owned(), held))));
}

/// What a folder's wallets hold once everything is done. The message of a payment that was under way
/// when its process was killed is visible again after its timeout, so the clock is set forward.
async fn wallets_in_the_end(data: &Path) -> BTreeMap<String, u64> {
    let clock = WorldClock::real();
    clock.set_skew_ms(3_600_000);
    let world = World::on_disk_at(&compose::stack().unwrap(), data, clock).unwrap();
    let store = Arc::new(compose::store(&world, SecureRng::from_seed(1)));
    let local = compose::compose(world, store, "a secret of this test").unwrap();
    local.world.settle().await;
    let books = local.store.books().await.unwrap();
    audit(&books).expect("money is conserved");
    let wallets = books.wallets.into_iter();
    wallets.map(|wallet| (wallet.user.to_string(), wallet.balance.get())).collect()
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
    for words in [["demo", "campaign", "--rows", "0"], ["bench", "campaign", "--rows", "999"]] {
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

/// A secret that a power failure cut off does not stop the next start, and only the user can read it
/// and the data.
#[test]
fn a_broken_cursor_secret_is_replaced_with_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let data = folder("secret");
    let secret = data.join("cursor.secret");
    let start = || {
        let mut up = Up::start(&["--data", data.to_str().unwrap()]);
        up.child.kill().unwrap();
        let mut said = String::new();
        up.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        up.child.wait().unwrap();
        said
    };
    assert_eq!(start(), "");
    for file in [&data, &secret] {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o077, 0);
    }
    let first = std::fs::read_to_string(&secret).unwrap();
    assert_eq!(start(), "");
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), first);
    std::fs::write(&secret, "").unwrap();
    let said = start();
    let warning = format!("{} cannot be used and is made again", secret.display());
    assert!(said.contains(&warning), "{said}");
    let second = std::fs::read_to_string(&secret).unwrap();
    assert_eq!(second.len(), 64);
    assert_ne!(second, first);
}

#[tokio::test]
async fn a_used_folder_without_its_data_is_refused() {
    let data = folder("lost");
    let path = data.to_str().unwrap();
    let up = Up::start(&["--data", path]);
    up.client.deposit("ann", 5).await.unwrap();
    drop(up);
    for file in ["world.db", "world.db-wal", "world.db-shm"] {
        let _ = std::fs::remove_file(data.join(file));
    }
    let (code, said) = failure(&["up", "--listen", "127.0.0.1:0", "--data", path]);
    assert_eq!(code, Some(1), "{said}");
    let hint = format!("largesse: {path}/world.db is missing or empty, but its folder holds other");
    assert!(said.starts_with(&hint), "{said}");
    assert!(!data.join("world.db").exists());
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
