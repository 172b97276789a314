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

#[tokio::test]
async fn a_campaign_is_loaded_and_its_audit_verified_with_signed_requests() {
    let data = folder("signed-campaign");
    let mut up = Up::start(&["--auth", "signed"]);
    let (key, secret) = (up.said("key"), up.said("secret"));
    std::fs::create_dir_all(&data).unwrap();
    let (rows, secret_file) = (data.join("rows.csv"), data.join("secret"));
    std::fs::write(&rows, "member_id,amount\nann,5\nbob,7\n").unwrap();
    std::fs::write(&secret_file, format!("{secret}\n")).unwrap();
    let (rows, secret_file) = (rows.to_str().unwrap(), secret_file.to_str().unwrap());
    let url = format!("http://{}", up.address);
    let run = |words: &[&str], variables: &[(&str, &str)]| {
        let mut command = command(&[words, &["--url", &url]].concat());
        command.env_remove("LARGESSE_KEY").env_remove("LARGESSE_SECRET");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let load = ["campaign", "load", rows, "--name", "October", "--reason", "work"];
    let (code, said) = run(&load, &[]);
    assert_eq!((code, said.contains("401")), (Some(1), true), "{said}");
    let (code, said) = run(&load, &[("LARGESSE_KEY", &key)]);
    assert_eq!((code, said.contains("LARGESSE_SECRET holds")), (Some(1), true), "{said}");
    let (code, said) = run(&load, &[("LARGESSE_KEY", &key), ("LARGESSE_SECRET", &secret)]);
    assert_eq!((code, said.contains("sealed")), (Some(0), true), "{said}");
    let id = said.lines().find_map(|line| line.strip_prefix("campaign ")).unwrap();
    let audit = ["verify", "audit", id, "--secret-file", secret_file];
    let (code, said) = run(&audit, &[("LARGESSE_KEY", &key)]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&audit, &[]);
    assert_eq!((code, said.contains("LARGESSE_KEY is not set")), (Some(1), true), "{said}");
}
