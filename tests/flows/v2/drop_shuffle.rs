//! A drop that begins with lots, over HTTP.

use std::collections::BTreeSet;
use std::time::Duration;

use largesse_tests::http::Api;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::drops::{enter, entry, minute, read};

/// A drop of three slots of 100 with one place and twenty seconds of lots, open from the first minute to
/// the eleventh. Gives its id and the hash of its seed.
async fn made(api: &Api) -> (String, String) {
    api.deposit("ann", 300).await;
    let terms = json!({
        "name": "Opening day", "slots": 3, "amount": 100, "waiting": 1, "shuffle_s": 20,
        "opens_at": minute(1), "closes_at": minute(11),
    });
    let made = api.post("ann", "/api/v2/drops").key(api.new_key()).json(terms).await.expect(201);
    (made.string("drop_id"), made.string("seed_hash"))
}

/// The order of the lots, as the documentation of the API defines it.
fn ranked<'a>(seed: &str, drop: &str, members: &[&'a str]) -> Vec<&'a str> {
    let seed = hex::decode(seed).unwrap();
    let hash = |member: &&str| {
        Sha256::digest([&seed, drop.as_bytes(), member.as_bytes()].concat()).to_vec()
    };
    let mut ranked = members.to_vec();
    ranked.sort_by_key(hash);
    ranked
}

#[tokio::test(start_paused = true)]
async fn a_drop_begins_with_lots_that_are_drawn_paid_and_recomputed() {
    let api = Api::new(1);
    let (drop, seed_hash) = made(&api).await;
    assert_eq!(enter(&api, &drop, "bob").await.verdict(), (409, "ERR303"));
    tokio::time::advance(Duration::from_secs(60)).await;
    let members = ["bob", "eve", "fay", "gus", "hal", "ida"];
    for member in members {
        for _ in 0..2 {
            let heard = enter(&api, &drop, member).await.expect(202).body;
            assert_eq!(heard, json!({ "state": "registered" }));
        }
    }
    assert_eq!(entry(&api, &drop, "bob").await, json!({ "state": "registered" }));
    let seen = read(&api, &drop).await;
    assert_eq!(
        (&seen["shuffle_s"], &seen["lots"], &seen["taken"]),
        (&json!(20), &json!(6), &json!(0))
    );
    assert_eq!((&seen["seed_hash"], &seen["state"]), (&json!(seed_hash), &json!("open")));
    assert!(seen.get("seed").is_none() && seen.get("drawn_at").is_none());
    // Their time is over, and they are not drawn yet.
    tokio::time::advance(Duration::from_secs(18)).await;
    let early = enter(&api, &drop, "late").await;
    assert_eq!((early.verdict(), early.header("retry-after")), ((409, "ERR303"), "10"));
    assert_eq!(early.body.get("opens_at"), None);
    api.refund_due().await;
    let seen = read(&api, &drop).await;
    let seed = seen["seed"].as_str().unwrap();
    let hash = hex::encode(Sha256::digest(hex::decode(seed).unwrap()));
    assert_eq!((hash, seen["drawn_at"].is_string()), (seed_hash, true));
    let figures = ["lots", "taken", "waiting"].map(|name| seen[name].as_u64().unwrap());
    assert_eq!((figures, &seen["state"]), ([6, 3, 1], &json!("sold_out")));
    // The first three have a slot each, in the order of their ranks, and are paid; the next one waits.
    let ranked = ranked(seed, &drop, &members);
    let mut numbers = BTreeSet::new();
    for winner in &ranked[..3] {
        let heard = entry(&api, &drop, winner).await;
        assert_eq!((&heard["state"], &heard["payment"]), (&json!("won"), &json!("paid")));
        assert_eq!(api.balance(winner).await, 100);
        assert!(numbers.insert(heard["slot"].as_u64().unwrap()));
        assert_eq!(enter(&api, &drop, winner).await.verdict(), (409, "ERR301"));
    }
    assert_eq!(numbers, BTreeSet::from([1, 2, 3]));
    let waiting = json!({ "state": "waiting", "position": 1 });
    assert_eq!(entry(&api, &drop, ranked[3]).await, waiting);
    assert_eq!(enter(&api, &drop, ranked[3]).await.expect(202).body, waiting);
    for member in &ranked[4..] {
        assert_eq!(entry(&api, &drop, member).await, json!({ "state": "not_drawn" }));
        assert_eq!(enter(&api, &drop, member).await.verdict(), (410, "ERR302"));
    }
    assert_eq!(enter(&api, &drop, "late").await.verdict(), (410, "ERR302"));
    let listed = api.get("bob", "/api/v2/drops").await.expect(200).body;
    assert_eq!((&listed["drops"][0]["seed"], listed["drops"][0].get("lots")), (&json!(seed), None));
}

#[tokio::test(start_paused = true)]
async fn a_member_who_finds_all_lots_taken_is_told_so() {
    let api = Api::new(2);
    let (drop, _) = made(&api).await;
    tokio::time::advance(Duration::from_secs(60)).await;
    for n in 0..1_000 {
        enter(&api, &drop, &format!("m{n}")).await.expect(202);
    }
    assert_eq!(enter(&api, &drop, "late").await.verdict(), (410, "ERR305"));
    assert_eq!(enter(&api, &drop, "m0").await.expect(202).string("state"), "registered");
    tokio::time::advance(Duration::from_secs(20)).await;
    api.refund_due().await;
    assert_eq!(read(&api, &drop).await["taken"], json!(3));
}

#[tokio::test(start_paused = true)]
async fn a_drop_without_lots_shows_nothing_of_them() {
    let api = Api::new(3);
    api.deposit("ann", 100).await;
    let terms = json!({
        "name": "Opening day", "slots": 1, "amount": 100,
        "opens_at": minute(1), "closes_at": minute(11),
    });
    let made = api.post("ann", "/api/v2/drops").key(api.new_key()).json(terms).await.expect(201);
    assert_eq!(made.body.get("seed_hash"), None);
    let seen = read(&api, &made.string("drop_id")).await;
    for name in ["shuffle_s", "seed_hash", "seed", "lots", "drawn_at"] {
        assert_eq!(seen.get(name), None, "{name}");
    }
}
