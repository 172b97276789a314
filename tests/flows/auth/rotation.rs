//! Keys and the master secret change under load, and no good request is refused.

use std::time::Duration;

use axum::Router;
use largesse_tests::http::Api;
use largesse_tests::signed::Holder;
use serde_json::json;

use super::{ALL, MASTER, NEW_MASTER};

/// Requests of that holder to each process, all at once; each must be served.
async fn load(api: &Api, holder: &Holder, processes: &[Router]) {
    let asks = processes.iter().flat_map(|process| {
        (0..5).map(move |_| {
            let ask = Api::ask_of(process, "GET", "/api/v2/wallets/ann").user("ann");
            api.sign(holder, ask)
        })
    });
    for reply in futures::future::join_all(asks.map(IntoFuture::into_future)).await {
        reply.expect(200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_is_rotated_under_load_without_a_refused_request() {
    let api = Api::signed(21, MASTER);
    let operator = api.holder(MASTER, "ops", ALL).await;
    let processes: Vec<_> = (0..3).map(|n| api.process(210 + n, MASTER)).collect();
    let mut holder = api.holder(MASTER, "chat", "read").await;
    for _ in 0..3 {
        load(&api, &holder, &processes).await;
        let path = format!("/api/v2/keys/{}/rotate", holder.id);
        let ask = api.ask("POST", path).json(json!({ "overlap_s": 120 }));
        let next = Holder::of(&api.sign(&operator, ask).await.expect(201));
        // Both are good while the holder changes, at once and until the overlap is over.
        for seconds in [0, 60, 59] {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            load(&api, &holder, &processes).await;
            load(&api, &next, &processes).await;
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        let reply = api.sign(&holder, api.get("ann", "/api/v2/wallets/ann")).await;
        assert_eq!(reply.body["reason"], "key");
        holder = next;
    }
}

/// A holder asks, and the service changes process by process, as a deployment does.
#[tokio::test(start_paused = true)]
async fn the_master_secret_is_rotated_under_load_without_a_refused_request() {
    let api = Api::signed(22, MASTER);
    let old = api.holder(MASTER, "chat", "read").await;
    let both = format!("{NEW_MASTER},{MASTER}");
    let new = Holder {
        secret: largesse_edge::auth::SignatureSecrets::read(&both)
            .unwrap()
            .secret_of(old.id.parse().unwrap()),
        ..old.clone()
    };
    assert_ne!(old.secret, new.secret);
    let process = |n: u64, masters: &str| api.process(220 + n, masters);
    // 1. Each process learns the new master, and still takes signatures of the old one.
    load(&api, &old, &[process(0, MASTER), process(1, MASTER)]).await;
    load(&api, &old, &[process(2, &both), process(3, MASTER)]).await;
    let all_both = [process(4, &both), process(5, &both)];
    load(&api, &old, &all_both).await;
    // 2. The holder changes its secret.
    load(&api, &new, &all_both).await;
    // 3. Each process forgets the old master.
    load(&api, &new, &[process(6, NEW_MASTER), process(7, &both)]).await;
    let last = process(8, NEW_MASTER);
    load(&api, &new, std::slice::from_ref(&last)).await;
    let ask = Api::ask_of(&last, "GET", "/api/v2/wallets/ann").user("ann");
    assert_eq!(api.sign(&old, ask).await.body["reason"], "signature");
}

/// A holder that does not know which master counts sends a signature of each.
#[tokio::test]
async fn a_request_may_carry_a_signature_of_each_secret() {
    let api = Api::signed(23, NEW_MASTER);
    let new = api.holder(NEW_MASTER, "chat", "read").await;
    let master = largesse_edge::auth::SignatureSecrets::read(MASTER).unwrap();
    let old = Holder { secret: master.secret_of(new.id.parse().unwrap()), ..new.clone() };
    let signature = |holder: &Holder, nonce: &str| {
        let ask = api.get("ann", "/api/v2/wallets/ann").signed(holder, api.now_s(), nonce);
        ask.value("x-signature")
    };
    let nonce = "0123456789abcdef";
    let both = format!("{},{}", signature(&old, nonce), signature(&new, nonce));
    let ask = api.get("ann", "/api/v2/wallets/ann").signed(&old, api.now_s(), nonce);
    ask.without("x-signature").header("x-signature", both).await.expect(200);
}
