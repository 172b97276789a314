//! The lots of a drop, whose processes are killed at every await and lose every reply, while members who
//! come late enter: each slot and each place goes to one member, as the seed says.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use largesse_app::drop::close;
use largesse_app::drop::enter::{EnterError, Entered, enter};
use largesse_app::drop::read::read_list;
use largesse_app::pool::read::buckets;
use largesse_app::ports::{Clock, DropReads, Pause};
use largesse_aws::Store;
use largesse_domain::drop::{Drop, Shuffled};
use largesse_domain::id::UserId;
use largesse_domain::ledger::TransferKind;
use largesse_domain::money::BALANCE_MAX;
use largesse_domain::pool::Bucket;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::kill::kill_at;
use largesse_tests::user;

use crate::drops::wind_up;
use crate::kill::for_every_await;
use crate::lost::{LOSING, for_every_call};
use crate::rig::{Distance, Kill, Rig};

/// What the lots of these members get.
fn shuffled(drop: &Drop, lots: &[String]) -> Shuffled {
    drop.shuffled(lots.iter().map(|name| user(name))).unwrap()
}

async fn is_drawn(store: &Store, drop: &Drop) -> bool {
    store.drop_record(drop.id).await.unwrap().unwrap().drawn.is_some()
}

async fn slots(rig: &Rig, drop: &Drop) -> Vec<Bucket> {
    buckets(&*rig.sandbox.another_process(90), drop.pool(), drop.slots).await.unwrap()
}

fn entries(buckets: &[Bucket]) -> usize {
    buckets.iter().map(|bucket| bucket.draws.len()).sum()
}

/// Each lot has what the seed gives it, and nothing else; others have what is left.
async fn assert_as_the_seed_says(rig: &Rig, drop: &Drop, lots: &[String]) {
    let (expected, slots) = (shuffled(drop, lots), slots(rig, drop).await);
    let places = buckets(&*rig.sandbox.store, drop.list(), drop.waiting).await.unwrap();
    let lots: BTreeSet<UserId> = lots.iter().map(|name| user(name)).collect();
    for (found, expected) in
        slots.iter().zip(&expected.slots).chain(places.iter().zip(&expected.places))
    {
        assert_eq!(found.check(), Ok(()));
        let of_lots = found.draws.iter().filter(|(member, _)| lots.contains(member));
        assert!(of_lots.eq(expected.draws.iter()), "{:?}", found.id);
    }
}

/// Two slots and a place, and lots of four members, of whom the time is over.
async fn scene(rig: &Rig) -> (Drop, Vec<String>) {
    let drop = rig.sandbox.open_shuffled_drop(2, 1).await;
    let lots: Vec<String> = ["a", "b", "c", "d"].map(ToOwned::to_owned).to_vec();
    for name in &lots {
        enter(&*rig.sandbox.store, drop.id, user(name)).await.unwrap();
    }
    tokio::time::advance(Duration::from_secs(10)).await;
    (drop, lots)
}

async fn assert_drawn_and_paid(rig: &Rig, drop: &Drop, lots: &[String]) {
    assert!(is_drawn(&rig.sandbox.store, drop).await);
    assert_as_the_seed_says(rig, drop, lots).await;
    rig.pay().await;
    let late = enter(&*rig.sandbox.store, drop.id, user("late")).await;
    assert!(matches!(late, Err(EnterError::SoldOut)), "{late:?}");
    assert_eq!(wind_up(rig, drop).await, 0);
    rig.assert_all_paid();
    assert_eq!(rig.transfers(TransferKind::Claim), 2);
}

#[tokio::test(start_paused = true)]
async fn a_shuffle_that_is_killed_at_any_await_is_finished_by_the_next_run() {
    for_every_await(5, async |k| {
        let rig = Rig::new(1, Kill::default());
        let (drop, lots) = scene(&rig).await;
        let killed = rig.sandbox.another_process(7);
        let first = kill_at(k, close::close(&*killed, drop.id)).await;
        close::close(&*rig.sandbox.another_process(8), drop.id).await.unwrap();
        assert_drawn_and_paid(&rig, &drop, &lots).await;
        first.is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shuffle_survives_the_loss_of_any_reply() {
    for plan in LOSING {
        for_every_call(
            plan,
            10,
            async |rig| scene(rig).await,
            async |rig, (drop, _)| {
                for _ in 0..3 {
                    if close::close(&*rig.sandbox.store, drop.id).await.is_ok() {
                        return;
                    }
                }
                panic!("the lots are not drawn");
            },
            async |rig, (drop, lots)| assert_drawn_and_paid(rig, &drop, &lots).await,
        )
        .await;
    }
}

/// A process loses replies while it enters members: each of them has one lot.
#[tokio::test(start_paused = true)]
async fn a_lot_whose_reply_is_lost_is_one_lot() {
    for plan in LOSING {
        for_every_call(
            plan,
            4,
            async |rig| rig.sandbox.open_shuffled_drop(2, 1).await,
            async |rig, drop| {
                for name in ["a", "b", "c"] {
                    insist(&rig.sandbox.store, drop, name).await;
                }
            },
            async |rig, drop| {
                let lots = ["a", "b", "c"].map(ToOwned::to_owned);
                tokio::time::advance(Duration::from_secs(10)).await;
                close::close(&*rig.sandbox.store, drop.id).await.unwrap();
                let record = rig.sandbox.store.drop_record(drop.id).await.unwrap().unwrap();
                assert_eq!(record.drawn.map(|drawn| drawn.lots), Some(3));
                assert_drawn_and_paid(rig, &drop, &lots).await;
            },
        )
        .await;
    }
}

/// Gets a lot, however often the request has to be sent.
async fn insist(store: &Store, drop: &Drop, name: &str) {
    for _ in 0..8 {
        match enter(store, drop.id, user(name)).await {
            Ok(Entered::Registered) => return,
            Err(EnterError::Port(_)) => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    panic!("{name}: no answer");
}

/// What the members heard who entered while the lots were drawn, and after it.
#[derive(Default)]
struct Late {
    won: BTreeSet<u64>,
    waiting: usize,
    sold_out: usize,
}

/// Members enter one after the other, each until there is an answer.
async fn enter_late(
    store: &Store,
    drop: &Drop,
    names: &RefCell<Vec<String>>,
    late: &RefCell<Late>,
) {
    loop {
        let Some(name) = names.borrow_mut().pop() else { return };
        match enter(store, drop.id, user(&name)).await {
            // Those who were killed or lost a reply enter again.
            Err(EnterError::Shuffling | EnterError::Port(_)) => {
                names.borrow_mut().insert(0, name);
                store.pause_ms(1_100).await;
            }
            Ok(Entered::Won { slot, .. }) | Err(EnterError::Already { slot }) => {
                assert!(late.borrow_mut().won.insert(slot), "{slot}");
            }
            Ok(Entered::Waiting { .. }) => late.borrow_mut().waiting += 1,
            Err(EnterError::SoldOut) => late.borrow_mut().sold_out += 1,
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Runs that are each killed one await later than the one before, until one ends.
async fn draw_and_kill(rig: &Rig, drop: &Drop) -> usize {
    for k in 1..2_000 {
        let killed = rig.sandbox.another_process(1_000 + k as u64);
        if kill_at(k, close::close(&*killed, drop.id)).await.is_some_and(|run| run.is_ok()) {
            return k;
        }
    }
    panic!("the lots are never drawn");
}

/// A hundred slots and ten places. Lots are taken by sixteen processes at once; then replies are lost, runs
/// are killed, and forty members come late.
async fn play(seed: u64, lots: usize) -> (Rig, Drop, Vec<String>, Late) {
    let rig = Rig::new(seed, Kill::default());
    let drop = rig.sandbox.open_shuffled_drop(100, 10).await;
    let stores: Vec<_> = (0..16).map(|n| rig.sandbox.another_process(100 + n)).collect();
    let names: Vec<String> = (0..lots).map(|n| format!("m{n}")).collect();
    rig.sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(2))));
    let requests: Vec<_> = names
        .iter()
        .enumerate()
        .map(async |(n, name)| insist(&stores[n % stores.len()], &drop, name).await)
        .collect();
    futures::stream::iter(requests).buffer_unordered(64).collect::<Vec<()>>().await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let losing = Faults::seeded(seed).chance(20, Matching::any(), Fault::ReplyLost).chance(
        500,
        Matching::any(),
        Fault::DelayRequest(Duration::from_millis(2)),
    );
    rig.sandbox.world.set_fault_hook(Some(Arc::new(losing)));
    let coming = RefCell::new((0..40).map(|n| format!("late{n}")).collect());
    let late = RefCell::new(Late::default());
    let enters = stores[..4].iter().map(|store| enter_late(store, &drop, &coming, &late));
    let enters = futures::future::join_all(enters);
    let (_, killed) = futures::future::join(enters, draw_and_kill(&rig, &drop)).await;
    assert!(killed > 20, "killed only {killed} times");
    rig.sandbox.world.set_fault_hook(None);
    assert!(is_drawn(&rig.sandbox.store, &drop).await);
    assert_as_the_seed_says(&rig, &drop, &names).await;
    (rig, drop, names, late.into_inner())
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_lots_and_of_late_members_gets_every_slot_and_place_once() {
    // More lots than slots and places; and fewer than slots.
    for (seed, lots) in [(1, 1_000), (2, 80)] {
        let (rig, drop, _, late) = play(seed, lots).await;
        let left = 100_usize.saturating_sub(lots);
        let waiting = if left > 0 { 10 } else { 0 };
        assert_eq!((late.won.len(), late.waiting), (left, waiting));
        assert_eq!(late.sold_out, 40 - left - waiting);
        let slots = slots(&rig, &drop).await;
        let numbers = slots.iter().flat_map(|b| b.draws.values().map(|e| b.part(e.index)));
        let numbers: BTreeSet<u64> = numbers.collect();
        assert_eq!((numbers, entries(&slots)), ((0..100).collect(), 100));
        let list = read_list(&*rig.sandbox.store, &drop).await.unwrap();
        assert_eq!(list.waiting(), 10);
        rig.pay().await;
        assert_eq!(wind_up(&rig, &drop).await, 0);
        rig.assert_all_paid();
        assert_eq!(rig.transfers(TransferKind::Claim), 100);
    }
}

#[tokio::test(start_paused = true)]
async fn the_places_of_lots_are_served_by_rank() {
    let (rig, drop, lots, _) = play(3, 200).await;
    let mut places: Vec<_> = Vec::new();
    for bucket in shuffled(&drop, &lots).places {
        places.extend(bucket.draws.into_iter().map(|(member, entry)| (entry.nonce, member)));
    }
    places.sort_unstable();
    let ranked: Vec<UserId> = places.into_iter().map(|(_, member)| member).collect();
    let list = read_list(&*rig.sandbox.store, &drop).await.unwrap();
    let order: Vec<UserId> = list.candidates().map(|place| place.member.clone()).collect();
    assert_eq!((order.len(), &order), (10, &ranked));
    // Three payments fail for good: the slots go to the first three.
    let winners = slots(&rig, &drop).await;
    let failing: Vec<String> =
        winners.iter().take(3).map(|b| b.draws.keys().next().unwrap().to_string()).collect();
    for name in &failing {
        rig.sandbox.deposit(name, 1).await;
        rig.sandbox.overwrite_balance(name, BALANCE_MAX).await;
    }
    rig.pay().await;
    for name in &failing {
        rig.sandbox.overwrite_balance(name, 1).await;
    }
    let list = read_list(&*rig.sandbox.store, &drop).await.unwrap();
    let promoted: BTreeSet<UserId> = list.promoted().map(|place| place.member.clone()).collect();
    assert_eq!(promoted, ranked[..3].iter().cloned().collect());
    assert_eq!(wind_up(&rig, &drop).await, 0);
    assert_eq!(rig.transfers(TransferKind::Claim), 100);
    assert!(rig.sandbox.store.now() > drop.window.closes);
}
