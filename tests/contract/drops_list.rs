//! The waiting list of a drop, and the slots that are passed on. One test for each clause of the
//! conditions.

use std::time::Duration;

use largesse_app::drop::enter::{EnterError, Entered, enter};
use largesse_app::drop::promote::{PassedOn, pass_on};
use largesse_app::drop::read::{detail, read_list};
use largesse_app::drop::standing::{MemberStanding, Owned, member, owned};
use largesse_app::pool::sweep;
use largesse_app::ports::{Clock, Grants, Money, Pools, Promoted, Promotions, Standing};
use largesse_domain::drop::{Drop, Place};
use largesse_domain::grant::{FailedGrant, Grant, GrantStatus};
use largesse_tests::{Sandbox, user};
use rstest::rstest;

use crate::drops::{slots, won};
use crate::scene::{Table, given_up, key, n};

/// A drop of that many slots, all taken by `a0`, `a1` …, with those who wait.
pub(crate) async fn sold_out(sandbox: &Sandbox, slots: u64, waiting: &[&str]) -> Drop {
    let drop = sandbox.open_drop(slots, slots.min(8)).await;
    for n in 0..slots {
        won(&sandbox.store, &drop, &format!("a{n}")).await;
    }
    for name in waiting {
        waits(sandbox, &drop, name).await;
    }
    drop
}

/// A member takes a place, a millisecond after what was before.
async fn waits(sandbox: &Sandbox, drop: &Drop, name: &str) {
    tokio::time::advance(Duration::from_millis(1)).await;
    let entered = enter(&*sandbox.store, drop.id, user(name)).await.unwrap();
    assert!(matches!(entered, Entered::Waiting { .. }), "{name}: {entered:?}");
}

/// The duty to pay the slot that a member drew.
async fn grant_of(sandbox: &Sandbox, drop: &Drop, name: &str) -> Grant {
    let buckets = slots(sandbox, drop).await;
    let entry = |bucket: &largesse_domain::pool::Bucket| {
        bucket.draws.get(&user(name)).and_then(|entry| bucket.grant(&user(name), *entry))
    };
    buckets.iter().find_map(entry).unwrap()
}

pub(crate) async fn failed(sandbox: &Sandbox, drop: &Drop, name: &str) -> FailedGrant {
    given_up(sandbox, &grant_of(sandbox, drop, name).await).await
}

async fn first_place(sandbox: &Sandbox, drop: &Drop) -> Place {
    let list = read_list(&*sandbox.store, drop).await.unwrap();
    list.candidates().next().unwrap().clone()
}

async fn promote(sandbox: &Sandbox, drop: &Drop, failed: &FailedGrant, place: &Place) -> Promoted {
    let now = sandbox.store.now();
    sandbox.store.promote(drop, failed, 0, place, now).await.unwrap()
}

/// Who has which slot, from 1, as each of them is told.
async fn told(sandbox: &Sandbox, drop: &Drop, name: &str) -> Option<MemberStanding> {
    member(&*sandbox.store, drop.id, &user(name)).await.unwrap()
}

fn slot_of(standing: Option<MemberStanding>) -> u64 {
    match standing {
        Some(MemberStanding::Won { slot, .. }) => slot,
        other => panic!("{other:?}"),
    }
}

/// Row D9.
#[tokio::test(start_paused = true)]
async fn slots_that_come_back_go_to_the_oldest_one_at_a_time_and_together() {
    let sandbox = Sandbox::new(1);
    let drop = sold_out(&sandbox, 4, &["w0", "w1", "w2", "w3"]).await;
    let first = failed(&sandbox, &drop, "a0").await;
    assert_eq!(pass_on(&*sandbox.store, &first).await.unwrap(), PassedOn::Now);
    assert_eq!(slot_of(told(&sandbox, &drop, "w0").await), 1);
    assert_eq!(told(&sandbox, &drop, "a0").await, Some(MemberStanding::Lost));
    let position = MemberStanding::Waiting { position: 1 };
    assert_eq!(told(&sandbox, &drop, "w1").await, Some(position));
    // Two at once, by two processes.
    let (a1, a2) = (failed(&sandbox, &drop, "a1").await, failed(&sandbox, &drop, "a2").await);
    let (p, q) = (sandbox.another_process(11), sandbox.another_process(12));
    let both = futures::future::join(pass_on(&*p, &a1), pass_on(&*q, &a2)).await;
    assert_eq!((both.0.unwrap(), both.1.unwrap()), (PassedOn::Now, PassedOn::Now));
    let mut passed = vec![
        slot_of(told(&sandbox, &drop, "w1").await),
        slot_of(told(&sandbox, &drop, "w2").await),
    ];
    passed.sort_unstable();
    assert_eq!(passed, [2, 3]);
    assert_eq!(told(&sandbox, &drop, "w3").await, Some(position));
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_was_passed_on_is_passed_on_again_when_that_payment_fails_too() {
    let sandbox = Sandbox::new(2);
    let drop = sold_out(&sandbox, 2, &["w0", "w1"]).await;
    let a1 = failed(&sandbox, &drop, "a1").await;
    assert_eq!(pass_on(&*sandbox.store, &a1).await.unwrap(), PassedOn::Now);
    let place = read_list(&*sandbox.store, &drop).await.unwrap();
    let place = place.promoted().next().unwrap().clone();
    let bucket = drop.promotion(&place, sandbox.store.now()).id;
    let bucket = sandbox.store.buckets(bucket.pool, &[bucket.number]).await.unwrap().remove(0);
    let grant = bucket.grant(&user("w0"), bucket.draws[&user("w0")]).unwrap();
    let w0 = given_up(&sandbox, &grant).await;
    assert_eq!(pass_on(&*sandbox.store, &w0).await.unwrap(), PassedOn::Now);
    assert_eq!(slot_of(told(&sandbox, &drop, "w1").await), 2);
    assert_eq!(told(&sandbox, &drop, "w0").await, Some(MemberStanding::Lost));
    // Then nobody waits.
    let a0 = failed(&sandbox, &drop, "a0").await;
    assert_eq!(pass_on(&*sandbox.store, &a0).await.unwrap(), PassedOn::NobodyWaits);
    let standing = sandbox.store.lookup(std::slice::from_ref(&a0.grant)).await.unwrap();
    assert_eq!(standing, [Standing::NotPaid], "an operator may still have it paid");
}

#[tokio::test(start_paused = true)]
async fn a_slot_is_passed_on_once_however_often_it_is_tried() {
    let sandbox = Sandbox::new(3);
    let drop = sold_out(&sandbox, 2, &["w0", "w1"]).await;
    let a0 = failed(&sandbox, &drop, "a0").await;
    let stores: Vec<_> = (0..8).map(|n| sandbox.another_process(30 + n)).collect();
    let tries = stores.iter().map(|store| pass_on(&**store, &a0));
    for outcome in futures::future::join_all(tries).await {
        // In the same millisecond they are one transaction to the store, which each of them has made.
        assert!(matches!(outcome, Ok(PassedOn::Now | PassedOn::NotGivenUp)), "{outcome:?}");
    }
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(pass_on(&*sandbox.store, &a0).await.unwrap(), PassedOn::NotGivenUp);
    let list = read_list(&*sandbox.store, &drop).await.unwrap();
    assert_eq!((list.promoted().count(), list.waiting()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_was_paid_is_not_passed_on() {
    let sandbox = Sandbox::new(4);
    let drop = sold_out(&sandbox, 1, &["w0"]).await;
    let a0 = failed(&sandbox, &drop, "a0").await;
    // A message that came again has paid it, and its item is not gone yet.
    sandbox.store.pay(std::slice::from_ref(&a0.grant)).await;
    let place = first_place(&sandbox, &drop).await;
    assert_eq!(promote(&sandbox, &drop, &a0, &place).await, Promoted::NotGivenUp);
    sandbox.store.remove_failed(&a0.grant).await.unwrap();
}

#[rstest]
#[case::still_retried("status", Some(GrantStatus::Failed.as_str()))]
#[case::of_another_entry("grant_id", Some("01ARZ3NDEKTSV4RRFFQ69G5FAV"))]
#[case::without_an_item("", None)]
#[tokio::test(start_paused = true)]
async fn a_grant_that_is_not_given_up_passes_nothing_on(
    #[case] attribute: &str,
    #[case] value: Option<&str>,
) {
    let sandbox = Sandbox::new(5);
    let drop = sold_out(&sandbox, 1, &["w0"]).await;
    let a0 = failed(&sandbox, &drop, "a0").await;
    let (grants, item) =
        (Table::of(&sandbox, "grants"), crate::scene::key_with(drop.pool(), "MEMBER#a0"));
    match value {
        Some(value) => grants.set(&item, attribute, crate::scene::s(value)).await,
        None => grants.delete(&item).await,
    }
    let place = first_place(&sandbox, &drop).await;
    assert_eq!(promote(&sandbox, &drop, &a0, &place).await, Promoted::NotGivenUp);
    let list = read_list(&*sandbox.store, &drop).await.unwrap();
    assert_eq!(list.promoted().count(), 0);
    grants.delete(&item).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_gets_one_slot_only() {
    let sandbox = Sandbox::new(6);
    let drop = sold_out(&sandbox, 2, &["w0", "w1"]).await;
    let (a0, a1) = (failed(&sandbox, &drop, "a0").await, failed(&sandbox, &drop, "a1").await);
    let place = first_place(&sandbox, &drop).await;
    assert_eq!(promote(&sandbox, &drop, &a0, &place).await, Promoted::Now);
    assert_eq!(promote(&sandbox, &drop, &a1, &place).await, Promoted::PlaceTaken);
    // Without its mark, the bucket of the promotion is there; without that, the mark is.
    let pools = Table::of(&sandbox, "pools");
    let list = key(format!("{}#0", drop.list()));
    let marked = pools.get(&list).await.unwrap();
    pools.set(&list, "promoted", aws_sdk_dynamodb::types::AttributeValue::M([].into())).await;
    assert_eq!(promote(&sandbox, &drop, &a1, &place).await, Promoted::PlaceTaken);
    pools.put(marked).await;
    let id = drop.promotion(&place, sandbox.store.now()).id;
    let bucket = key(format!("{}#{}", id.pool, id.number));
    let honest = pools.get(&bucket).await.unwrap();
    pools.delete(&bucket).await;
    assert_eq!(promote(&sandbox, &drop, &a1, &place).await, Promoted::PlaceTaken);
    pools.put(honest).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_whose_entry_is_not_the_one_that_was_read_gets_nothing() {
    let sandbox = Sandbox::new(7);
    let drop = sold_out(&sandbox, 1, &["w0"]).await;
    let a0 = failed(&sandbox, &drop, "a0").await;
    let mut place = first_place(&sandbox, &drop).await;
    place.entry.at = place.entry.at.plus_ms(1);
    assert_eq!(promote(&sandbox, &drop, &a0, &place).await, Promoted::PlaceTaken);
    place.member = user("nobody");
    assert_eq!(promote(&sandbox, &drop, &a0, &place).await, Promoted::PlaceTaken);
}

#[tokio::test(start_paused = true)]
async fn the_sweep_passes_on_what_was_given_up_before_anybody_waited() {
    let sandbox = Sandbox::new(8);
    let drop = sold_out(&sandbox, 1, &[]).await;
    let a0 = failed(&sandbox, &drop, "a0").await;
    assert_eq!(pass_on(&*sandbox.store, &a0).await.unwrap(), PassedOn::NobodyWaits);
    let sweep = async || {
        tokio::time::advance(Duration::from_secs(121)).await;
        sweep::run(&*sandbox.store, sandbox.store.now().plus_ms(100_000)).await.unwrap()
    };
    assert_eq!(sweep().await.buckets, 1);
    waits(&sandbox, &drop, "w0").await;
    sweep().await;
    assert_eq!(slot_of(told(&sandbox, &drop, "w0").await), 1);
}

#[tokio::test(start_paused = true)]
async fn the_figures_of_a_drop_are_exact_once_everything_has_settled() {
    let sandbox = Sandbox::new(9);
    let drop = sold_out(&sandbox, 20, &["w0"]).await;
    let a0 = failed(&sandbox, &drop, "a0").await;
    let a1 = failed(&sandbox, &drop, "a1").await;
    pass_on(&*sandbox.store, &a0).await.unwrap();
    let pay = async |names: std::ops::Range<u32>| {
        for n in names {
            let grant = grant_of(&sandbox, &drop, &format!("a{n}")).await;
            sandbox.store.pay(&[grant]).await;
        }
    };
    pay(2..10).await;
    let figures = async || {
        tokio::time::advance(Duration::from_secs(400)).await;
        sweep::run(&*sandbox.store, sandbox.store.now().plus_ms(100_000)).await.unwrap();
        tokio::time::advance(Duration::from_secs(2)).await;
        let detail = detail(&*sandbox.store, drop.id).await.unwrap().unwrap();
        assert!(detail.figures.counted_at.is_some());
        (detail.figures.taken, detail.figures.paid, detail.figures.failed, detail.figures.waiting)
    };
    assert_eq!(figures().await, (20, 8, 2, 0));
    pay(10..20).await;
    let w0 = owned(&*sandbox.store, &drop, &user("w0")).await.unwrap();
    let Owned::Slot { grant, .. } = w0 else { panic!("{w0:?}") };
    sandbox.store.pay(&[grant]).await;
    tokio::time::advance(Duration::from_secs(400)).await;
    assert_eq!(figures().await, (20, 19, 2, 0));
    // An operator has the last one paid after all: the next look finds out.
    sandbox.store.pay(std::slice::from_ref(&a1.grant)).await;
    sandbox.store.remove_failed(&a1.grant).await.unwrap();
    tokio::time::advance(Duration::from_secs(3_600)).await;
    assert_eq!(figures().await, (20, 20, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_full_says_sold_out_and_keeps_its_places() {
    let sandbox = Sandbox::new(10);
    let names: Vec<String> = (0..8).map(|n| format!("w{n}")).collect();
    let waiting: Vec<&str> = names.iter().map(String::as_str).collect();
    let drop = sold_out(&sandbox, 8, &waiting).await;
    let full = enter(&*sandbox.store, drop.id, user("late")).await;
    assert!(matches!(full, Err(EnterError::SoldOut)));
    let again = enter(&*sandbox.another_process(2), drop.id, user("w3")).await.unwrap();
    assert_eq!(again, Entered::Waiting { position: Some(4) });
    let status = GrantStatus::Pending;
    let a0 = MemberStanding::Won { slot: 1, payment: status };
    assert_eq!(told(&sandbox, &drop, "a0").await, Some(a0));
    assert_eq!(told(&sandbox, &drop, "late").await, None);
    let pools = Table::of(&sandbox, "pools");
    let bucket = pools.get(&key(format!("{}#0", drop.list()))).await.unwrap();
    assert_eq!(bucket["taken"], n(8));
}
