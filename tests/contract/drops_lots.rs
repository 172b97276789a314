//! Entering a drop that begins with lots.

use std::time::Duration;

use largesse_app::drop::close::close;
use largesse_app::drop::create::{Create, create};
use largesse_app::drop::enter::{EnterError, Entered, enter};
use largesse_app::drop::read::detail;
use largesse_app::drop::standing::{MemberStanding, member};
use largesse_app::pool::read::buckets;
use largesse_app::ports::{DropReads, NotDrawn, Pools};
use largesse_aws::Store;
use largesse_domain::drop::Drop;
use largesse_domain::id::DropId;
use largesse_domain::pool::{Bucket, BucketId};
use largesse_emulator::Service;
use largesse_tests::{Sandbox, user};

use crate::drops::{slots, won};
use crate::scene::{balance, request};

/// A member gets a lot.
pub(crate) async fn register(store: &Store, drop: &Drop, name: &str) {
    let entered = enter(store, drop.id, user(name)).await.unwrap();
    assert_eq!(entered, Entered::Registered, "{name}");
}

/// The time for lots passes, and they are drawn.
pub(crate) async fn draw_lots(sandbox: &Sandbox, drop: &Drop) {
    tokio::time::advance(Duration::from_secs(10)).await;
    close(&*sandbox.store, drop.id).await.unwrap();
}

/// All buckets of the lots of a drop.
pub(crate) async fn lots(sandbox: &Sandbox, drop: &Drop) -> Vec<Bucket> {
    buckets(&*sandbox.store, drop.lots(), drop.lots_max()).await.unwrap()
}

async fn standing(sandbox: &Sandbox, drop: &Drop, name: &str) -> Option<MemberStanding> {
    member(&*sandbox.store, drop.id, &user(name)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn lots_are_taken_from_the_first_millisecond_to_the_last_of_their_time() {
    let sandbox = Sandbox::new(1);
    let drop = sandbox.open_shuffled_drop(8, 0).await;
    let at = |ms: i64| sandbox.skewed_process(10, ms);
    let early = enter(&*at(-1), drop.id, user("early")).await;
    let opens = drop.window.opens;
    assert!(matches!(early, Err(EnterError::NotOpen { opens: o, .. }) if o == opens));
    register(&at(0), &drop, "first").await;
    register(&at(9_999), &drop, "last").await;
    let late = enter(&*at(10_000), drop.id, user("late")).await;
    assert!(matches!(late, Err(EnterError::Shuffling)), "{late:?}");
    // The bucket decides by its own times, whatever a process believes.
    let id = BucketId { pool: drop.lots(), number: 0 };
    for (ms, expected) in [(-1, NotDrawn::Ahead), (10_000, NotDrawn::Over)] {
        let at = largesse_domain::time::Timestamp::from_ms(opens.ms() + ms);
        let answer = sandbox.store.draw(id, &request("odd", at, 1)).await.unwrap();
        assert_eq!(answer, Err(expected));
    }
    let taken: u32 = lots(&sandbox, &drop).await.iter().map(|bucket| bucket.taken).sum();
    assert_eq!(taken, 2);
}

#[tokio::test(start_paused = true)]
async fn a_member_gets_one_lot() {
    let sandbox = Sandbox::new(2);
    let drop = sandbox.open_shuffled_drop(8, 0).await;
    // A hundred requests of one member at once, from four processes.
    let stores: Vec<_> = (0..4).map(|n| sandbox.another_process(20 + n)).collect();
    let requests = (0..100).map(|n| enter(&*stores[n % 4], drop.id, user("a")));
    for answer in futures::future::join_all(requests).await {
        assert_eq!(answer.unwrap(), Entered::Registered);
    }
    let taken: u32 = lots(&sandbox, &drop).await.iter().map(|bucket| bucket.taken).sum();
    assert_eq!(taken, 1);
}

#[tokio::test(start_paused = true)]
async fn a_bucket_gives_nothing_before_its_lots_are_drawn() {
    let sandbox = Sandbox::new(3);
    let drop = sandbox.open_shuffled_drop(3, 3).await;
    for pool in [drop.pool(), drop.list()] {
        for at in [drop.window.opens, drop.giving().opens, drop.window.closes.minus_ms(1)] {
            let id = BucketId { pool, number: 0 };
            let answer = sandbox.store.draw(id, &request("m", at, 1)).await.unwrap();
            assert_eq!(answer, Err(NotDrawn::Ahead));
        }
    }
    draw_lots(&sandbox, &drop).await;
    assert_eq!(won(&sandbox.store, &drop, "m").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_process_whose_clock_is_behind_adds_no_lot_to_those_that_are_drawn() {
    let sandbox = Sandbox::new(4);
    let drop = sandbox.open_shuffled_drop(2, 0).await;
    register(&sandbox.store, &drop, "a").await;
    let behind = sandbox.skewed_process(40, -5_000);
    draw_lots(&sandbox, &drop).await;
    let before = lots(&sandbox, &drop).await;
    let late = enter(&*behind, drop.id, user("late")).await;
    assert!(matches!(late, Err(EnterError::Shuffling)), "{late:?}");
    assert_eq!(lots(&sandbox, &drop).await, before);
    tokio::time::advance(Duration::from_secs(5)).await;
    assert_eq!(won(&behind, &drop, "late").await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_enters_while_the_lots_are_drawn_costs_one_write_a_second() {
    let sandbox = Sandbox::new(5);
    let drop = sandbox.open_shuffled_drop(100, 0).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let recorder = sandbox.world.recorder();
    let process = sandbox.another_process(50);
    for second in 0..3 {
        recorder.reset();
        for n in 0..20 {
            let early = enter(&*process, drop.id, user(&format!("m{n}"))).await;
            assert!(matches!(early, Err(EnterError::Shuffling)));
        }
        let writes = recorder.operation(Service::DynamoDb, "UpdateItem").calls;
        assert_eq!((writes, recorder.total().calls), (1, 1 + u64::from(second == 0)));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    close(&*sandbox.store, drop.id).await.unwrap();
    let entered = enter(&*process, drop.id, user("m0")).await.unwrap();
    assert!(matches!(entered, Entered::Won { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_member_who_finds_all_lots_taken_costs_no_write_and_misses_no_slot() {
    let sandbox = Sandbox::new(6);
    let drop = sandbox.open_shuffled_drop(1, 1).await;
    assert_eq!(drop.lots_max(), 1_000);
    let recorder = sandbox.world.recorder();
    for n in 0..1_000 {
        if n == 1 {
            recorder.reset();
        }
        register(&sandbox.store, &drop, &format!("m{n}")).await;
        if n == 10 {
            let writes = recorder.operation(Service::DynamoDb, "UpdateItem").calls;
            assert_eq!((writes, recorder.total().calls), (10, 10), "a lot is one write");
        }
    }
    recorder.reset();
    let refused = enter(&*sandbox.store, drop.id, user("late")).await;
    assert!(matches!(refused, Err(EnterError::NoLotLeft)), "{refused:?}");
    register(&sandbox.store, &drop, "m7").await;
    assert_eq!(recorder.total().calls, 0, "this process has seen all lots taken");
    draw_lots(&sandbox, &drop).await;
    let sold_out = enter(&*sandbox.store, drop.id, user("late")).await;
    assert!(matches!(sold_out, Err(EnterError::SoldOut)), "{sold_out:?}");
    let seen = detail(&*sandbox.store, drop.id).await.unwrap().unwrap().figures;
    assert_eq!((seen.lots, seen.taken, seen.waiting), (1_000, 1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_member_reads_what_became_of_the_lot() {
    let sandbox = Sandbox::new(7);
    let drop = sandbox.open_shuffled_drop(1, 1).await;
    for name in ["a", "b", "c"] {
        register(&sandbox.store, &drop, name).await;
    }
    // Before and after the time for lots, and nothing of one who has not entered.
    for seconds in [0, 10] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        assert_eq!(standing(&sandbox, &drop, "a").await, Some(MemberStanding::Registered));
        assert_eq!(standing(&sandbox, &drop, "x").await, None);
    }
    close(&*sandbox.store, drop.id).await.unwrap();
    let mut told = Vec::new();
    for name in ["a", "b", "c"] {
        told.push(standing(&sandbox, &drop, name).await.unwrap());
    }
    let count = |of: fn(&MemberStanding) -> bool| told.iter().filter(|told| of(told)).count();
    assert_eq!(count(|told| matches!(told, MemberStanding::Won { slot: 1, .. })), 1, "{told:?}");
    assert_eq!(count(|told| matches!(told, MemberStanding::Waiting { position: 1 })), 1);
    assert_eq!(count(|told| matches!(told, MemberStanding::NotDrawn)), 1);
    assert_eq!(standing(&sandbox, &drop, "x").await, None);
    // Who enters again hears of what they have, or that nothing is left.
    for (name, told) in ["a", "b", "c"].into_iter().zip(told) {
        let again = enter(&*sandbox.store, drop.id, user(name)).await;
        match told {
            MemberStanding::Won { slot, .. } => {
                assert!(matches!(again, Err(EnterError::Already { slot: s }) if s == slot));
            }
            MemberStanding::Waiting { .. } => {
                assert_eq!(again.unwrap(), Entered::Waiting { position: Some(1) });
            }
            _ => assert!(matches!(again, Err(EnterError::SoldOut)), "{again:?}"),
        }
    }
}

/// What is left is first come, first served, and what a lot has got is nobody else's.
#[tokio::test(start_paused = true)]
async fn members_who_come_after_the_lots_take_what_is_left() {
    let sandbox = Sandbox::new(8);
    let drop = sandbox.open_shuffled_drop(40, 2).await;
    for n in 0..30 {
        register(&sandbox.store, &drop, &format!("m{n}")).await;
    }
    draw_lots(&sandbox, &drop).await;
    let drawn = slots(&sandbox, &drop).await;
    assert_eq!(drawn.iter().map(|bucket| bucket.draws.len()).sum::<usize>(), 30);
    for n in 0..10 {
        won(&sandbox.store, &drop, &format!("late{n}")).await;
    }
    for (before, after) in drawn.iter().zip(slots(&sandbox, &drop).await) {
        assert_eq!(after.check(), Ok(()));
        for (member, entry) in &before.draws {
            assert_eq!(after.draws.get(member), Some(entry));
        }
    }
    for position in 1..=2 {
        let waits = enter(&*sandbox.store, drop.id, user(&format!("w{position}"))).await.unwrap();
        assert_eq!(waits, Entered::Waiting { position: Some(position) });
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    let sold_out = enter(&*sandbox.store, drop.id, user("x")).await;
    assert!(matches!(sold_out, Err(EnterError::SoldOut)));
}

/// Two runs under one id, each with a seed of its own: the drop has the seed of one of them.
#[tokio::test(start_paused = true)]
async fn a_drop_with_lots_is_made_once_under_one_seed() {
    let sandbox = Sandbox::new(9);
    sandbox.deposit("f", 500).await;
    let terms = sandbox.drop_terms(20, 0).with_shuffle(10).unwrap();
    let wish = Create { id: DropId(sandbox.id()), funder: user("f"), terms };
    let (p, q) = (sandbox.another_process(90), sandbox.another_process(91));
    let made = futures::future::join(create(&*p, wish.clone()), create(&*q, wish.clone())).await;
    let (first, second) = (made.0.unwrap().drop, made.1.unwrap().drop);
    assert_eq!(first, second);
    assert_eq!(create(&*sandbox.store, wish).await.unwrap().drop, first);
    let stored = sandbox.store.drop_record(first.id).await.unwrap().unwrap();
    assert_eq!((stored.drop, balance(&sandbox, "f").await), (first, 300));
}
