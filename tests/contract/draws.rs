//! Draws: one test for each clause of the condition, and for the order in which a refusal is
//! explained.

use std::sync::Arc;

use largesse_app::ports::{Clock, NotDrawn, Pools, RefundOutcome, Refunds, Won};
use largesse_domain::pool::BucketId;
use largesse_domain::spray::Spray;
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::{Sandbox, user};

use crate::scene::{bucket, buckets, draw, first, request, sprayed};

/// Returns the rest of the spray to its sender, by a process whose clock is at the window's end.
async fn refunded(sandbox: &Sandbox, spray: &Spray) {
    let as_read = buckets(sandbox, spray).await;
    let outcome = sandbox.store.refund_spray(spray, &as_read, spray.window.closes).await;
    assert_eq!(outcome.unwrap(), RefundOutcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_closed_bucket_gives_nothing_to_a_clock_that_is_behind() {
    let sandbox = Sandbox::new(1);
    let spray = sprayed(&sandbox, 3).await;
    refunded(&sandbox, &spray).await;
    let late = request("m", spray.window.closes.minus_ms(1), 1);
    assert_eq!(draw(&sandbox.store, &spray, &late).await, Err(NotDrawn::Over));
    assert!(bucket(&sandbox, &spray).await.draws.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_draw_is_taken_from_the_first_moment_of_the_window_up_to_its_last() {
    let sandbox = Sandbox::new(2);
    let spray = sprayed(&sandbox, 4).await;
    let (opens, closes) = (spray.window.opens, spray.window.closes);
    for (member, at, refused) in [
        ("early", opens.minus_ms(1), Some(NotDrawn::Ahead)),
        ("first", opens, None),
        ("last", closes.minus_ms(1), None),
        ("late", closes, Some(NotDrawn::Over)),
    ] {
        let answer = draw(&sandbox.store, &spray, &request(member, at, 1)).await;
        assert_eq!(answer.err(), refused, "{member}");
    }
    let members: Vec<String> =
        bucket(&sandbox, &spray).await.draws.keys().map(ToString::to_string).collect();
    assert_eq!(members, ["first", "last"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_bucket_gives_nothing_to_another_member() {
    let sandbox = Sandbox::new(3);
    let (spray, now) = (sprayed(&sandbox, 3).await, sandbox.store.now());
    for (index, member) in ["a", "b", "c"].into_iter().enumerate() {
        let won = draw(&sandbox.store, &spray, &request(member, now, 1)).await.unwrap();
        assert_eq!((won.entry.index as usize, won.part), (index, index as u64));
    }
    let full = bucket(&sandbox, &spray).await;
    let refused = draw(&sandbox.store, &spray, &request("d", now, 1)).await;
    assert_eq!(refused, Err(NotDrawn::Full));
    assert_eq!(bucket(&sandbox, &spray).await, full);
}

#[tokio::test(start_paused = true)]
async fn a_member_draws_once_and_another_request_gets_the_first_entry() {
    let sandbox = Sandbox::new(4);
    let (spray, now) = (sprayed(&sandbox, 3).await, sandbox.store.now());
    let won = draw(&sandbox.store, &spray, &request("m", now, 1)).await.unwrap();
    let before = bucket(&sandbox, &spray).await;
    // Another nonce, and another time under the same nonce.
    for again in [request("m", now, 2), request("m", now.plus_ms(1), 1)] {
        let answer = draw(&sandbox.store, &spray, &again).await;
        assert_eq!(answer, Err(NotDrawn::Already(won)));
    }
    assert_eq!(bucket(&sandbox, &spray).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_draw_whose_reply_is_lost_is_repeated_and_wins_the_first_part() {
    let sandbox = Sandbox::new(5);
    let (spray, now) = (sprayed(&sandbox, 3).await, sandbox.store.now());
    let lost = Faults::seeded(0).nth(1, Matching::operation("UpdateItem"), Fault::ReplyLost);
    sandbox.world.set_fault_hook(Some(Arc::new(lost)));
    sandbox.world.recorder().reset();
    let wish = request("m", now, 7);
    let won = draw(&sandbox.store, &spray, &wish).await.unwrap();
    assert_eq!(sandbox.world.recorder().operation(Service::DynamoDb, "UpdateItem").calls, 2);
    assert_eq!((won.entry.index, won.entry.at, won.entry.nonce), (0, now, wish.nonce));
    assert_eq!(bucket(&sandbox, &spray).await.draws.len(), 1);
}

/// The first that applies, of: this very request drew, ahead, over, already, full.
#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_first_reason_in_its_order() {
    let sandbox = Sandbox::new(6);
    let spray = sprayed(&sandbox, 1).await;
    let (opens, closes) = (spray.window.opens, spray.window.closes);
    let wish = request("m", opens, 1);
    let won = draw(&sandbox.store, &spray, &wish).await.unwrap();
    let answer = async |member: &str, at, nonce| {
        draw(&sandbox.store, &spray, &request(member, at, nonce)).await
    };
    // The bucket is full and has the member's entry.
    assert_eq!(answer("m", opens, 1).await, Ok(won));
    assert_eq!(answer("m", opens.minus_ms(1), 2).await, Err(NotDrawn::Ahead));
    assert_eq!(answer("m", closes, 2).await, Err(NotDrawn::Over));
    assert_eq!(answer("m", opens, 2).await, Err(NotDrawn::Already(won)));
    assert_eq!(answer("o", opens.minus_ms(1), 1).await, Err(NotDrawn::Ahead));
    assert_eq!(answer("o", closes, 1).await, Err(NotDrawn::Over));
    assert_eq!(answer("o", opens, 1).await, Err(NotDrawn::Full));
    // It is closed too.
    refunded(&sandbox, &spray).await;
    assert_eq!(answer("m", opens, 1).await, Ok(won), "a repeat, however late it comes");
    assert_eq!(answer("m", opens, 2).await, Err(NotDrawn::Over));
    assert_eq!(answer("m", opens.minus_ms(1), 2).await, Err(NotDrawn::Ahead));
}

#[tokio::test(start_paused = true)]
async fn a_draw_from_a_bucket_that_is_not_there_makes_none() {
    let sandbox = Sandbox::new(7);
    let (spray, now) = (sprayed(&sandbox, 3).await, sandbox.store.now());
    let beyond = BucketId { number: 1, ..first(&spray) };
    let answer = sandbox.store.draw(beyond, &request("m", now, 1)).await.unwrap();
    assert_eq!(answer, Err(NotDrawn::NoSuchBucket));
    assert_eq!(sandbox.store.buckets(spray.pool(), &[0, 1]).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn processes_that_draw_at_once_never_get_the_same_part() {
    let sandbox = Sandbox::new(8);
    let (spray, now) = (sprayed(&sandbox, 16).await, sandbox.store.now());
    let stores = [sandbox.another_process(81), sandbox.another_process(82)];
    let answers = futures::future::join_all((0..20).map(|n| {
        let (store, spray) = (stores[n % 2].clone(), spray.clone());
        async move { draw(&store, &spray, &request(&format!("m{n}"), now, 1)).await }
    }))
    .await;
    let mut parts: Vec<u64> = answers.iter().flatten().map(|won| won.part).collect();
    parts.sort_unstable();
    assert_eq!(parts, (0..16).collect::<Vec<u64>>());
    assert_eq!(answers.iter().filter(|a| **a == Err(NotDrawn::Full)).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_a_draw_wins_is_what_the_bucket_holds() {
    let sandbox = Sandbox::new(9);
    let (spray, now) = (sprayed(&sandbox, 20).await, sandbox.store.now());
    let second = BucketId { number: 1, ..first(&spray) };
    let won = sandbox.store.draw(second, &request("m", now, 3)).await.unwrap().unwrap();
    let read = buckets(&sandbox, &spray).await.remove(1);
    assert_eq!(Won::of(&read, read.draws[&user("m")]), won);
    assert_eq!((won.part, won.entry.at), (16, now));
    assert_eq!(won.amount.unwrap().get(), spray.cut().shares()[16]);
    assert_eq!(read.check(), Ok(()));
}
