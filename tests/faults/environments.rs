//! Many Lambda environments draw from one pool that is trimmed, a claim or a few each: a note is
//! mostly left by an environment that never draws again. What counts is the writes on the one hot
//! item.

#![expect(
    clippy::disallowed_methods,
    reason = "the item queues by the runtime's clock, which tests stop"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::{BoxFuture, join_all};
use largesse_app::ports::{Clock, Pools, Rooms};
use largesse_app::spray::claim::ClaimError;
use largesse_domain::pool::{Ask, Attempt, Draw};
use largesse_emulator::{Call, Fault, FaultHook, Service};
use largesse_tests::user;
use tokio::time::Instant;

use crate::rig::{Kill, Rig, claim_by};

/// Every call takes 2 ms to arrive; the head takes one write a millisecond (Amazon DynamoDB
/// Developer Guide, "Designing partition keys": 1,000 write units a second), and the others queue.
struct HotItem(Mutex<Instant>);

const DISTANCE: Duration = Duration::from_millis(2);
const WRITE: Duration = Duration::from_millis(1);

fn is_write(call: &Call) -> bool {
    call.operation == "UpdateItem" && call.resources.iter().any(|table| table == "largesse-pools")
}

impl FaultHook for HotItem {
    fn before<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Option<Fault>> {
        let arrives = Instant::now() + DISTANCE;
        let mut until = arrives;
        if is_write(call) {
            let mut free = self.0.lock().unwrap();
            until = arrives.max(*free) + WRITE;
            *free = until;
        }
        Box::pin(async move { Some(Fault::DelayRequest(until - Instant::now())) })
    }
}

/// What a crowd came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Crowd {
    won: usize,
    exhausted: usize,
    writes: usize,
}

/// Claims of different members, `each` by every one of `environments`, of which one comes every
/// `every`; all of one spray.
async fn crowd(shares: u64, environments: u64, each: u64, every: Duration) -> Crowd {
    let rig = Rig::new(environments, Kill::default());
    let names: Vec<String> = (0..environments * each).map(|n| format!("m{n}")).collect();
    let room = rig.sandbox.room(&["s"]).await;
    for name in &names {
        let now = rig.sandbox.store.now();
        rig.sandbox.store.add_member(room, &user(name), now).await.unwrap();
    }
    let spray = rig.sandbox.spray(room, "s", shares * 10, shares).await;
    let recorder = rig.sandbox.world.recorder();
    recorder.keep_calls(true);
    recorder.reset();
    rig.sandbox.world.set_fault_hook(Some(Arc::new(HotItem(Mutex::new(Instant::now())))));
    let claims = names.chunks(usize::try_from(each).unwrap()).zip(0_u32..).map(|(names, n)| {
        let (rig, spray) = (&rig, &spray);
        async move {
            tokio::time::sleep(every * n).await;
            let store = rig.sandbox.another_process(1_000 + u64::from(n));
            let mut answers = Vec::new();
            for name in names {
                answers.push(claim_by(&store, room, spray, name).await);
            }
            answers
        }
    });
    let answers = join_all(claims).await;
    rig.sandbox.world.set_fault_hook(None);
    let mut crowd = Crowd::default();
    for answer in answers.into_iter().flatten() {
        match answer {
            Ok(_) => crowd.won += 1,
            Err(ClaimError::Exhausted) => crowd.exhausted += 1,
            Err(error) => panic!("{error:?}"),
        }
    }
    let calls = recorder.calls();
    crowd.writes = calls.iter().filter(|one| is_write(&one.call)).count();
    rig.wind_up().await;
    crowd
}

#[tokio::test(start_paused = true)]
async fn environments_that_claim_once_and_never_again_cost_little_more_than_a_write_each() {
    // Two hundred a second. One in two dozen helps the others' notes away.
    let crowd = crowd(500, 500, 1, Duration::from_millis(5)).await;
    assert_eq!((crowd.won, crowd.exhausted), (500, 0));
    assert!(crowd.writes <= 500 * 11 / 10, "{crowd:?}");
}

#[tokio::test(start_paused = true)]
async fn environments_that_claim_at_the_same_instant_all_win_with_a_few_writes_each() {
    // Eighty are refused at first, since the head has room for 48.
    let crowd = crowd(500, 128, 1, Duration::ZERO).await;
    assert_eq!((crowd.won, crowd.exhausted), (128, 0));
    assert!(crowd.writes <= 128 * 3, "{crowd:?}");
}

#[tokio::test(start_paused = true)]
async fn environments_that_claim_again_and_again_until_all_is_taken_stay_within_a_few_writes_each()
{
    let crowd = crowd(500, 128, 4, Duration::ZERO).await;
    assert_eq!((crowd.won, crowd.exhausted), (500, 12));
    assert!(crowd.writes <= 500 * 3, "{crowd:?}");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_that_all_is_taken_while_a_second_draw_may_be_given_back() {
    for is_same_process in [true, false] {
        let rig = Rig::new(1, Kill::default());
        let names: Vec<String> = (0..49).map(|n| format!("m{n}")).collect();
        let (first, last) = (&names[0], &names[48]);
        let room = rig.sandbox.room(&["s"]).await;
        for name in &names {
            let now = rig.sandbox.store.now();
            rig.sandbox.store.add_member(room, &user(name), now).await.unwrap();
        }
        let spray = rig.sandbox.spray(room, "s", 490, 49).await;
        let one = rig.sandbox.another_process(7);
        for name in &names[..48] {
            claim_by(&one, room, &spray, name).await.unwrap();
        }
        let head = one.pool(spray.pool.id).await.unwrap().unwrap();
        assert_eq!((head.supply.left(), head.pending.contains_key(&user(first))), (1, false));
        // Another tap of the first member's, which read no record before there was one, takes the
        // last share. It is killed, so that nobody gives it back.
        let process = if is_same_process { one } else { rig.sandbox.another_process(8) };
        let (at, attempt) = (rig.sandbox.store.now(), Attempt::from_bits(7));
        let second = Draw { member: user(first), at, attempt, ask: Ask::Next };
        process.draw(spray.pool.id, second).await.unwrap().unwrap();
        claim_by(&process, room, &spray, last).await.unwrap();
        // Now all of them have one, and it is so for good: at no cost for whoever asks again.
        rig.sandbox.store.add_member(room, &user("late"), at).await.unwrap();
        let late = claim_by(&process, room, &spray, "late").await;
        assert!(matches!(late, Err(ClaimError::Exhausted)), "{late:?}");
        let recorder = rig.sandbox.world.recorder();
        recorder.reset();
        let late = claim_by(&process, room, &spray, "late").await;
        assert!(matches!(late, Err(ClaimError::Exhausted)), "{late:?}");
        assert_eq!(recorder.operation(Service::DynamoDb, "UpdateItem").calls, 0);
        rig.wind_up().await;
        rig.assert_all_paid();
    }
}
