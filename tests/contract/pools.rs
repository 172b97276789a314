//! Draws over a whole pool: what they cost, and that "sold out" is true.

use std::collections::BTreeSet;

use largesse_app::pool::draw::{NotWon, draw};
use largesse_app::ports::{Clock, Pools};
use largesse_aws::Store;
use largesse_domain::pool::{BucketId, Walk, bucket_count};
use largesse_domain::spray::Spray;
use largesse_emulator::Service;
use largesse_tests::{Sandbox, user};
use rstest::rstest;

use crate::scene::{balance, buckets, first, request, sprayed};

/// Draws by the member's walk.
async fn walked(store: &Store, spray: &Spray, member: &str) -> Result<u64, NotWon> {
    let request = request(member, store.now(), 1);
    let answer = draw(store, spray.pool(), spray.recipients, &request).await.unwrap();
    answer.map(|won| won.part)
}

/// How often each operation was called since the last reset.
fn calls(sandbox: &Sandbox) -> Vec<(String, u64)> {
    let operations = sandbox.world.recorder().operations();
    operations.into_iter().map(|(_, name, totals)| (name, totals.calls)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_draw_is_one_write() {
    let sandbox = Sandbox::new(1);
    let spray = sprayed(&sandbox, 40).await;
    for store in [&sandbox.store, &sandbox.another_process(11)] {
        sandbox.world.recorder().reset();
        walked(store, &spray, &format!("m{}", calls(&sandbox).len())).await.ok();
        assert_eq!(calls(&sandbox), [("UpdateItem".to_owned(), 1)]);
    }
}

#[tokio::test(start_paused = true)]
async fn sold_out_is_said_only_when_true_and_then_costs_nothing() {
    let sandbox = Sandbox::new(2);
    let spray = sprayed(&sandbox, 40).await;
    let store = &sandbox.store;
    // Each part goes to a member, the last ones too, however few buckets have room.
    let mut parts = BTreeSet::new();
    for n in 0..40 {
        // A process that has seen all draws, and one that has seen none.
        let fresh = sandbox.another_process(100 + n);
        let store = if n % 2 == 0 { store } else { &fresh };
        parts.insert(walked(store, &spray, &format!("m{n}")).await.unwrap());
    }
    assert_eq!(parts, (0..40).collect());
    assert_eq!(walked(store, &spray, "late").await, Err(NotWon::SoldOut));
    sandbox.world.recorder().reset();
    for n in 0..100 {
        let late = walked(store, &spray, &format!("late{n}")).await;
        assert_eq!(late, Err(NotWon::SoldOut));
    }
    assert_eq!(calls(&sandbox), []);
    // One who has a part hears so, by this process and by one that knows nothing.
    for store in [store, &sandbox.another_process(21)] {
        for n in 0..40 {
            let request = request(&format!("m{n}"), store.now(), 2);
            let again = draw(&**store, spray.pool(), 40, &request).await.unwrap();
            assert!(matches!(again, Err(NotWon::Already(won)) if parts.contains(&won.part)));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_knows_nothing_of_a_sold_out_pool_writes_once_and_reads_once() {
    let sandbox = Sandbox::new(3);
    let spray = sprayed(&sandbox, 40).await;
    for n in 0..40 {
        walked(&sandbox.store, &spray, &format!("m{n}")).await.unwrap();
    }
    let fresh = sandbox.another_process(31);
    sandbox.world.recorder().reset();
    assert_eq!(walked(&fresh, &spray, "late").await, Err(NotWon::SoldOut));
    let one = |name: &str| (name.to_owned(), 1);
    assert_eq!(calls(&sandbox), [one("BatchGetItem"), one("UpdateItem")]);
}

#[tokio::test(start_paused = true)]
async fn what_a_process_remembers_of_full_buckets_obeys_the_window_too() {
    let sandbox = Sandbox::new(4);
    let spray = sprayed(&sandbox, 1).await;
    let answer = async |member: &str, at, nonce| {
        let request = request(member, at, nonce);
        draw(&*sandbox.store, spray.pool(), 1, &request).await.unwrap()
    };
    let (opens, closes) = (spray.window.opens, spray.window.closes);
    let won = answer("m", opens, 1).await.unwrap();
    assert!(sandbox.store.full_bucket(first(&spray)).is_some());
    sandbox.world.recorder().reset();
    assert_eq!(answer("m", opens, 1).await, Ok(won));
    assert_eq!(answer("m", opens, 2).await, Err(NotWon::Already(won)));
    assert_eq!(answer("o", opens.minus_ms(1), 1).await, Err(NotWon::Ahead));
    assert_eq!(answer("o", closes, 1).await, Err(NotWon::Over));
    assert_eq!(answer("o", opens, 1).await, Err(NotWon::SoldOut));
    assert_eq!(calls(&sandbox), []);
}

#[tokio::test(start_paused = true)]
async fn only_a_full_bucket_is_remembered_and_a_pool_that_is_not_there_is_no_sold_out_one() {
    let sandbox = Sandbox::new(5);
    let spray = sprayed(&sandbox, 20).await;
    buckets(&sandbox, &spray).await;
    walked(&sandbox.store, &spray, "m").await.unwrap();
    for number in 0..bucket_count(20) {
        let id = BucketId { pool: spray.pool(), number };
        assert!(sandbox.store.full_bucket(id).is_none());
    }
    let nowhere = Spray { id: largesse_domain::id::SprayId(sandbox.id()), ..spray };
    assert_eq!(walked(&sandbox.store, &nowhere, "m").await, Err(NotWon::NoSuchPool));
}

/// A member's id as callers have them: a UUID.
fn uuid(n: u64) -> String {
    format!("{n:08x}-9c1b-4f7e-8d5a-{:012x}", n.wrapping_mul(0x9e37_79b9_7f4a) % (1 << 48))
}

#[rstest]
#[case::one_bucket(16)]
#[case::seven_buckets(100)]
#[tokio::test(start_paused = true)]
async fn the_draws_of_a_whole_filling_take_one_and_a_half_write_units_each(
    #[case] recipients: u32,
) {
    let sandbox = Sandbox::new(6);
    let spray = sprayed(&sandbox, recipients.into()).await;
    let recorder = sandbox.world.recorder();
    recorder.measure_units(true);
    recorder.reset();
    for n in 0..u64::from(recipients) {
        walked(&sandbox.store, &spray, &uuid(n)).await.unwrap();
    }
    let written = recorder.operation(Service::DynamoDb, "UpdateItem").write;
    assert!(buckets(&sandbox, &spray).await.iter().all(|bucket| bucket.is_full()));
    let least = f64::from(recipients);
    assert!(written >= least, "{written} units: the recorder measures");
    assert!(written <= least * 1.5, "{written} units for {recipients} draws");
    // Drawn is not yet paid.
    assert_eq!(balance(&sandbox, &uuid(0)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_member_whose_first_bucket_is_full_draws_from_the_next_of_the_walk() {
    let sandbox = Sandbox::new(7);
    let spray = sprayed(&sandbox, 40).await;
    let walk: Vec<u32> = Walk::new(&spray.pool(), &user("m"), bucket_count(40)).collect();
    let full = BucketId { pool: spray.pool(), number: walk[0] };
    let mut n = 0;
    while sandbox.store.full_bucket(full).is_none() {
        let request = request(&format!("o{n}"), sandbox.store.now(), 1);
        sandbox.store.draw(full, &request).await.unwrap().unwrap();
        n += 1;
    }
    let part = walked(&sandbox.another_process(71), &spray, "m").await.unwrap();
    assert_eq!(part, u64::from(walk[1]) * 16);
    // Another process, and the same member again: the entry is found, not a second one made.
    let again = walked(&sandbox.another_process(72), &spray, "m").await;
    assert_eq!(again, Ok(part), "the same request");
    let other = request("m", sandbox.store.now(), 2);
    let other = draw(&*sandbox.another_process(73), spray.pool(), 40, &other).await.unwrap();
    assert!(matches!(other, Err(NotWon::Already(won)) if won.part == part));
}
