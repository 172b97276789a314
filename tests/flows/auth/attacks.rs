//! What an attacker sends, and what the whole stack answers.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use largesse_tests::http::{Api, Ask};
use rstest::rstest;
use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use super::{ALL, MASTER};

fn deposit(api: &Api) -> Ask {
    let ask = api.post("ann", "/api/v2/wallets/ann/deposits").key("deposit-1");
    ask.json(json!({ "amount": 1_000 }))
}

#[tokio::test]
async fn a_signed_request_is_served_and_an_unsigned_one_is_not() {
    let api = Api::signed(1, MASTER);
    let holder = api.holder(MASTER, "chat", "wallet,read").await;
    let reply = deposit(&api).await;
    assert_eq!((reply.verdict(), &reply.body["reason"]), ((401, "ERR002"), &json!("missing")));
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    api.sign(&holder, deposit(&api)).await.expect(201);
    let balance = api.sign(&holder, api.get("ann", "/api/v2/wallets/ann")).await.expect(200);
    assert_eq!(balance.number("balance"), 1_000);
}

#[tokio::test]
async fn a_changed_request_is_refused_and_changes_nothing() {
    let api = Api::signed(2, MASTER);
    let holder = api.holder(MASTER, "chat", ALL).await;
    let before = api.dump();
    let signed = || api.sign(&holder, deposit(&api));
    let room = "01K9Z3NDEKTSV4RRFFQ69G5FAV";
    let changed = [
        signed().raw(r#"{"amount":9999}"#),
        signed().without("x-user-id").user("bob"),
        signed().without("x-user-id"),
        signed().user("bob"),
        signed().room(room),
        signed().without("x-nonce").header("x-nonce", "another-nonce-of-20c"),
        signed().without("x-timestamp").header("x-timestamp", (api.now_s() + 1).to_string()),
    ];
    let read = |path: &str| api.sign(&holder, api.get("ann", path));
    let (list, members) =
        ("/api/v2/wallets/ann/transactions", format!("/api/v2/rooms/{room}/members"));
    let join = api.ask("PUT", format!("{members}/bob")).user("ann");
    let elsewhere = [
        signed().to("/api/v2/wallets/bob/deposits"),
        signed().to("/api/v2/wallets/ann/deposits?dry=1"),
        read(list).to(format!("{list}?limit=1")),
        read(&format!("{list}?limit=1")).to(list),
        read(&format!("{list}?limit=1")).to(format!("{list}?limit=10")),
        read(&format!("{list}?limit=1&type=claim")).to(format!("{list}?type=claim&limit=1")),
        read(&format!("{list}?from=%31")).to(format!("{list}?from=1")),
        api.sign(&holder, join).by("DELETE"),
    ];
    for ask in changed.into_iter().chain(elsewhere) {
        let reply = ask.await;
        let verdict = (reply.status, reply.body["reason"].as_str());
        assert_eq!(verdict, (401, Some("signature")), "{}", reply.text);
    }
    // The key of another holder with the secret of this one.
    let other = api.holder(MASTER, "other", ALL).await;
    let mixed = largesse_tests::signed::Holder { secret: holder.secret.clone(), ..other };
    let reply = api.sign(&mixed, deposit(&api)).await;
    assert_eq!(reply.body["reason"], "signature");
    let mut after = api.dump();
    // The other holder's key and list.
    let edge = after.get_mut("largesse-edge").unwrap();
    edge.retain(|name, _| before["largesse-edge"].contains_key(name));
    assert!(before == after, "a refused request writes nothing");
}

#[tokio::test(start_paused = true)]
async fn a_replayed_request_is_refused_by_every_process_for_as_long_as_it_is_timely() {
    let api = Api::signed(3, MASTER);
    let holder = api.holder(MASTER, "chat", ALL).await;
    let processes = [api.process(31, MASTER), api.process(32, MASTER)];
    // Signed at the very end of the window, so that it stays timely for ten minutes.
    let (at_s, nonce) = (api.now_s() + 300, "0123456789abcdef");
    let ask = |process: usize| {
        let ask = Api::ask_of(&processes[process], "GET", "/api/v2/wallets/ann").user("ann");
        ask.signed(&holder, at_s, nonce)
    };
    ask(0).await.expect(200);
    for process in [0, 1] {
        let reply = ask(process).await;
        assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("nonce")));
    }
    tokio::time::advance(std::time::Duration::from_secs(600)).await;
    assert_eq!(ask(1).await.body["reason"], "nonce", "the last moment at which it is timely");
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    assert_eq!(ask(1).await.body["reason"], "clock");
    // Another key may use the same nonce.
    let other = api.holder(MASTER, "other", ALL).await;
    let ask = api.get("ann", "/api/v2/wallets/ann").signed(&other, api.now_s(), nonce);
    ask.await.expect(200);
}

#[rstest]
#[case(-301)]
#[case(301)]
#[tokio::test]
async fn a_clock_that_is_off_by_more_than_five_minutes_is_refused(#[case] offset_s: i64) {
    let api = Api::signed(4, MASTER);
    let holder = api.holder(MASTER, "chat", ALL).await;
    let at_s = api.now_s() + offset_s;
    let reply = deposit(&api).signed(&holder, at_s, "0123456789abcdef").await;
    assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("clock")));
}

/// To the second, by the clock of the service: the last moments at which a request is timely.
#[rstest]
#[case(-300)]
#[case(300)]
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_off_by_five_minutes_is_served_and_a_moment_later_is_not(
    #[case] offset_s: i64,
) {
    let api = Api::signed(4, MASTER);
    let holder = api.holder(MASTER, "chat", ALL).await;
    let at_s = api.now_s() + offset_s;
    // A clock that is ahead is timely for ten minutes from now on.
    let left_s = u64::try_from(300 + offset_s).unwrap();
    tokio::time::advance(std::time::Duration::from_secs(left_s)).await;
    deposit(&api).signed(&holder, at_s, "0123456789abcdef").await.expect(201);
    tokio::time::advance(std::time::Duration::from_millis(1)).await;
    let reply = deposit(&api).signed(&holder, at_s, "0123456789abcdeg").await;
    assert_eq!((reply.status, &reply.body["reason"]), (401, &json!("clock")));
}

#[tokio::test]
async fn a_forged_forwarding_header_opens_no_list_of_addresses() {
    let api = Api::signed(5, MASTER);
    let operator = api.holder(MASTER, "ops", "operate").await;
    let wish = json!({ "owner": "chat", "scopes": ["read"], "ips": ["203.0.113.0/24"] });
    let wish = api.ask("POST", "/api/v2/keys").json(wish);
    let made = api.sign(&operator, wish).await.expect(201);
    let holder = largesse_tests::signed::Holder::of(&made);
    let ask = || api.sign(&holder, api.get("ann", "/api/v2/wallets/ann"));
    ask().from("203.0.113.7").await.expect(200);
    for source in ["198.51.100.1", "10.0.0.1", "::1"] {
        let ask = ask().from(source).header("x-forwarded-for", "203.0.113.7");
        let ask = ask.header("x-real-ip", "203.0.113.7").header("forwarded", "for=203.0.113.7");
        assert_eq!(ask.await.verdict(), (403, "ERR004"), "{source}");
    }
    assert_eq!(ask().await.verdict(), (403, "ERR004"), "an unknown address is in no list");
}

/// v1 keeps its shape of errors, and has the same keys.
#[tokio::test]
async fn the_first_version_is_behind_the_same_door() {
    let api = Api::signed(6, MASTER);
    let holder = api.holder(MASTER, "chat", "wallet").await;
    let ask = || api.post("7", "/api/v1/wallet/charge").json(json!({ "amount": 500 }));
    let reply = ask().await.expect(401);
    assert_eq!((reply.code(), &reply.body["reason"]), ("ERR002", &json!("missing")));
    assert!(reply.body["detail"].is_string());
    let reply = api.sign(&holder, ask()).await.expect(200);
    assert_eq!(reply.number("new_balance"), 500);
}

/// Two services with one idempotency key do not see each other's answers.
#[tokio::test]
async fn an_idempotency_key_belongs_to_the_owner_of_the_api_key() {
    let api = Api::signed(7, MASTER);
    let [first, second] = ["chat", "shop"].map(|owner| api.holder(MASTER, owner, "wallet"));
    let (first, second) = (first.await, second.await);
    let one = api.sign(&first, deposit(&api)).await.expect(201);
    let other = api.sign(&second, deposit(&api)).await.expect(201);
    assert_ne!(one.string("transaction_id"), other.string("transaction_id"));
    let again = api.sign(&first, deposit(&api)).await.expect(201);
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(again.text, one.text);
}

/// Everything that is in the table, and yet no request that it verifies.
#[tokio::test]
async fn a_stolen_table_gives_no_usable_key() {
    let api = Api::signed(8, MASTER);
    let holder = api.holder(MASTER, "chat", ALL).await;
    api.sign(&holder, api.get("ann", "/api/v2/wallets/ann")).await.expect(200);
    let stolen = format!("{:?}", api.dump());
    let random = &holder.key["lgs_".len() + 26..];
    assert!(stolen.contains(&holder.id), "the key is in the table");
    for secret in [&holder.key, random, &holder.secret, MASTER] {
        assert!(!stolen.contains(secret), "it is not");
    }
    // The hash in place of the key, and in place of the secret.
    let edge = &api.dump()["largesse-edge"];
    let record = edge.values().find(|item| item["pk"]["S"] == format!("KEY#{}", holder.id));
    let hash = record.unwrap()["hash"]["B"].as_str().unwrap().to_owned();
    let forged = largesse_tests::signed::Holder { secret: hash.clone(), ..holder.clone() };
    let reply = api.sign(&forged, api.get("ann", "/api/v2/wallets/ann")).await;
    assert_eq!(reply.body["reason"], "signature");
    let forged = largesse_tests::signed::Holder { key: hash, ..holder };
    let reply = api.sign(&forged, api.get("ann", "/api/v2/wallets/ann")).await;
    assert_eq!(reply.body["reason"], "malformed");
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn no_key_secret_or_signature_is_in_a_log() {
    let lines = Lines::default();
    // For all threads: what a thread without a subscriber logs first is logged by none afterwards.
    // (The level `debug`, of the shipped functions: tests/lambda/signed.rs.)
    tracing_subscriber::fmt().with_writer(lines.clone()).try_init().expect("no other subscriber");
    let api = Api::signed(9, MASTER);
    let operator = api.holder(MASTER, "ops", ALL).await;
    let wish = json!({ "owner": "chat", "scopes": ["read"] });
    let made = api.sign(&operator, api.ask("POST", "/api/v2/keys").json(wish)).await.expect(201);
    let holder = largesse_tests::signed::Holder::of(&made);
    let ask = api.sign(&holder, api.get("ann", "/api/v2/wallets/ann"));
    let reply = ask.await.expect(200);
    let signature = reply.asked.headers.iter().find(|(name, _)| name == "x-signature").unwrap();
    let signature = String::from_utf8(signature.1.clone()).unwrap();
    // Refused in each way.
    api.sign(&holder, deposit(&api)).await.expect(403);
    api.sign(&holder, deposit(&api)).raw("{}").await.expect(401);
    let wrong = format!("Bearer {}x", holder.key);
    let ask = api.sign(&holder, deposit(&api)).without("authorization");
    ask.header("authorization", wrong).await.expect(401);
    let logged = lines.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let logged = String::from_utf8(logged).unwrap();
    assert!(logged.contains("/api/v2/wallets/{user}"), "requests are logged: {logged}");
    for secret in [&holder.key, &operator.key, &holder.secret, &operator.secret, MASTER] {
        assert!(!logged.contains(secret.trim()), "a secret is in the log");
        let part = secret.get(30..44).unwrap();
        assert!(!logged.contains(part), "a part of a secret is in the log");
    }
    assert!(!logged.contains(&signature["v1=".len()..]), "a signature is in the log");
}
