//! Signed events through the shipped functions, as API Gateway hands them over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use largesse_app::key::create::create;
use largesse_app::ports::Clock;
use largesse_aws::production::SystemClock;
use largesse_domain::key::{Scopes, Terms};
use largesse_edge::auth::SignatureSecrets;
use largesse_edge::auth::signature::{self, Parts};
use serde_json::{Value, json};

use crate::bootstrap::{Bootstrap, CURSOR_SECRET};
use crate::http::Reply;
use crate::scene::Scene;

/// The secret that the functions are given in place of each reference.
const MASTER: &str = CURSOR_SECRET;
const BODY: &str = r#"{"amount":50000}"#;

/// The address that events come from.
const SOURCE: &str = "203.0.113.7";

/// An event, signed by the holder of a new key of all scopes, and what must be told nowhere: key,
/// secret, signature and nonce.
pub(crate) async fn sign(
    scene: &Scene,
    master: &str,
    event: &Value,
    nonce: &str,
) -> (Value, Vec<String>) {
    let path = event["rawPath"].as_str().expect("a path");
    sign_as(scene, master, event, path, nonce).await
}

/// The same, signed for another path than the event's.
async fn sign_as(
    scene: &Scene,
    master: &str,
    event: &Value,
    path: &str,
    nonce: &str,
) -> (Value, Vec<String>) {
    let (owner, networks) = ("chat".parse().unwrap(), "203.0.113.0/24".parse().unwrap());
    let terms = Terms { owner, scopes: Scopes::all(), networks };
    let (key, record) = create(&*scene.store, terms, None).await.unwrap();
    let secret = SignatureSecrets::read(master).unwrap().secret_of(record.id);
    let timestamp = SystemClock.now().ms().div_euclid(1_000).to_string();
    let header = |name: &str| event["headers"][name].as_str().unwrap_or_default();
    let text = signature::signed_text(&Parts {
        method: event["requestContext"]["http"]["method"].as_str().expect("a method"),
        path,
        query: event["rawQueryString"].as_str().unwrap_or_default(),
        timestamp: &timestamp,
        nonce,
        user: header("x-user-id"),
        room: header("x-room-id"),
        body: event["body"].as_str().unwrap_or_default().as_bytes(),
    });
    let signature = signature::sign(&secret, &text);
    let mut signed = event.clone();
    signed["requestContext"]["http"]["sourceIp"] = json!(SOURCE);
    for (name, value) in [
        ("authorization", format!("Bearer {}", key.reveal())),
        ("x-signature", signature.clone()),
        ("x-timestamp", timestamp),
        ("x-nonce", nonce.to_owned()),
    ] {
        signed["headers"][name] = json!(value);
    }
    (signed, vec![key.reveal().to_owned(), secret, signature, nonce.to_owned()])
}

/// A deposit into the wallet that `raw_path` names, signed for `path`.
async fn deposit(scene: &Scene, raw_path: &str, path: &str, nonce: &str) -> (Value, Vec<String>) {
    let event = json!({
        "version": "2.0", "rawPath": raw_path, "rawQueryString": "",
        "headers": {
            "x-user-id": "alice", "content-type": "application/json",
            "idempotency-key": format!("key-{nonce}"),
            "x-forwarded-for": "198.51.100.1",
        },
        "requestContext": {
            "http": { "method": "POST", "sourceIp": SOURCE }, "stage": "$default",
        },
        "body": BODY, "isBase64Encoded": false,
    });
    sign_as(scene, MASTER, &event, path, nonce).await
}

async fn signed(scene: &Scene, function: &str) -> Bootstrap {
    let change = |environment: &mut std::collections::BTreeMap<String, String>| {
        environment.insert("AUTH".to_owned(), "signed".to_owned());
        environment.insert("RUST_LOG".to_owned(), "debug".to_owned());
    };
    Bootstrap::start_changed(scene, function, change).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signed_event_is_served_once_and_no_log_holds_its_secrets() {
    let scene = Scene::new().await;
    let path = "/api/v2/wallets/alice/deposits";
    // Before the event is signed: the functions may have to be built first.
    let mut wallet = signed(&scene, "wallet").await;
    let (event, secrets) = deposit(&scene, path, path, "0123456789abcdef").await;
    let mut tampered = event.clone();
    tampered["body"] = json!(r#"{"amount":90000}"#);
    let reply = Reply::of(&wallet.invoke(&tampered).await);
    assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("signature")));
    let mut elsewhere = event.clone();
    elsewhere["requestContext"]["http"]["sourceIp"] = json!("198.51.100.1");
    elsewhere["headers"]["x-forwarded-for"] = json!("203.0.113.7");
    assert_eq!(Reply::of(&wallet.invoke(&elsewhere).await).status, 403);
    // The same request in Base64: the bytes are signed, not their text in the event.
    let mut encoded = event.clone();
    encoded["body"] = json!(STANDARD.encode(BODY));
    encoded["isBase64Encoded"] = json!(true);
    assert_eq!(Reply::of(&wallet.invoke(&encoded).await).status, 201);
    let reply = Reply::of(&wallet.invoke(&event).await);
    assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("nonce")));
    assert_eq!(scene.balance("alice").await, 50_000);
    wallet.terminate();
    let (_, log) = wallet.ended().await;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let requests: Vec<Value> = lines.filter(|line| line.get("http.route").is_some()).collect();
    let told = requests.iter().map(|line| (&line["http.status"], &line["owner"], &line["key.id"]));
    // Whose key it is stands on the line once the caller is verified, and not before.
    let (none, id) = (json!(""), json!(secrets[0][4..30]));
    let statuses = [(401, &none, &none), (403, &none, &none), (201, &json!("chat"), &id)];
    let expected: Vec<_> = statuses.into_iter().chain([(401, &none, &none)]).collect();
    let told: Vec<_> =
        told.map(|(status, owner, id)| (status.as_i64().unwrap(), owner, id)).collect();
    assert_eq!(told, expected);
    for secret in secrets.iter().chain([&MASTER.to_owned()]) {
        assert!(!log.contains(secret), "a secret is in the log");
    }
}

/// API Gateway hands over the path decoded: what was sent as `%2F` is a slash here, and is signed so.
#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_an_event_is_signed_as_it_is_handed_over() {
    let scene = Scene::new().await;
    let mut wallet = signed(&scene, "wallet").await;
    for (n, (raw, status)) in [
        // `%2541lice` was sent: once decoded, it is no name of a member.
        ("/api/v2/wallets/%41lice/deposits", 404),
        ("/api/v2/wallets/뿌리기/deposits", 404),
        ("/api/v2/wallets/alice/deposits", 201),
    ]
    .into_iter()
    .enumerate()
    {
        let nonce = format!("0123456789abcde{n}");
        let (event, _) = deposit(&scene, raw, raw, &nonce).await;
        let reply = Reply::of(&wallet.invoke(&event).await);
        assert_eq!(reply.status, status, "{raw}: {}", reply.body);
    }
    let path = "/api/v2/wallets/alice/deposits";
    let (event, _) =
        deposit(&scene, path, "/api/v2/wallets/%61lice/deposits", "a-nonce-of-16-chars").await;
    let reply = Reply::of(&wallet.invoke(&event).await);
    assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("signature")));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_every_function_refuses_before_it_asks_aws() {
    let scene = Scene::new().await;
    scene.world.recorder().reset();
    for function in [
        "admin",
        "campaign-control",
        "drop-enter",
        "product-invest",
        "wallet",
        "spray-create",
        "spray-claim",
        "query",
    ] {
        let event = crate::events::event(function, "happy");
        let reply = Reply::of(&signed(&scene, function).await.invoke(&event).await);
        assert_eq!((reply.status, &reply.body["code"]), (401, &json!("ERR002")), "{function}");
        assert_eq!(reply.headers["www-authenticate"], "Bearer");
    }
    assert_eq!(scene.world.recorder().operations(), []);
}
