//! A reply is lost after the effect, on every call of every flow: the caller's retry gets the same
//! answer, and nothing doubles.

use std::sync::Arc;
use std::time::Duration;

use largesse_world::{Fault, Faults, Matching};
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
) -> Value {
    let mut heard = Vec::new();
    for _ in 0..8 {
        let (status, answer) = rig.call(method, path, headers, body).await;
        if status < 300 {
            return answer;
        }
        assert!(status >= 500 || status == 409, "{path}: {status} {answer}");
        heard.push(answer);
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    panic!("{path}: no answer, but {heard:?}");
}

/// Room, deposit, spray, two claims; paid, wound up.
async fn play(rig: &Rig) {
    let members = json!({ "name": "r", "members": ["a", "b"] }).to_string();
    let headers = [("x-user-id", "s"), ("idempotency-key", "room")];
    let room = insist(rig, "POST", "/api/v2/rooms", &headers, &members).await;
    let room = room["room_id"].as_str().unwrap().to_owned();
    let headers = [("x-user-id", "s"), ("idempotency-key", "money")];
    let path = "/api/v2/wallets/s/deposits";
    insist(rig, "POST", path, &headers, &json!({ "amount": 1_000 }).to_string()).await;
    let spray = json!({ "amount": 300, "recipients": 3, "split": "equal", "expires_in_s": 600 });
    let headers = [("x-user-id", "s"), ("x-room-id", &room), ("idempotency-key", "spray")];
    let made = insist(rig, "POST", "/api/v2/sprays", &headers, &spray.to_string()).await;
    let path = format!("/api/v2/sprays/{}/claims", made["token"].as_str().unwrap());
    for member in ["a", "b"] {
        let headers = [("x-user-id", member), ("x-room-id", &room), ("idempotency-key", "claim")];
        let claimed = insist(rig, "POST", &path, &headers, "").await;
        assert_eq!(claimed["amount"], 100);
    }
    rig.pay().await;
    rig.wind_up().await;
}

async fn check(rig: &Rig) {
    assert_eq!((rig.balance("a").await, rig.balance("b").await), (100, 100));
    assert_eq!(rig.balance("s").await, 800);
    let totals = largesse_tests::money::assert_conserved(&rig.sandbox.world);
    assert_eq!(totals.issued, 1_000, "the deposit was made once");
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
        rig.sandbox.world.interpose(Some(faults.clone()));
        play(&rig, &scene).await;
        rig.sandbox.world.interpose(None);
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
        async |_| (),
        async |rig, ()| play(rig).await,
        async |rig, ()| {
            check(rig).await;
        },
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
        rig.sandbox.world.interpose(Some(Arc::new(storm)));
        for name in ["a", "b", "c"] {
            // Whatever the caller hears; the books must be right.
            let _ = crate::rig::claim_by(&rig.sandbox.store, room, &spray, name).await;
        }
        rig.sandbox.world.settle().await;
        rig.sandbox.world.interpose(None);
        rig.wind_up().await;
        rig.assert_all_paid();
        let sum = rig.balance("a").await + rig.balance("b").await + rig.balance("c").await;
        assert_eq!(sum + rig.balance("s").await, 30);
    }
}
