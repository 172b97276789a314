//! The binary as a process.

use std::cell::Cell;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use largesse::client::{Client, Reply};
use reqwest::Method;

/// A payment takes some milliseconds, and on a busy machine a second.
const PAID_WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_largesse"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A folder of this test's own that is not there yet.
pub(crate) fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

/// A running stack; killed when dropped.
pub(crate) struct Up {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
    pub(crate) client: Client,
    pub(crate) address: String,
    /// Where the emulator is served.
    pub(crate) endpoint: String,
}

impl Up {
    /// Starts and waits until it says where it listens.
    pub(crate) fn start(more: &[&str]) -> Self {
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
        let url = format!("http://{address}");
        let endpoint = format!("{url}/_aws");
        Self { child, out, client: Client::new(&url), address, endpoint }
    }

    /// What stands behind the next line's first word, where that is the name.
    pub(crate) fn said(&mut self, name: &str) -> String {
        let lines = self.out.by_ref().lines().map_while(Result::ok);
        let mut found = lines.filter_map(|line| {
            let (first, rest) = line.trim().split_once(' ')?;
            (first == name).then(|| rest.trim().to_owned())
        });
        found.next().expect("it is said")
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Waits for its end; returns the exit status and its last output.
    pub(crate) fn ended(mut self) -> (ExitStatus, String) {
        let mut said = String::new();
        self.out.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }

    pub(crate) async fn get(&self, path: &str, user: &str, room: Option<&str>) -> Reply {
        let reply = self.client.send(Method::GET, path, user, room, None, None).await.unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply
    }

    /// Reads the wallet until it holds that much.
    pub(crate) async fn until_paid(&self, user: &str, balance: u64) {
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

    /// Reads the metrics until they hold a line.
    pub(crate) async fn until_counted(&self, line: &str) -> String {
        let counted = async {
            loop {
                let metrics = self.get("/metrics", "nobody", None).await.body;
                let metrics = metrics.as_str().unwrap_or_default();
                if metrics.contains(line) {
                    return metrics.to_owned();
                }
            }
        };
        let counted = tokio::time::timeout(PAID_WITHIN, counted).await;
        counted.unwrap_or_else(|_| panic!("no {line} after {PAID_WITHIN:?}"))
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs to the end; returns the exit code and what stood on standard error.
pub(crate) fn failure(arguments: &[&str]) -> (Option<i32>, String) {
    let output = command(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}
