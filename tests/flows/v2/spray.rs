//! The seed: hidden while shares can be drawn, shown when they cannot, and it decides them.

use std::time::Duration;

use largesse_domain::split::{Cut, Seed, Split};
use largesse_tests::amount;
use largesse_tests::http::Api;
use rstest::rstest;
use serde_json::json;
use sha2::{Digest, Sha256};

#[rstest]
#[case("random", Split::Random, 5)]
#[case("equal", Split::Equal, 7)]
#[case("random", Split::Random, 60)]
#[tokio::test(start_paused = true)]
async fn the_seed_is_shown_when_all_is_over_and_recomputes_every_share(
    #[case] name: &str,
    #[case] split: Split,
    #[case] recipients: u32,
) {
    let api = Api::new(u64::from(recipients));
    let members: Vec<String> = (0..recipients).map(|number| format!("m{number:03}")).collect();
    let mut names = vec!["ann"];
    names.extend(members.iter().map(String::as_str));
    let room = api.room(&names).await;
    api.deposit("ann", 10_000).await;
    let ask = api.post("ann", "/api/v2/sprays").room(&room).key("k");
    let wish = json!({
        "amount": 10_000, "recipients": recipients, "split": name, "expires_in_s": 10,
    });
    let made = ask.json(wish).await.expect(201);
    let (token, hash) = (made.string("token"), made.string("seed_hash"));
    let look = || api.get("ann", format!("/api/v2/sprays/{token}")).room(&room);
    assert!(made.body["seed"].is_null());

    let mut told = Vec::new();
    for member in members.iter().skip(1) {
        told.push(api.claim(&room, member, &token).await.expect(201).number("amount"));
    }
    tokio::time::advance(Duration::from_millis(9_999)).await;
    let open = look().await.expect(200);
    assert_eq!((&open.body["status"], open.body.get("seed")), (&json!("open"), None));
    assert_eq!(open.string("seed_hash"), hash);
    let listed = api.get("ann", "/api/v2/sprays").await.expect(200).body["sprays"][0].clone();
    assert!(listed.get("seed").is_none());
    told.push(api.claim(&room, &members[0], &token).await.expect(201).number("amount"));

    tokio::time::advance(Duration::from_millis(1)).await;
    let over = look().await.expect(200);
    let seed: [u8; 32] = hex::decode(over.string("seed")).unwrap().try_into().unwrap();
    assert_eq!(hex::encode(Sha256::digest(seed)), hash, "the seed is the one that was promised");
    let cut = Cut::new(split, &Seed(seed), amount(10_000), recipients);
    let claims = over.body["claims"].as_array().unwrap();
    let claimed = |member: &str| claims.iter().find(|claim| claim["user"] == member).unwrap();
    let order: Vec<&String> = members.iter().skip(1).chain(&members[..1]).collect();
    let mut numbers = std::collections::BTreeSet::new();
    for (member, amount) in order.into_iter().zip(&told) {
        let number = claimed(member)["share"].as_u64().unwrap();
        assert!(numbers.insert(number), "share {number} is out twice");
        let share = cut.share(number).unwrap().get();
        assert_eq!(*amount, share, "{member} has share {number} of the cut");
    }
    assert_eq!(told.iter().sum::<u64>(), 10_000);
}

#[tokio::test(start_paused = true)]
async fn what_may_be_left_out_has_its_default() {
    let api = Api::new(1);
    let room = api.room(&["ann", "bob"]).await;
    api.deposit("ann", 10).await;
    let ask = api.post("ann", "/api/v2/sprays").room(&room).key("k");
    let made = ask.json(json!({ "amount": 10, "recipients": 2 })).await.expect(201);
    assert_eq!(made.string("expires_at"), "2026-01-08T00:00:00.000Z");
    let path = format!("/api/v2/sprays/{}", made.string("spray_id"));
    assert_eq!(api.get("ann", path).await.expect(200).string("split"), "random");
}

#[tokio::test(start_paused = true)]
async fn everybody_can_claim_until_the_last_millisecond() {
    let api = Api::new(2);
    let room = api.room(&["ann", "bob", "eve"]).await;
    let token = api.spray(&room, "ann", 10, 3).await;
    tokio::time::advance(Duration::from_millis(599_999)).await;
    api.claim(&room, "bob", &token).await.expect(201);
    tokio::time::advance(Duration::from_millis(1)).await;
    let late = api.claim(&room, "eve", &token).await;
    assert_eq!((late.verdict(), &late.body["token_status"]), ((410, "ERR104"), &json!(-2)));
    api.refund_due().await;
    let ann = api.balance("ann").await;
    assert_eq!((ann, api.balance("bob").await), (6, 4), "the unclaimed rest is back");
    api.refund_due().await;
    assert_eq!(api.balance("ann").await, ann, "and is back once");
}
