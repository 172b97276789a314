//! Drops: making and entering them. One test for each clause of the conditions.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::drop::create::{Create, CreateError, create};
use largesse_app::drop::enter::{EnterError, Entered, enter};
use largesse_app::ports::{DropReads, DropsMade, Once, Pools};
use largesse_aws::Store;
use largesse_domain::drop::Drop;
use largesse_domain::id::DropId;
use largesse_domain::ledger::PostRefused;
use largesse_domain::pool::{Bucket, BucketId};
use largesse_domain::split::Seed;
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::{Sandbox, user};

use crate::scene::{Table, balance, key, request};

/// The slot that a member wins.
pub(crate) async fn won(store: &Store, drop: &Drop, name: &str) -> u64 {
    match enter(store, drop.id, user(name)).await.unwrap() {
        Entered::Won { slot, .. } => slot,
        other => panic!("{name}: {other:?}"),
    }
}

/// All buckets of the slots of a drop.
pub(crate) async fn slots(sandbox: &Sandbox, drop: &Drop) -> Vec<Bucket> {
    largesse_app::pool::read::buckets(&*sandbox.store, drop.pool(), drop.slots).await.unwrap()
}

fn wish(sandbox: &Sandbox, slots: u64) -> Create {
    let terms = sandbox.drop_terms(slots, 0);
    Create { id: DropId(sandbox.id()), funder: user("f"), terms }
}

#[tokio::test(start_paused = true)]
async fn a_drop_is_made_once_whatever_is_repeated() {
    let sandbox = Sandbox::new(1);
    // As much as the drop costs: a repeat finds an empty wallet.
    sandbox.deposit("f", 200).await;
    let wish = wish(&sandbox, 20);
    let first = create(&*sandbox.store, wish.clone()).await.unwrap().drop;
    won(&sandbox.store, &first, "a").await;
    let before = slots(&sandbox, &first).await;
    let again = create(&*sandbox.another_process(2), wish).await.unwrap().drop;
    assert_eq!((&again, balance(&sandbox, "f").await), (&first, 0));
    // A run that was thought dead goes on: it wipes no draw, and makes no second drop.
    sandbox.store.put_buckets(&first.buckets()).await.unwrap();
    assert_eq!(slots(&sandbox, &first).await, before);
    let order = first.funding_order().unwrap();
    let made = sandbox.store.create_drop(&first, &order).await.unwrap();
    assert_eq!((made, balance(&sandbox, "f").await), (Ok(Once::Before(first)), 0));
}

#[tokio::test(start_paused = true)]
async fn a_drop_that_cannot_be_paid_for_is_not_made() {
    let sandbox = Sandbox::new(2);
    sandbox.deposit("f", 199).await;
    let wish = wish(&sandbox, 20);
    let refused = create(&*sandbox.store, wish.clone()).await;
    assert!(matches!(refused, Err(CreateError::Insufficient { balance }) if balance.get() == 199));
    let written = sandbox.world.recorder().operation(Service::DynamoDb, "PutItem").calls;
    assert_eq!(written, 0, "no bucket is written for it");
    // The money is spent after it was seen: then the buckets stand, and no member sees them.
    let drop = Drop::new(wish.id, wish.funder, wish.terms, || Seed([0; 32]));
    sandbox.store.put_buckets(&drop.buckets()).await.unwrap();
    let order = drop.funding_order().unwrap();
    let refused = sandbox.store.create_drop(&drop, &order).await.unwrap();
    assert!(matches!(refused, Err(PostRefused::Insufficient { .. })));
    assert_eq!(sandbox.store.drop_record(drop.id).await.unwrap(), None);
    let unseen = enter(&*sandbox.store, drop.id, user("a")).await;
    assert!(matches!(unseen, Err(EnterError::NotFound)));
}

/// Row D6.
#[tokio::test(start_paused = true)]
async fn a_member_enters_once() {
    let sandbox = Sandbox::new(3);
    let drop = sandbox.open_drop(40, 0).await;
    // Two hundred requests of one member at once, from four processes.
    let stores: Vec<_> = (0..4).map(|n| sandbox.another_process(30 + n)).collect();
    let requests = (0..200).map(|n| enter(&*stores[n % 4], drop.id, user("a")));
    let answers = futures::future::join_all(requests).await;
    let (mut wins, mut heard) = (0, Vec::new());
    for answer in answers {
        match answer {
            Ok(Entered::Won { slot, .. }) => {
                wins += 1;
                heard.push(slot);
            }
            Err(EnterError::Already { slot }) => heard.push(slot),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((wins, heard.len()), (1, 200));
    assert!(heard.iter().all(|slot| *slot == heard[0]));
    let taken: u32 = slots(&sandbox, &drop).await.iter().map(|bucket| bucket.taken).sum();
    assert_eq!(taken, 1);
}

#[tokio::test(start_paused = true)]
async fn a_drop_is_open_from_its_first_millisecond_to_its_last() {
    let sandbox = Sandbox::new(4);
    let drop = sandbox.open_drop(8, 0).await;
    let at = |ms: i64| sandbox.skewed_process(40, ms);
    let early = enter(&*at(-1), drop.id, user("early")).await;
    let opens = drop.window.opens;
    assert!(matches!(early, Err(EnterError::NotOpen { opens: o, .. }) if o == opens));
    won(&at(0), &drop, "first").await;
    won(&at(599_999), &drop, "last").await;
    let late = enter(&*at(600_000), drop.id, user("late")).await;
    assert!(matches!(late, Err(EnterError::Over)));
    // A crowd that is early or late costs no write.
    let recorder = sandbox.world.recorder();
    recorder.reset();
    for ms in [-1, 600_000] {
        enter(&*at(ms), drop.id, user("crowd")).await.unwrap_err();
    }
    assert_eq!(recorder.operation(Service::DynamoDb, "UpdateItem").calls, 0);
    // The bucket decides by its own times, whatever a process believes.
    let id = BucketId { pool: drop.pool(), number: 0 };
    for at in [drop.window.opens.minus_ms(1), drop.window.closes] {
        assert!(sandbox.store.draw(id, &request("odd", at, 1)).await.unwrap().is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_loser_costs_no_write_once_a_process_knows_the_drop_is_full() {
    let sandbox = Sandbox::new(5);
    let drop = sandbox.open_drop(1_700, 20).await;
    for n in 0..1_720 {
        enter(&*sandbox.store, drop.id, user(&format!("m{n}"))).await.unwrap();
    }
    let process = sandbox.another_process(50);
    let recorder = sandbox.world.recorder();
    let count = |operation: &str| recorder.operation(Service::DynamoDb, operation).calls;
    recorder.reset();
    let sold_out = enter(&*process, drop.id, user("x")).await;
    assert!(matches!(sold_out, Err(EnterError::SoldOut)));
    // One write in vain for each of the two pools; the other 107 buckets are read, a hundred at once.
    assert_eq!((count("UpdateItem"), count("BatchGetItem")), (2, 3));
    recorder.reset();
    for name in ["x", "y", "z"] {
        let sold_out = enter(&*process, drop.id, user(name)).await;
        assert!(matches!(sold_out, Err(EnterError::SoldOut)));
    }
    assert_eq!(recorder.total().calls, 0);
    // Those with a slot or a place are told so, without a write.
    let already = enter(&*process, drop.id, user("m0")).await;
    assert!(matches!(already, Err(EnterError::Already { .. })));
    assert_eq!(count("UpdateItem"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_restored_bucket_that_is_missing_is_no_end_of_the_drop() {
    let sandbox = Sandbox::new(6);
    let drop = sandbox.open_drop(1, 0).await;
    let (pools, bucket) = (Table::of(&sandbox, "pools"), key(format!("{}#0", drop.pool())));
    let honest = pools.get(&bucket).await.unwrap();
    pools.delete(&bucket).await;
    let answer = enter(&*sandbox.store, drop.id, user("a")).await;
    assert!(matches!(answer, Err(EnterError::Port(_))), "{answer:?}");
    pools.put(honest).await;
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(won(&sandbox.store, &drop, "a").await, 1);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_is_too_cold_for_the_buckets_gets_them_all_the_same() {
    let sandbox = Sandbox::new(7);
    sandbox.deposit("f", 20_000).await;
    // Half of the calls are throttled: five attempts in a row of one in 32 buckets.
    let throttled = Faults::seeded(7).chance(500, Matching::operation("PutItem"), Fault::Throttle);
    sandbox.world.set_fault_hook(Some(Arc::new(throttled)));
    let made = create(&*sandbox.store, wish(&sandbox, 2_000)).await;
    sandbox.world.set_fault_hook(None);
    let drop = made.unwrap().drop;
    assert_eq!(slots(&sandbox, &drop).await.len(), 125);
}
