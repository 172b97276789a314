//! Budgets: one test for each clause of their condition, windows, leases, and what a lost reply does.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use largesse_app::budget::Scope;
use largesse_app::budget::create::{CreationLimits, admit};
use largesse_app::ports::{Budgets, Clock, Spent};
use largesse_aws::{Store, keys};
use largesse_domain::budget::{BudgetId, Spending, Subject, window_at};
use largesse_domain::time::Timestamp;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::{Sandbox, user};
use rstest::rstest;

use crate::scene::{Table, number};

const PROCESSES: u64 = 16;
const EDGE: &str = "largesse-edge";
const HOUR_MS: u64 = 3_600_000;

fn of_member(name: &str) -> BudgetId {
    BudgetId { spending: Spending::TokenMiss, subject: Subject::Member(user(name)) }
}

fn of_owner(name: &str) -> BudgetId {
    BudgetId { spending: Spending::Creation, subject: Subject::Owner(name.to_owned()) }
}

fn processes(sandbox: &Sandbox) -> Vec<Arc<Store>> {
    (0..PROCESSES).map(|n| sandbox.another_process(100 + n)).collect()
}

async fn used(store: &Store, id: &BudgetId, now: Timestamp) -> u32 {
    store.used(std::slice::from_ref(id), now).await.unwrap()[0]
}

/// The clause "nothing is used": the first use of a window finds no item. The clause "what is used
/// leaves room": at the maximum, and all or nothing before it.
#[tokio::test(start_paused = true)]
async fn a_budget_is_used_up_to_its_maximum_and_not_beyond() {
    let sandbox = Sandbox::new(1);
    let (store, now, id) = (&sandbox.store, sandbox.store.now(), of_member("ann"));
    assert_eq!(store.spend(&id, 2, 3, now).await.unwrap(), Spent::Done { used: 2 });
    assert_eq!(store.spend(&id, 2, 3, now).await.unwrap(), Spent::Refused { used: 2 });
    assert_eq!(store.spend(&id, 1, 3, now).await.unwrap(), Spent::Done { used: 3 });
    assert_eq!(store.spend(&id, 1, 3, now).await.unwrap(), Spent::Refused { used: 3 });
    // The limit was lowered, and raised.
    assert_eq!(store.spend(&id, 1, 2, now).await.unwrap(), Spent::Refused { used: 3 });
    assert_eq!(store.spend(&id, 1, 4, now).await.unwrap(), Spent::Done { used: 4 });
    assert_eq!(used(store, &id, now).await, 4);
}

#[tokio::test(start_paused = true)]
async fn more_than_the_whole_budget_is_refused_without_a_call() {
    let sandbox = Sandbox::new(2);
    let (store, now, id) = (&sandbox.store, sandbox.store.now(), of_member("ann"));
    assert_eq!(store.spend(&id, 4, 3, now).await.unwrap(), Spent::Refused { used: 3 });
    assert_eq!(sandbox.world.recorder().table(EDGE).calls, 0);
    assert_eq!(store.spend(&id, 3, 3, now).await.unwrap(), Spent::Done { used: 3 });
}

#[tokio::test(start_paused = true)]
async fn each_member_room_owner_and_kind_has_a_budget_of_its_own() {
    let sandbox = Sandbox::new(3);
    let (store, now, room) = (&sandbox.store, sandbox.store.now(), sandbox.room(&["ann"]).await);
    let subjects = [
        Subject::Member(user("ann")),
        Subject::Member(user("bob")),
        Subject::Owner("ann".to_owned()),
        Subject::Owner("ann#1".to_owned()),
        Subject::Room(room),
    ];
    let kinds = [Spending::TokenMiss, Spending::Creation];
    let ids: Vec<BudgetId> = kinds
        .iter()
        .flat_map(|kind| subjects.iter().map(|s| BudgetId { spending: *kind, subject: s.clone() }))
        .collect();
    for (count, id) in (1..).zip(&ids) {
        assert_eq!(store.spend(id, count, 99, now).await.unwrap(), Spent::Done { used: count });
    }
    let expected: Vec<u32> = (1..=10).collect();
    assert_eq!(store.used(&ids, now).await.unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn sixteen_processes_use_a_budget_exactly() {
    let sandbox = Sandbox::new(4);
    let (now, id, max) = (sandbox.store.now(), of_member("ann"), 100);
    let processes = processes(&sandbox);
    let spends = processes.iter().cycle().take(400).map(|store| store.spend(&id, 1, max, now));
    let spent = join_all(spends).await;
    let done = spent.iter().filter(|spent| matches!(spent, Ok(Spent::Done { .. }))).count();
    let refused = spent.iter().filter(|s| matches!(s, Ok(Spent::Refused { used: 100 }))).count();
    assert_eq!((done, refused), (100, 300));
    assert_eq!(used(&sandbox.store, &id, now).await, max);
}

#[tokio::test(start_paused = true)]
async fn a_window_ends_to_the_millisecond_and_the_next_one_has_all_of_the_budget() {
    let sandbox = Sandbox::new(5);
    let (store, id) = (&sandbox.store, of_member("ann"));
    let closes = window_at(store.now()).closes;
    let (last, next) = (closes.minus_ms(1), closes);
    assert_eq!(store.spend(&id, 3, 3, last).await.unwrap(), Spent::Done { used: 3 });
    assert_eq!(store.spend(&id, 1, 3, last).await.unwrap(), Spent::Refused { used: 3 });
    assert_eq!(store.spend(&id, 1, 3, next).await.unwrap(), Spent::Done { used: 1 });
    // A process whose clock is late is still in the window that is used up.
    assert_eq!(store.spend(&id, 1, 3, last).await.unwrap(), Spent::Refused { used: 3 });
    assert_eq!(used(store, &id, next.plus_ms(59_999)).await, 1);
    assert_eq!(used(store, &id, next.plus_ms(60_000)).await, 0);
}

/// TTL deletes days late, or at its time: neither changes what a budget admits.
#[tokio::test(start_paused = true)]
async fn the_time_to_live_of_a_budget_decides_nothing() {
    let sandbox = Sandbox::new(6);
    let (store, now, id) = (&sandbox.store, sandbox.store.now(), of_member("ann"));
    store.spend(&id, 3, 3, now).await.unwrap();
    let window = window_at(now);
    let (table, key) = (Table::of(&sandbox, "edge"), keys::budget(&id, window));
    let item = table.get(&key).await.unwrap();
    // An hour after the window, for processes whose clocks are late.
    let expires_s = u64::try_from(number(&item, "expires_at")).unwrap();
    assert!(expires_s * 1_000 >= window.closes.ms_unsigned() + HOUR_MS);
    // Late: the item of the old window is there for days, and the next window does not see it.
    tokio::time::advance(Duration::from_secs(2 * 86_400)).await;
    let later = store.now();
    assert!(table.get(&key).await.is_some());
    assert_eq!(store.spend(&id, 3, 3, later).await.unwrap(), Spent::Done { used: 3 });
    // In time: what is deleted is the window that is over.
    table.delete(&key).await;
    assert_eq!(store.spend(&id, 1, 3, later).await.unwrap(), Spent::Refused { used: 3 });
}

/// The contract: a budget can be used up early, and never late.
#[tokio::test(start_paused = true)]
async fn a_spend_whose_reply_is_lost_admits_nothing_more() {
    let sandbox = Sandbox::new(7);
    let (store, now, id) = (&sandbox.store, sandbox.store.now(), of_member("ann"));
    let lost = Faults::seeded(0).nth(1, Matching::operation("UpdateItem"), Fault::ReplyLost);
    sandbox.world.set_fault_hook(Some(Arc::new(lost)));
    assert_eq!(store.spend(&id, 1, 3, now).await.unwrap(), Spent::Done { used: 2 });
    assert_eq!(store.spend(&id, 1, 3, now).await.unwrap(), Spent::Done { used: 3 });
    assert_eq!(store.spend(&id, 1, 3, now).await.unwrap(), Spent::Refused { used: 3 });
    sandbox.world.set_fault_hook(None);
}

#[tokio::test(start_paused = true)]
async fn sixteen_processes_create_exactly_what_a_member_may() {
    let sandbox = Sandbox::new(8);
    let limits = CreationLimits { member: 50, owner: 1_000 };
    let (processes, ann) = (processes(&sandbox), user("ann"));
    let tries = processes.iter().cycle().take(200);
    let tries = tries.map(|store| admit(&**store, "o", &ann, limits));
    let admitted = join_all(tries).await.into_iter().map(Result::unwrap);
    let (admitted, refused): (Vec<_>, Vec<_>) = admitted.partition(Result::is_ok);
    assert_eq!((admitted.len(), refused.len()), (50, 150));
    let used_up = refused[0].unwrap_err();
    assert_eq!((used_up.scope, used_up.max), (Scope::Member, 50));
    // A member who is refused uses nothing of the owner's; 16 processes lease one each, then two.
    let owners = used(&sandbox.store, &of_owner("o"), sandbox.store.now()).await;
    assert!((50..=64).contains(&owners), "{owners}");
}

#[rstest]
#[case::few(40)]
#[case::many(1_000)]
#[tokio::test(start_paused = true)]
async fn sixteen_processes_create_at_most_what_an_owner_may_and_at_least_half(#[case] max: u32) {
    let sandbox = Sandbox::new(9);
    let limits = CreationLimits { member: u32::MAX, owner: max };
    let processes = processes(&sandbox);
    let tries = usize::try_from(max).unwrap() * 2;
    let tries = (0..tries).zip(processes.iter().cycle()).map(|(n, store)| async move {
        admit(&**store, "o", &user(&format!("u{n}")), limits).await.unwrap()
    });
    let tries = join_all(tries).await;
    let admitted = u32::try_from(tries.iter().filter(|tried| tried.is_ok()).count()).unwrap();
    assert!(admitted <= max && admitted * 2 >= max, "{admitted} of {max}");
    let refused = tries.into_iter().find_map(Result::err).unwrap();
    assert_eq!((refused.scope, refused.max), (Scope::Owner, max));
    assert_eq!(used(&sandbox.store, &of_owner("o"), sandbox.store.now()).await, max);
}

/// The figure of docs/limits.md.
#[tokio::test(start_paused = true)]
async fn a_creation_costs_one_write_unit_and_its_share_of_a_lease() {
    let sandbox = Sandbox::new(10);
    let recorder = sandbox.world.recorder();
    recorder.measure_units(true);
    recorder.reset();
    for n in 0..640 {
        let member = user(&format!("u{}", n % 64));
        admit(&*sandbox.store, "o", &member, CreationLimits::NONE).await.unwrap().unwrap();
    }
    // 640 of members; of the owner 1, 1, 2, 4, 8, 16 and 32, then nine of 64.
    let edge = recorder.table(EDGE);
    assert_eq!((edge.calls, edge.write), (656, 656.0));
}

#[tokio::test(start_paused = true)]
async fn a_member_who_goes_on_after_a_refusal_costs_no_write() {
    let sandbox = Sandbox::new(11);
    let limits = CreationLimits { member: 1, owner: 100 };
    let ann = user("ann");
    let admit = || admit(&*sandbox.store, "o", &ann, limits);
    assert_eq!(admit().await.unwrap().unwrap().left, 0);
    admit().await.unwrap().unwrap_err();
    let before = sandbox.world.recorder().table(EDGE).calls;
    admit().await.unwrap().unwrap_err();
    assert_eq!(sandbox.world.recorder().table(EDGE).calls, before);
    // Not longer than the window.
    tokio::time::advance(Duration::from_secs(60)).await;
    admit().await.unwrap().unwrap();
}
