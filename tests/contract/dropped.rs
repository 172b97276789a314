//! A caller that is dropped at any of its waits loses nothing.

use largesse_app::pool::draw::{NotWon, draw};
use largesse_app::ports::{Clock, Money, Payment, Void, Voids};
use largesse_domain::grant::Grant;
use largesse_domain::spray::Spray;
use largesse_tests::kill::kill_at;
use largesse_tests::{Sandbox, user};

use crate::scene::{balance, buckets, drawn, given_up, request, sprayed};

/// More waits than any of these calls has.
const WAITS_MAX: usize = 500;

/// How many entries the member has in the whole pool.
async fn entries(sandbox: &Sandbox, spray: &Spray, member: &str) -> usize {
    let buckets = buckets(sandbox, spray).await;
    buckets.iter().filter(|bucket| bucket.draws.contains_key(&user(member))).count()
}

#[tokio::test(start_paused = true)]
async fn a_draw_dropped_at_any_wait_leaves_one_entry_or_none_and_the_next_one_finds_it() {
    let (mut without, mut with) = (0, 0);
    for wait in 1..WAITS_MAX {
        let sandbox = Sandbox::new(1);
        let spray = sprayed(&sandbox, 40).await;
        // The first bucket of the walk is full, so that a draw is two writes and a read.
        let walk = largesse_domain::pool::Walk::new(&spray.pool(), &user("m"), 3).next().unwrap();
        let full = largesse_domain::pool::BucketId { pool: spray.pool(), number: walk };
        for n in 0..buckets(&sandbox, &spray).await[walk as usize].size {
            use largesse_app::ports::Pools;
            let other = request(&format!("o{n}"), sandbox.store.now(), 1);
            sandbox.store.draw(full, &other).await.unwrap().unwrap();
        }
        let store = sandbox.another_process(2);
        let wish = request("m", store.now(), 1);
        let killed = kill_at(wait, draw(&*store, spray.pool(), 40, &wish)).await.is_none();
        let left = entries(&sandbox, &spray, "m").await;
        // The next request, by the same process and by another one.
        for (nonce, store) in [(2, store), (3, sandbox.another_process(3))] {
            let next = request("m", store.now(), nonce);
            let answer = draw(&*store, spray.pool(), 40, &next).await.unwrap();
            let is_new = left == 0 && nonce == 2;
            assert_eq!(answer.is_ok(), is_new, "wait {wait}: {answer:?}");
            assert!(is_new || matches!(answer, Err(NotWon::Already(_))), "{answer:?}");
        }
        assert_eq!(entries(&sandbox, &spray, "m").await, 1);
        match (killed, left) {
            (true, 0) => without += 1,
            (true, _) => with += 1,
            (false, _) => {
                assert!(without > 0 && with > 0, "{without} before the write, {with} after it");
                return;
            }
        }
    }
    panic!("a draw ends");
}

/// Pays, and drops the call at one wait after the other; then all are paid, by the same process.
async fn paid_in_spite_of_drops(members: u64) {
    let (mut without, mut with) = (0, 0);
    for wait in 1..WAITS_MAX {
        let sandbox = Sandbox::new(2);
        let spray = sprayed(&sandbox, members).await;
        let mut grants: Vec<Grant> = Vec::new();
        for n in 0..members {
            grants.push(drawn(&sandbox, &spray, &format!("m{n}")).await);
        }
        let killed = kill_at(wait, sandbox.store.pay(&grants)).await.is_none();
        let is_paid = balance(&sandbox, "m0").await > 0;
        // A lock on a wallet that the dropped call held is free again.
        for payment in sandbox.store.pay(&grants).await {
            assert!(matches!(payment, Payment::Paid | Payment::AlreadyPaid), "{payment:?}");
        }
        for grant in &grants {
            let held = balance(&sandbox, grant.member.as_str()).await;
            assert_eq!(held, grant.amount.get(), "wait {wait}");
        }
        match (killed, is_paid) {
            (true, false) => without += 1,
            (true, true) => with += 1,
            (false, _) => {
                assert!(without > 0 && with > 0, "{without} before the write, {with} after it");
                return;
            }
        }
    }
    panic!("a payment ends");
}

#[tokio::test(start_paused = true)]
async fn a_payment_dropped_at_any_wait_is_made_once() {
    paid_in_spite_of_drops(1).await;
}

#[tokio::test(start_paused = true)]
async fn payments_made_together_and_dropped_at_any_wait_are_made_once_each() {
    paid_in_spite_of_drops(3).await;
}

#[tokio::test(start_paused = true)]
async fn a_void_dropped_at_any_wait_returns_the_amount_once() {
    let (mut without, mut with) = (0, 0);
    for wait in 1..WAITS_MAX {
        let sandbox = Sandbox::new(3);
        let spray = sprayed(&sandbox, 1).await;
        let failed = given_up(&sandbox, &drawn(&sandbox, &spray, "m").await).await;
        let killed = kill_at(wait, sandbox.store.void(&failed)).await.is_none();
        let is_voided = balance(&sandbox, "s").await > 0;
        let expected = if is_voided { Void::AlreadyVoided } else { Void::Voided };
        assert_eq!(sandbox.store.void(&failed).await.unwrap(), expected, "wait {wait}");
        assert_eq!(balance(&sandbox, "s").await, 10);
        match (killed, is_voided) {
            (true, false) => without += 1,
            (true, true) => with += 1,
            (false, _) => {
                assert!(without > 0 && with > 0, "{without} before the write, {with} after it");
                return;
            }
        }
    }
    panic!("a void ends");
}
