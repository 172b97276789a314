//! The command on a running stack.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use largesse_aws::production::emulator_config;
use largesse_emulator::REGION;
use serde_json::Value;

use super::scene::{GRANTS_DLQ, send};
/// The real binary, up.
struct Up {
    child: Child,
    address: String,
}

impl Up {
    fn start(listen: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_largesse"));
        command.args(["up", "--listen", listen]).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let open = lines.find_map(|line| Some(line.split_once("open   http://")?.1.to_owned()));
        let address = open.unwrap().trim_end_matches("/docs").to_owned();
        Self { child, address }
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn largesse(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_largesse")).args(arguments).output().unwrap()
}

#[tokio::test]
async fn the_command_works_on_a_running_stack() {
    let up = Up::start("127.0.0.1:0");
    let endpoint = format!("http://{}/_aws", up.address);
    let dlq = |arguments: &[&str]| {
        let out = largesse(&[&["dlq"], arguments, &["--endpoint", &endpoint]].concat());
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    };
    let empty = "grants queue: no messages\ngrants table: no grants without a message\n\
                 refunds: no refused refunds\noutbox queue: no messages\n";
    assert_eq!(dlq(&["list"]), empty);
    send(&emulator_config(&endpoint, REGION), GRANTS_DLQ, "bob", "nonsense").await;
    let listed = dlq(&["list", "--queue", "grants"]);
    assert!(listed.starts_with("grants queue: 1 message, 1 of them unreadable\n"), "{listed}");
    let row = listed.lines().nth(2).unwrap();
    assert!(row.ends_with("the message is no grant"), "{listed}");
    let id = row.split_whitespace().next().unwrap();
    assert!(dlq(&["show", id]).ends_with("body\n  nonsense\n"));
    let retried = format!("1  kept: the message is no grant ({id})\n");
    assert_eq!(dlq(&["retry", "--all"]), retried);
    assert_eq!(dlq(&["redrive", "--all"]), retried, "its former name");
    let json: Value = serde_json::from_str(&dlq(&["list", "--json"])).unwrap();
    assert_eq!(json["grants_queue"]["rows"][0]["message_id"], id);
    let json: Value = serde_json::from_str(&dlq(&["retry", "--all", "--json"])).unwrap();
    assert_eq!(json["kept"]["the message is no grant"]["count"], 1);
    assert_eq!(dlq(&["drop", id]), format!("message {id}: deleted\n"));
    assert_eq!(dlq(&["retry", "--all"]), "nothing to retry\n");
    // Neither one nor all: nothing happens by accident.
    for command in [["dlq", "retry"], ["dlq", "drop"], ["dlq", "void"], ["dlq", "show"]] {
        let out = largesse(&[&command[..], &["--endpoint", &endpoint]].concat());
        assert_eq!(out.status.code(), Some(2), "{out:?}");
    }
    let out = largesse(&["dlq", "void", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--endpoint", &endpoint]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(said.starts_with("largesse: found no grant 01ARZ3NDEKTSV4RRFFQ69G5FAV"), "{said}");
    // A source alone is a refund.
    for command in ["show", "retry"] {
        let source = "SPRAY#01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let out = largesse(&["dlq", command, source, "--endpoint", &endpoint]);
        assert_eq!(out.status.code(), Some(1));
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(said, "largesse: found no spray 01ARZ3NDEKTSV4RRFFQ69G5FAV\n");
    }
}

#[test]
fn where_nothing_is_up_the_command_says_how_to_reach_something() {
    // Port 1 is TCP multiplexing's, which nobody serves.
    let out = largesse(&["dlq", "list", "--endpoint", "http://127.0.0.1:1/_aws"]);
    assert_eq!(out.status.code(), Some(1));
    let said = String::from_utf8(out.stderr).unwrap();
    let hint = "largesse: cannot reach http://127.0.0.1:1/_aws; start `largesse up`, ";
    assert!(said.starts_with(hint), "{said}");
    assert!(said.contains("--endpoint") && said.contains("--aws"), "{said}");
}

#[tokio::test]
async fn the_embedded_aws_answers_this_machine_only() {
    let list = |address: &str, host: Option<&'static str>| {
        let request = largesse_money::tls::local_client().post(format!("http://{address}/_aws/"));
        let request = request.header("x-amz-target", "DynamoDB_20120810.ListTables").body("{}");
        host.map_or(request.try_clone().unwrap(), |host| request.header("host", host)).send()
    };
    let up = Up::start("127.0.0.1:0");
    assert_eq!(list(&up.address, None).await.unwrap().status(), 200);
    let rebound = list(&up.address, Some("page.example")).await.unwrap();
    assert_eq!(rebound.status(), 403, "a request with a foreign host name is refused");
    let open = Up::start("0.0.0.0:0");
    let address = open.address.replace("0.0.0.0", "127.0.0.1");
    assert_eq!(list(&address, None).await.unwrap().status(), 404, "other machines could reach it");
}
