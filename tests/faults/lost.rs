//! A reply is lost after the effect, on every call of every flow: the caller's retry gets the same
//! answer, and nothing doubles.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use largesse_domain::ledger::TransferKind;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::http::Reply;
use largesse_tests::money;
use serde_json::{Value, json};

use crate::rig::{Kill, Rig};

/// No flow makes this many calls.
const CALLS_MAX: u64 = 400;

/// A caller that asks again, under the same key, until it gets an answer; later than any lease.
pub(crate) async fn insist(
    rig: &Rig,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut heard = Vec::new();
    for _ in 0..8 {
        let reply = rig.ask(method, path, headers, body).await;
        if reply.status < 300 {
            return reply;
        }
        // It failed, or the run that was lost may still be running: nothing else is worth a repeat.
        assert!(reply.status >= 500 || reply.verdict() == (409, "ERR006"), "{path}: {reply:?}");
        heard.push(reply.text);
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    panic!("{path}: no answer, but {heard:?}");
}

/// A POST under a key, and the answer that its caller got in the end.
struct Posted {
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    heard: Reply,
}

/// Everything that was posted, in its order.
type Journal = RefCell<Vec<Posted>>;

impl Posted {
    async fn insist(
        rig: &Rig,
        path: String,
        headers: &[(&'static str, &str)],
        key: &str,
        body: String,
    ) -> Self {
        let owned = |(name, value): &(&'static str, &str)| (*name, (*value).to_owned());
        let mut headers: Vec<_> = headers.iter().map(owned).collect();
        headers.push(("idempotency-key", key.to_owned()));
        let heard = Box::pin(insist(rig, "POST", &path, &borrowed(&headers), &body)).await;
        Self { path, headers, body, heard }
    }

    /// Asked once more, long after: the first answer again, which says that it is one. A note of
    /// the answer that was not kept is kept by the first of the repeats.
    async fn assert_repeats(&self, rig: &Rig) {
        let headers = borrowed(&self.headers);
        let first = (self.heard.status, self.heard.text.as_str());
        let noted = insist(rig, "POST", &self.path, &headers, &self.body).await;
        assert_eq!((noted.status, noted.text.as_str()), first, "{}", self.path);
        let again = rig.ask("POST", &self.path, &headers, &self.body).await;
        assert_eq!((again.status, again.text.as_str()), first, "{}", self.path);
        assert_eq!(again.header("idempotency-replayed"), "true", "{}", self.path);
    }
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// Room, deposit, spray, two claims; paid, wound up.
async fn play(rig: &Rig, journal: &Journal) {
    let post = async |path: &str, headers: &[(&'static str, &str)], key: &str, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let posted = Posted::insist(rig, path.to_owned(), headers, key, body).await;
        let answer = posted.heard.body.clone();
        journal.borrow_mut().push(posted);
        answer
    };
    let sender = ("x-user-id", "s");
    let members = json!({ "name": "r", "members": ["a", "b"] });
    let room = post("/api/v2/rooms", &[sender], "room", members).await;
    let room = room["room_id"].as_str().unwrap().to_owned();
    // Enough for two sprays.
    let money = json!({ "amount": 2_000_000 });
    post("/api/v2/wallets/s/deposits", &[sender], "money", money).await;
    // Shares by chance: whoever were given another one would hear another amount.
    let wish =
        json!({ "amount": 900_000, "recipients": 3, "split": "random", "expires_in_s": 600 });
    let in_room = ("x-room-id", room.as_str());
    let made = post("/api/v2/sprays", &[sender, in_room], "spray", wish).await;
    let path = format!("/api/v2/sprays/{}/claims", made["token"].as_str().unwrap());
    for member in ["a", "b"] {
        post(&path, &[("x-user-id", member), in_room], "claim", Value::Null).await;
    }
    rig.pay().await;
    rig.wind_up().await;
}

async fn check(rig: &Rig, journal: Journal) {
    let journal = journal.into_inner();
    for posted in &journal {
        posted.assert_repeats(rig).await;
    }
    let [.., of_a, of_b] = &journal[..] else { panic!("a room, money, a spray, two claims") };
    let (a, b) = (of_a.heard.number("amount"), of_b.heard.number("amount"));
    assert_ne!(a, b, "shares by chance");
    assert_eq!((rig.balance("a").await, rig.balance("b").await), (a, b), "as they were told");
    assert_eq!(rig.balance("s").await, 2_000_000 - a - b);
    assert_made_once(rig);
}

/// One of everything. A spray that was made twice goes back when it is over, so that only the
/// ledger and the tables still tell of it.
fn assert_made_once(rig: &Rig) {
    money::assert_conserved(&rig.sandbox.world);
    let moved = TransferKind::ALL.map(|kind| (kind, rig.transfers(kind)));
    let [deposits, sprays, refunds] =
        [TransferKind::Deposit, TransferKind::Spray, TransferKind::Refund].map(|kind| (kind, 1));
    assert_eq!(moved, [deposits, sprays, (TransferKind::Claim, 2), refunds]);
    let books = money::books(&rig.sandbox.world);
    assert_eq!((books.pools.len(), books.grants.len()), (1, 2));
    let tokens = rig.sandbox.world.database().scan("largesse-tokens").unwrap();
    let tokens = tokens.iter().filter(|item| item.contains_key("spray"));
    assert_eq!(tokens.count(), 1, "one spray took one token");
    let rooms = rig.sandbox.world.database().scan("largesse-rooms").unwrap();
    let rooms = rooms.iter().filter(|item| item.contains_key("name"));
    assert_eq!(rooms.count(), 1, "one room");
}

/// A plan that strikes the `n`-th call.
pub(crate) type Plan = fn(u64) -> Faults;

/// Plans that lose the reply of a call: of one attempt, which the SDK repeats by itself; or of all
/// five that it makes, each of which takes effect, so that the caller has to ask again.
pub(crate) const LOSING: [Plan; 2] = [
    |n| Faults::seeded(0).nth(n, Matching::any(), Fault::ReplyLost),
    |n| five(n, Fault::ReplyLost),
];

/// Five attempts in a row that end so.
pub(crate) fn five(n: u64, fault: Fault) -> Faults {
    (n..n + 5).fold(Faults::seeded(0), |plan, n| plan.nth(n, Matching::any(), fault))
}

/// Plays a scene for n = 1, 2 … under `plan(n)`, until it makes no n-th call, which is more often
/// than `least`. What is set up before and what is checked after is not struck.
pub(crate) async fn for_every_call<S>(
    plan: impl Fn(u64) -> Faults,
    least: u64,
    set_up: impl AsyncFn(&Rig) -> S,
    play: impl AsyncFn(&Rig, &S),
    check: impl AsyncFn(&Rig, S),
) {
    for n in 1..=CALLS_MAX {
        let rig = Rig::new(n, Kill::default());
        let scene = set_up(&rig).await;
        let faults = Arc::new(plan(n));
        rig.sandbox.world.set_fault_hook(Some(faults.clone()));
        play(&rig, &scene).await;
        rig.sandbox.world.set_fault_hook(None);
        check(&rig, scene).await;
        rig.assert_all_paid();
        if faults.injected() == 0 {
            assert!(n > least, "a flow of {n} calls is none");
            return;
        }
    }
    panic!("the flow never ended");
}

/// The whole life of a small spray under this plan.
async fn for_every_call_of_a_small_spray(plan: impl Fn(u64) -> Faults) {
    for_every_call(
        plan,
        20,
        async |_| Journal::default(),
        async |rig, journal| play(rig, journal).await,
        async |rig, journal| check(rig, journal).await,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_once_is_made_good_by_the_sdks_own_retry() {
    for_every_call_of_a_small_spray(LOSING[0]).await;
}

#[tokio::test(start_paused = true)]
async fn replies_lost_on_every_attempt_are_made_good_by_the_callers_retry() {
    for_every_call_of_a_small_spray(LOSING[1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_before_its_effect_is_made_good_too() {
    for fault in [Fault::Throttle, Fault::InternalError, Fault::ResetBeforeCommit] {
        for_every_call_of_a_small_spray(|n| five(n, fault)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_faults_ends_with_every_won_in_its_place() {
    for seed in 0..20 {
        let rig = Rig::new(seed, Kill::default());
        let (room, spray) = rig.spray(3).await;
        let storm = Faults::seeded(seed)
            .chance(80, Matching::any(), Fault::ReplyLost)
            .chance(80, Matching::any(), Fault::Throttle)
            .chance(40, Matching::any(), Fault::InternalError)
            .chance(40, Matching::any(), Fault::ResetBeforeCommit)
            .chance(80, Matching::operation("TransactWriteItems"), Fault::TransactionConflict);
        rig.sandbox.world.set_fault_hook(Some(Arc::new(storm)));
        for name in ["a", "b", "c"] {
            // Whatever the caller hears; the books must be right.
            let _ = crate::rig::claim_by(&rig.sandbox.store, room, &spray, name).await;
        }
        rig.sandbox.world.settle().await;
        rig.sandbox.world.set_fault_hook(None);
        rig.wind_up().await;
        rig.assert_all_paid();
        let sum = rig.balance("a").await + rig.balance("b").await + rig.balance("c").await;
        assert_eq!(sum + rig.balance("s").await, 30);
    }
}
