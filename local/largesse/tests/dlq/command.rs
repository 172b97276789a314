//! The command on a running stack.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use largesse::client::Client;
use largesse_app::ports::GrantMessage;
use largesse_aws::grant::message::write_body;
use largesse_aws::production::emulator_config;
use largesse_emulator::REGION;
use serde_json::Value;

use super::scene::{GRANTS_DLQ, OUTBOX_DLQ, send, synthetic};

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

/// The exit code, and what stands on standard output, or on standard error if there is nothing.
fn dlq_at(endpoint: &str, arguments: &[&str]) -> (i32, String) {
    let out = largesse(&[&["dlq"], arguments, &["--endpoint", endpoint]].concat());
    let said = if out.stdout.is_empty() { out.stderr } else { out.stdout };
    (out.status.code().unwrap(), String::from_utf8(said).unwrap())
}

/// The exit code is 0 if all is done, 1 if something stays as it was, and 2 if the words were wrong.
#[tokio::test]
async fn the_exit_code_tells_whether_all_is_done() {
    let up = Up::start("127.0.0.1:0");
    let endpoint = format!("http://{}/_aws", up.address);
    let config = emulator_config(&endpoint, REGION);
    let dlq = |arguments: &[&str]| dlq_at(&endpoint, arguments);
    send(&config, OUTBOX_DLQ, "", "more junk").await;
    let (code, said) = dlq(&["drop", "--all"]);
    let kept = "outbox: no reports of the mapping deleted\n1 unreadable message: kept\n";
    assert_eq!((code, said.as_str()), (1, kept));
    let report = r#"{"requestContext":{"condition":"X"},"DDBStreamBatchInfo":{"batchSize":1}}"#;
    send(&config, OUTBOX_DLQ, "", report).await;
    let (code, said) = dlq(&["list", "--queue", "outbox"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("outbox queue: 2 messages, 1 of them unreadable\n"), "{said}");
    assert!(said.contains("X: 1 record from") && said.contains("neither a record nor a report"));
    let junk = said.lines().find(|line| line.contains("neither")).unwrap();
    let junk = junk.split_whitespace().next().unwrap();
    assert_eq!(dlq(&["drop", "--all"]).0, 1);
    assert_eq!(dlq(&["drop", junk]), (0, format!("message {junk}: deleted\n")));
    let none = "outbox: no reports of the mapping deleted\n";
    assert_eq!(dlq(&["drop", "--all"]), (0, none.to_owned()));

    // A message about a grant stays, and the words of each command are checked.
    send(&config, GRANTS_DLQ, "bob", "nonsense").await;
    assert_eq!(dlq(&["retry", "--all"]).0, 1);
    let id = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
    let source = format!("SPRAY#{id}");
    for (words, said) in [
        ([&["drop"][..], &[id]].concat(), "is no message id: drop takes the id of a message"),
        (vec!["drop", &source], "is no message id"),
        (vec!["void", &source, "--yes"], "is a refund, which cannot be voided"),
        (vec!["show", id, "bob"], "01ARZ3NDEKTSV4RRFFQ69G5FAV bob is no message id, no grant id"),
    ] {
        let (code, text) = dlq(&words);
        assert_eq!(code, 2, "{words:?}: {text}");
        assert!(text.contains(said), "{words:?}: {text}");
    }
}

/// What a command does not do is no success: an open spray is not refunded, a grant that was not given
/// up is not voided, and a message about a grant is not dropped.
#[tokio::test]
async fn what_was_not_done_is_said_and_the_exit_code_is_one() {
    let up = Up::start("127.0.0.1:0");
    let endpoint = format!("http://{}/_aws", up.address);
    let config = emulator_config(&endpoint, REGION);
    let dlq = |arguments: &[&str]| dlq_at(&endpoint, arguments);
    let client = Client::new(&format!("http://{}", up.address));
    client.deposit("ann", 10).await.unwrap();
    let room = client.room("ann").await.unwrap();
    client.join(&room, "ann", "bob").await.unwrap();
    let token = client.spray(&room, "ann", "key", 10, 2).await.unwrap();
    assert_eq!(client.claim(&room, "bob", &token).await.unwrap().status, 201);
    let dynamo = aws_sdk_dynamodb::Client::new(&config);
    let sprays = dynamo.scan().table_name("largesse-sprays").send().await.unwrap();
    let mut keys = sprays.items().iter().map(|item| item["pk"].as_s().unwrap());
    let source = keys.find(|key| key.starts_with("SPRAY#")).unwrap();
    let (code, said) = dlq(&["retry", source]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("kept: it is open until"), "{said}");
    let (code, said) = dlq(&["void", source, "bob", "--yes"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("it cannot be voided"), "{said}");
    let (code, said) = dlq(&["show", source]);
    assert_eq!(code, 0, "{said}");

    let body = write_body(&GrantMessage::first(synthetic(1))).unwrap();
    send(&config, GRANTS_DLQ, "carol", &body).await;
    let (_, listed) = dlq(&["list", "--queue", "grants"]);
    let id = listed.lines().nth(2).unwrap().split_whitespace().next().unwrap();
    let (code, said) = dlq(&["drop", id]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("kept: it is about a grant"), "{said}");
}

#[test]
fn an_endpoint_that_cannot_be_one_is_explained() {
    for (endpoint, said) in [
        ("", "it begins with http:// or https://"),
        ("127.0.0.1:3000/_aws", "it begins with http:// or https://"),
        ("http://127.0.0.1:3000", "its path is /_aws, as http://127.0.0.1:3000/_aws"),
        ("http:///_aws", "it is as http://127.0.0.1:3000/_aws"),
    ] {
        let (code, text) = dlq_at(endpoint, &["list"]);
        assert_eq!(code, 2, "{endpoint}: {text}");
        assert!(text.contains(said), "{endpoint}: {text}");
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
        let (code, said) = dlq_at(&endpoint, arguments);
        assert_eq!(code, 0, "{said}");
        said
    };
    let kept = |arguments: &[&str]| {
        let (code, said) = dlq_at(&endpoint, arguments);
        assert_eq!(code, 1, "{said}");
        said
    };
    let empty = "grants queue: no messages\ngrants table: no grants without a message\n\
                 refunds: no refused refunds\noutbox queue: no messages\n";
    assert_eq!(dlq(&["list"]), empty);
    send(&emulator_config(&endpoint, REGION), GRANTS_DLQ, "bob", "nonsense").await;
    let listed = dlq(&["list", "--queue", "grants"]);
    assert!(listed.starts_with("grants queue: 1 message, unreadable\n"), "{listed}");
    let row = listed.lines().nth(2).unwrap();
    assert!(row.ends_with("the message is no grant"), "{listed}");
    let id = row.split_whitespace().next().unwrap();
    assert!(dlq(&["show", id]).ends_with("body\n  nonsense\n"));
    let retried = format!("1 kept: the message is no grant ({id})\n");
    assert_eq!(kept(&["retry", "--all"]), retried);
    assert_eq!(kept(&["redrive", "--all"]), retried, "its former name");
    let json: Value = serde_json::from_str(&dlq(&["list", "--json"])).unwrap();
    assert_eq!(json["grants_queue"]["rows"][0]["message_id"], id);
    let json: Value = serde_json::from_str(&kept(&["retry", "--all", "--json"])).unwrap();
    assert_eq!(json["kept"]["the message is no grant"]["count"], 1);
    assert_eq!(dlq(&["drop", id]), format!("message {id}: deleted\n"));
    assert_eq!(dlq(&["retry", "--all"]), "nothing to retry\n");
    // Neither one nor all: nothing happens by accident.
    for command in [["dlq", "retry"], ["dlq", "drop"], ["dlq", "void"], ["dlq", "show"]] {
        let out = largesse(&[&command[..], &["--endpoint", &endpoint]].concat());
        assert_eq!(out.status.code(), Some(2), "{out:?}");
    }
    // Nothing finds a paid grant by its id alone.
    for command in ["show", "retry", "void"] {
        let said = kept(&[command, "01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
        let paid = "largesse: found no failed grant 01ARZ3NDEKTSV4RRFFQ69G5FAV: it is paid, it was \
                    never refused, or the id is wrong; `largesse dlq show SOURCE MEMBER` tells";
        assert!(said.starts_with(paid), "{said}");
    }
    // A source alone is a refund.
    for command in ["show", "retry"] {
        for kind in ["SPRAY", "DROP", "PRODUCT"] {
            let source = format!("{kind}#01ARZ3NDEKTSV4RRFFQ69G5FAV");
            let out = largesse(&["dlq", command, &source, "--endpoint", &endpoint]);
            assert_eq!(out.status.code(), Some(1));
            let said = String::from_utf8(out.stderr).unwrap();
            assert_eq!(said, format!("largesse: found no {source}\n"));
        }
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

/// A server that is lost in the middle of a run is reported as one that was never there.
#[tokio::test]
async fn a_server_that_is_lost_during_the_run_is_named() {
    use largesse_aws::production::SystemClock;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/_aws", listener.local_addr().unwrap());
    let config = emulator_config(&endpoint, REGION);
    drop(listener);
    let names = largesse_aws::Names { sprays: "sprays".to_owned(), ..Default::default() };
    let environment = largesse_aws::Environment::of(
        std::sync::Arc::new(SystemClock),
        std::sync::Arc::new(largesse_aws::production::SecureRng::from_seed(1)),
    );
    let store = largesse_aws::Store::new(&config, names, environment);
    let lost = largesse_app::spray::refused::refused(&store).await.unwrap_err();
    let said = largesse::dlq::DlqError::from(lost).at(&endpoint).to_string();
    assert!(said.starts_with(&format!("cannot reach {endpoint}; start `largesse up`")), "{said}");
}
