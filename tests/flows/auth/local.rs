//! `largesse up --auth signed`: its first key, its master secret, and the address of the peer.

use std::future::pending;
use std::os::unix::fs::PermissionsExt;

use largesse::serve::{self, Mode};
use largesse_app::key::create::create;
use largesse_app::ports::Clock;
use largesse_domain::key::{ApiKey, Scopes, Terms};
use largesse_edge::auth::SignatureSecrets;
use largesse_edge::auth::signature::{Parts, sign, signed_text};
use largesse_tests::raw::exchange;

use super::MASTER;
use crate::disk::Folder;

/// A read of a wallet, as bytes, signed now.
fn read(key: &ApiKey, secret: &str, now_s: i64, nonce: &str, more: &str) -> Vec<u8> {
    let (path, timestamp) = ("/api/v2/wallets/ann", now_s.to_string());
    let text = signed_text(&Parts {
        method: "GET",
        path,
        query: "",
        timestamp: &timestamp,
        nonce,
        user: "ann",
        room: "",
        body: b"",
    });
    format!(
        "GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nX-USER-ID: ann\r\n\
         Authorization: Bearer {}\r\nX-Signature: {}\r\nX-Timestamp: {timestamp}\r\n\
         X-Nonce: {nonce}\r\n{more}\r\n",
        key.reveal(),
        sign(secret, &text),
    )
    .into_bytes()
}

#[tokio::test]
async fn a_list_of_addresses_is_compared_with_the_peer_and_not_with_headers() {
    let listener = serve::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let secrets = SignatureSecrets::read(MASTER).unwrap();
    let local = serve::assemble_with(None, &[], None, Mode::Signed(Some(secrets.clone())));
    let local = local.unwrap();
    let server = tokio::spawn(serve::serve(listener, local.router.clone(), pending()));
    for (list, forged, expected) in [
        ("127.0.0.0/8", "10.0.0.1", 200),
        ("10.0.0.0/8", "10.0.0.1", 403),
        ("10.0.0.0/8,127.0.0.1", "203.0.113.7", 200),
    ] {
        let terms = Terms {
            owner: "chat".parse().unwrap(),
            scopes: Scopes::all(),
            networks: list.parse().unwrap(),
        };
        let (key, record) = create(&*local.store, terms, None).await.unwrap();
        let now_s = local.store.now().ms().div_euclid(1_000);
        let more = format!("X-Forwarded-For: {forged}\r\n");
        let secret = secrets.secret_of(record.id);
        let request = read(&key, &secret, now_s, "0123456789abcdef", &more);
        let reply = exchange(&address, &request).await.unwrap();
        assert_eq!(reply.status, expected, "{list}: {}", reply.body);
    }
    server.abort();
}

#[tokio::test]
async fn the_first_key_is_made_once_and_its_master_secret_is_kept_beside_the_data() {
    let folder = Folder::new("signed");
    let local = serve::assemble_with(Some(&folder.0), &[], None, Mode::Signed(None)).unwrap();
    let (key, secret) = serve::first_key(&local).await.unwrap().unwrap();
    assert!(serve::first_key(&local).await.unwrap().is_none(), "it is shown once");
    let file = folder.0.join("signature.secret");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "readable by its owner only");
    // From the file follows the same secret, after a restart and for `largesse key`.
    let kept = SignatureSecrets::read(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(kept.secret_of(key.id()), secret);
    let listener = serve::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = tokio::spawn(serve::serve(listener, local.router.clone(), pending()));
    let now_s = local.store.now().ms().div_euclid(1_000);
    let request = read(&key, &secret, now_s, "0123456789abcdef", "");
    assert_eq!(exchange(&address, &request).await.unwrap().status, 200);
    server.abort();
    // A stack without authentication makes no key.
    let open = serve::assemble(None, &[], None).unwrap();
    assert!(serve::first_key(&open).await.unwrap().is_none());
}
