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

/// A caller that repeats a request, under the same key, until it gets an answer; each time later
/// than any lease.
pub(crate) async fn insist(
    rig: &Rig,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let mut heard = Vec::new();
    for _ in 0..8 {
        let reply = rig.request(method, path, headers, body).await;
        // A claim whose reply was lost hears "already", with its share.
        if reply.status < 300 || reply.verdict() == (409, "ERR102") {
            return reply;
        }
        // It failed, or the run that was lost may still be running: nothing else is worth a repeat.
        assert!(reply.status >= 500 || reply.verdict() == (409, "ERR006"), "{path}: {reply:?}");
        heard.push(reply.text);
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    panic!("{path}: no answer, but {heard:?}");
}

/// A POST under a key, and the answer that its caller got at last.
struct Posted {
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
    heard: Reply,
}

/// What was posted under a key, in its order, and what the claims heard.
#[derive(Default)]
struct Journal {
    posted: RefCell<Vec<Posted>>,
    shares: RefCell<Vec<(&'static str, u64)>>,
}

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

    /// Sent once more, long after: the first answer again, which says that it is a repeat. A record
    /// of the answer that was lost is made up for by the first of the repeats.
    async fn assert_repeats(&self, rig: &Rig) {
        let headers = borrowed(&self.headers);
        let first = (self.heard.status, self.heard.text.as_str());
        let recorded = insist(rig, "POST", &self.path, &headers, &self.body).await;
        assert_eq!((recorded.status, recorded.text.as_str()), first, "{}", self.path);
        let again = rig.request("POST", &self.path, &headers, &self.body).await;
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
        let posted = Posted::insist(rig, path.to_owned(), headers, key, body.to_string()).await;
        let answer = posted.heard.body.clone();
        journal.posted.borrow_mut().push(posted);
        answer
    };
    let sender = ("x-user-id", "s");
    let members = json!({ "name": "r", "members": ["a", "b"] });
    let room = post("/api/v2/rooms", &[sender], "room", members).await;
    let room = room["room_id"].as_str().unwrap().to_owned();
    // Enough for two sprays.
    let money = json!({ "amount": 2_000_000 });
    post("/api/v2/wallets/s/deposits", &[sender], "money", money).await;
    // Random shares: a member who drew two of them would hear two amounts.
    let wish =
        json!({ "amount": 900_000, "recipients": 3, "split": "random", "expires_in_s": 600 });
    let in_room = ("x-room-id", room.as_str());
    let made = post("/api/v2/sprays", &[sender, in_room], "spray", wish).await;
    let path = format!("/api/v2/sprays/{}/claims", made["token"].as_str().unwrap());
    for member in ["a", "b"] {
        let heard = insist(rig, "POST", &path, &[("x-user-id", member), in_room], "").await;
        journal.shares.borrow_mut().push((member, heard.number("amount")));
        // However often it is repeated.
        let again = insist(rig, "POST", &path, &[("x-user-id", member), in_room], "").await;
        journal.shares.borrow_mut().push((member, again.number("amount")));
    }
    rig.pay().await;
    rig.wind_up().await;
}

async fn check(rig: &Rig, journal: Journal) {
    for posted in &journal.posted.into_inner() {
        posted.assert_repeats(rig).await;
    }
    let [(_, a), (_, a_again), (_, b), (_, b_again)] = journal.shares.into_inner()[..] else {
        panic!("two claims of two members");
    };
    assert_ne!(a, b, "the shares are random");
    assert_eq!((a, b), (a_again, b_again), "no member hears two amounts");
    assert_eq!((rig.balance("a"), rig.balance("b")), (a, b), "as they were told");
    assert_eq!(rig.balance("s"), 2_000_000 - a - b);
    assert_made_once(rig);
}

/// One of everything. A spray that was made twice is returned when it is over, so that only the
/// ledger and the tables still show it.
fn assert_made_once(rig: &Rig) {
    money::assert_conserved(&rig.sandbox.world);
    let moved = TransferKind::ALL.map(|kind| (kind, rig.transfers(kind)));
    let expected = TransferKind::ALL.map(|kind| match kind {
        TransferKind::Deposit | TransferKind::Spray | TransferKind::Refund => (kind, 1),
        TransferKind::Claim => (kind, 2),
        TransferKind::Reversal
        | TransferKind::Campaign
        | TransferKind::Drop
        | TransferKind::Investment
        | TransferKind::Payout => (kind, 0),
    });
    assert_eq!(moved, expected);
    let books = money::books(&rig.sandbox.world);
    assert_eq!((books.buckets.len(), books.grants().count()), (1, 2));
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
/// five that it makes, each of which takes effect, so that the caller has to repeat the request.
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
        async |rig, journal| {
            check(rig, journal).await;
            rig.assert_all_paid();
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reply_lost_once_is_made_up_for_by_the_sdks_own_repeat() {
    for_every_call_of_a_small_spray(LOSING[0]).await;
}

#[tokio::test(start_paused = true)]
async fn replies_lost_on_every_attempt_are_made_up_for_by_the_callers_repeat() {
    for_every_call_of_a_small_spray(LOSING[1]).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_fails_before_its_effect_is_made_up_for_too() {
    for fault in [Fault::Throttle, Fault::InternalError, Fault::ResetBeforeCommit] {
        for_every_call_of_a_small_spray(|n| five(n, fault)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_faults_ends_with_all_money_in_its_place() {
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
            // The caller may hear an error; the books must be right.
            let _ = crate::client::claim_by(&rig.sandbox.store, room, &spray, name).await;
        }
        rig.sandbox.world.settle().await;
        rig.sandbox.world.set_fault_hook(None);
        rig.wind_up().await;
        rig.assert_all_paid();
        let sum = rig.balance("a") + rig.balance("b") + rig.balance("c");
        assert_eq!(sum + rig.balance("s"), 30);
    }
}
