//! An owner of API keys is one account: however many keys it has, and however many processes serve
//! it.

use axum::Router;
use futures::future::join_all;
use largesse_domain::id::Token;
use largesse_tests::http::{Api, Ask, Reply};
use largesse_tests::signed::Holder;
use serde_json::json;

use super::{ALL, MASTER};

/// What the owner may do in a minute.
const MAX: usize = 24;
const KEYS: usize = 4;
const PROCESSES: u64 = 8;
/// A member who comes after all others.
const LATE: u32 = 40_000;

/// An owner with many keys, another owner, and processes with caches of their own.
struct Scene {
    api: Api,
    keys: Vec<Holder>,
    other: Holder,
    processes: Vec<Router>,
}

impl Scene {
    async fn new(seed: u64, limit: &'static str) -> Self {
        let api = Api::signed_with_limits(seed, MASTER, &[(limit, u32::try_from(MAX).unwrap())]);
        let keys = join_all((0..KEYS).map(|_| api.holder(MASTER, "chat", ALL))).await;
        let other = api.holder(MASTER, "shop", ALL).await;
        let processes = (0..PROCESSES).map(|n| api.process(400 + n, MASTER)).collect();
        Self { api, keys, other, processes }
    }

    /// Each key at each process, several times, and each request by another member.
    async fn crowd(&self, ask: impl Fn(&Router, u32) -> Ask) -> Vec<Reply> {
        let (mut asks, mut member) = (Vec::new(), 0);
        for process in self.processes.iter().cycle().take(2 * MAX) {
            for holder in &self.keys {
                asks.push(self.api.sign(holder, ask(process, member)).into_future());
                member += 1;
            }
        }
        join_all(asks).await
    }
}

fn count(replies: &[Reply], verdict: (u16, &str)) -> usize {
    replies.iter().filter(|reply| reply.verdict() == verdict).count()
}

#[tokio::test(start_paused = true)]
async fn an_owner_with_many_keys_at_many_processes_creates_what_one_account_may() {
    let scene = Scene::new(41, "CREATIONS_OWNER_MAX").await;
    let make = |process: &Router, member: u32| {
        let ask = Api::ask_of(process, "POST", "/api/v2/rooms").user(member.to_string());
        ask.json(json!({ "name": "r" }))
    };
    let replies = scene.crowd(make).await;
    let (made, refused) = (count(&replies, (201, "")), count(&replies, (429, "ERR007")));
    assert_eq!(made + refused, replies.len());
    // Processes lease blocks of the budget, and may keep a rest of them (docs/limits.md).
    assert!((MAX / 2..=MAX).contains(&made), "{made} rooms");
    let policies = replies.iter().filter(|reply| reply.status == 429);
    assert!(
        policies
            .into_iter()
            .all(|reply| { reply.header("ratelimit-policy").starts_with("\"creations-owner\"") })
    );
    // A key that is made now changes nothing; another account is served.
    let new = scene.api.holder(MASTER, "chat", ALL).await;
    let process = scene.api.process(499, MASTER);
    scene.api.sign(&new, make(&process, LATE)).await.expect(429);
    scene.api.sign(&scene.other, make(&process, LATE)).await.expect(201);
}

#[tokio::test(start_paused = true)]
async fn an_owner_with_many_keys_at_many_processes_guesses_as_many_tokens_as_one_account_may() {
    let scene = Scene::new(42, "TOKEN_MISSES_OWNER_MAX").await;
    let read = |process: &Router, member: u32| {
        let path = format!("/api/v1/spray/{}", Token::from_index(member));
        Api::ask_of(process, "GET", path).user(member.to_string())
    };
    let replies = scene.crowd(read).await;
    let (missed, refused) = (count(&replies, (404, "ERR005")), count(&replies, (429, "ERR007")));
    assert_eq!(missed + refused, replies.len());
    assert_eq!(missed, MAX, "as many guesses as the budget has are answered");
    let new = scene.api.holder(MASTER, "chat", ALL).await;
    let process = scene.api.process(499, MASTER);
    scene.api.sign(&new, read(&process, LATE)).await.expect(429);
    scene.api.sign(&scene.other, read(&process, LATE)).await.expect(404);
}
