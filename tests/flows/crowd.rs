//! Many at once: over real sockets where the number of callers is the point, else in process.

use std::collections::BTreeMap;

use futures::future::join_all;
use largesse::client::{Client, Reply as HttpReply};
use largesse::demo::Stage;
use largesse_tests::http::{Api, Reply};
use largesse_tests::money;
use rstest::rstest;
use serde_json::json;

const PEOPLE: u32 = 2_000;
const SHARES: u32 = 500;
const CLIENTS: u32 = 64;
const AMOUNT: u64 = 1_000_000;

/// Runs `one` for everybody, 64 at once, each over a connection of its own.
async fn everybody<F, T>(stage: &Stage, one: F) -> Vec<(u32, T)>
where
    F: Fn(Client, u32) -> futures::future::BoxFuture<'static, T> + Clone + Send + 'static,
    T: Send + 'static,
{
    let clients = (0..CLIENTS).map(|first| {
        let (client, one) = (stage.client.clone(), one.clone());
        tokio::spawn(async move {
            let mut done = Vec::new();
            for person in (first..PEOPLE).step_by(CLIENTS as usize) {
                done.push((person, one(client.clone(), person).await));
            }
            done
        })
    });
    join_all(clients).await.into_iter().flat_map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_shares_go_to_five_hundred_of_two_thousand_people_once_each() {
    let stage = Stage::start().await.unwrap();
    let room = stage.client.room("giver").await.unwrap();
    let joining = room.clone();
    everybody(&stage, move |client, person| {
        let room = joining.clone();
        Box::pin(async move { client.join(&room, "giver", &format!("p{person}")).await.unwrap() })
    })
    .await;
    stage.client.deposit("giver", AMOUNT).await.unwrap();
    let token = stage.client.spray(&room, "giver", "key", AMOUNT, SHARES).await.unwrap();

    let told: Vec<(u32, HttpReply)> = everybody(&stage, move |client, person| {
        let (room, token) = (room.clone(), token.clone());
        Box::pin(async move { client.claim(&room, &format!("p{person}"), &token).await.unwrap() })
    })
    .await;

    let mut won: BTreeMap<String, u64> = BTreeMap::new();
    for (person, reply) in &told {
        match (reply.status, reply.code()) {
            (201, _) => {
                won.insert(format!("p{person}"), reply.number("amount"));
            }
            (409, "ERR103") => {}
            other => panic!("p{person} was answered {other:?}: {}", reply.body),
        }
    }
    assert_eq!(told.len(), PEOPLE as usize);
    assert_eq!(won.len(), SHARES as usize, "as many won as there are shares");
    assert_eq!(won.values().sum::<u64>(), AMOUNT, "the shares add up to what was given");

    stage.world().settle().await;
    let totals = money::assert_conserved(stage.world());
    assert_eq!((totals.issued, totals.wallets, totals.escrows), (AMOUNT, AMOUNT, 0));
    let wallets = money::books(stage.world()).wallets.into_iter();
    let paid: BTreeMap<String, u64> = wallets
        .filter(|wallet| wallet.user.as_str() != "giver")
        .map(|wallet| (wallet.user.to_string(), wallet.balance.get()))
        .collect();
    assert_eq!(paid, won, "everybody has what they were told, nobody else has anything");
    stage.stop().await;
}

/// How often each verdict was given.
fn count<'a>(replies: impl IntoIterator<Item = &'a Reply>) -> BTreeMap<(u16, &'a str), usize> {
    replies.into_iter().fold(BTreeMap::new(), |mut counts, reply| {
        *counts.entry(reply.verdict()).or_default() += 1;
        counts
    })
}

/// A pool of up to 48 shares keeps its notes; a larger one trims them.
#[rstest]
#[case(3)]
#[case(48)]
#[case(49)]
#[case(500)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_claims_of_one_person_are_one_success(#[case] recipients: u64) {
    let api = Api::new(recipients);
    let room = api.room(&["ann", "bob"]).await;
    let token = api.spray(&room, "ann", 100_000, recipients).await;
    let before = api.claim(&room, "eve", &token).await;
    assert_eq!(before.verdict(), (403, "ERR004"), "an outsider gets none");
    assert_eq!(api.claim(&room, "ann", &token).await.verdict(), (403, "ERR101"));

    let claims = (0..1_000).map(|_| {
        let ask = api.post("bob", format!("/api/v2/sprays/{token}/claims")).room(&room);
        tokio::spawn(async move { ask.await })
    });
    let replies: Vec<Reply> = join_all(claims).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(count(&replies), BTreeMap::from([((201, ""), 1), ((409, "ERR102"), 999)]));
    let amounts: std::collections::BTreeSet<u64> =
        replies.iter().map(|reply| reply.number("amount")).collect();
    assert_eq!(amounts.len(), 1, "all are told of the same share");

    api.settle().await;
    assert_eq!(Some(&api.balance("bob").await), amounts.first());
    assert_eq!(api.balance("ann").await + api.balance("eve").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_sprays_at_once_with_money_for_ten_are_ten() {
    let api = Api::new(1);
    let room = api.room(&["ann", "bob"]).await;
    api.deposit("ann", 1_000).await;
    let sprays = (0..50).map(|_| api.try_spray(&room, "ann", 100, 2));
    let replies: Vec<Reply> = join_all(sprays).await;
    let verdicts = count(&replies);
    assert_eq!(verdicts, BTreeMap::from([((201, ""), 10), ((409, "ERR501"), 40)]));
    let tokens: std::collections::BTreeSet<String> = replies
        .iter()
        .filter(|reply| reply.status == 201)
        .map(|reply| reply.string("token"))
        .collect();
    assert_eq!(tokens.len(), 10, "each has a token of its own");
    assert_eq!(api.balance("ann").await, 0);
    let totals = money::assert_conserved(&api.sandbox.world);
    assert_eq!(totals.escrows, 1_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wallet_that_sprays_claims_and_deposits_at_once_is_the_sum_of_its_transfers() {
    let api = Api::new(2);
    let room = api.room(&["ann", "bob"]).await;
    api.deposit("bob", 2_000).await;
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(api.spray(&room, "ann", 50, 1).await);
    }
    let deposits = async {
        let path = "/api/v2/wallets/bob/deposits";
        let asks = (0..20).map(|_| api.post("bob", path).key(api.new_key()));
        join_all(asks.map(|ask| ask.json(json!({ "amount": 7 })).into_future())).await
    };
    let sprays = join_all((0..20).map(|_| api.try_spray(&room, "bob", 100, 1)));
    let claims = join_all(tokens.iter().map(|token| api.claim(&room, "bob", token)));
    let (deposits, sprays, claims) = futures::join!(deposits, sprays, claims);
    for reply in deposits.iter().chain(&sprays).chain(&claims) {
        assert_eq!(reply.status, 201, "{}", reply.text);
    }
    api.settle().await;

    let path = "/api/v2/wallets/bob/transactions?limit=100";
    let history = api.get("bob", path).await.expect(200).body;
    let rows = history["transactions"].as_array().unwrap();
    assert_eq!(rows.len(), 1 + 20 + 20 + 20);
    let sum: i64 = rows
        .iter()
        .map(|row| {
            let amount = row["amount"].as_i64().unwrap();
            if row["direction"] == "credit" { amount } else { -amount }
        })
        .sum();
    assert_eq!(sum, 2_000 + 20 * 7 - 20 * 100 + 20 * 50);
    assert_eq!(i64::try_from(api.balance("bob").await), Ok(sum));
}
