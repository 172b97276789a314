//! `largesse up --auth signed` and `largesse key`.

use reqwest::Method;
use serde_json::Value;

use crate::up::{Up, command, folder};

/// Runs `largesse key` on a running stack.
fn key(up: &Up, words: &[&str]) -> Value {
    let endpoint = format!("http://{}/_aws", up.address);
    let words = [&["key"], words, &["--json", "--endpoint", &endpoint]].concat();
    let output = command(&words).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_signed_stack_shows_its_first_key_once_and_the_command_line_makes_others() {
    let data = folder("signed");
    let arguments = ["--auth", "signed", "--data", data.to_str().unwrap()];
    let mut up = Up::start(&arguments);
    let (first, secret) = (up.said("key"), up.said("secret"));
    assert!(first.starts_with("lgs_") && secret.len() == 64, "{first} {secret}");
    up.signal("KILL");
    drop(up);

    let mut up = Up::start(&arguments);
    assert!(up.said("The").starts_with("first key was shown before"));
    let reply = up.client.send(Method::GET, "/api/v2/wallets/ann", "ann", None, None, None).await;
    let reply = reply.unwrap();
    assert_eq!((reply.status, reply.text("reason")), (401, "missing"));
    let file = data.join("signature.secret");
    let made = key(
        &up,
        &[
            "create",
            "--owner",
            "chat",
            "--scopes",
            "read",
            "--secrets-file",
            file.to_str().unwrap(),
        ],
    );
    assert_eq!((&made["owner"], &made["state"]), (&Value::from("chat"), &Value::from("live")));
    key(&up, &["revoke", made["key_id"].as_str().unwrap()]);
    let listed = key(&up, &["list", "--owner", "chat"]);
    assert_eq!(listed["keys"][0]["state"], "revoked");
    let listed = key(&up, &["list", "--owner", "local"]);
    let id = listed["keys"][0]["key_id"].as_str().unwrap();
    assert!(first.starts_with(&format!("lgs_{id}")), "the first key is there still");
    // Without the master secret no key is made: its secret could not be shown.
    let mut without = command(&["key", "create", "--owner", "chat", "--scopes", "read"]);
    let output = without.env_remove("SIGNATURE_SECRETS").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("SIGNATURE_SECRETS must be"), "{said}");
}
