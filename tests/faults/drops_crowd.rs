//! Crowds at a drop, from many processes.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use largesse_app::drop::enter::{EnterError, Entered, enter};
use largesse_app::drop::read::{DropState, detail, read_list};
use largesse_app::drop::standing::{MemberStanding, member};
use largesse_app::ports::Pools;
use largesse_aws::Store;
use largesse_domain::drop::Drop;
use largesse_domain::grant::GrantStatus;
use largesse_domain::ledger::TransferKind;
use largesse_domain::money::BALANCE_MAX;
use largesse_emulator::Service;
use largesse_tests::{money, user};

use crate::drops::wind_up;
use crate::rig::{Distance, Kill, Rig, sweep_all};

/// What a crowd heard.
#[derive(Debug, Default)]
struct Heard {
    /// The slots, each with its member.
    won: Vec<(u64, String)>,
    already: usize,
    waiting: usize,
    sold_out: usize,
    registered: usize,
}

/// Every name enters once, `clients` of them at the same time, spread over processes. The first answer
/// "sold out" comes after the last slot was drawn; an entry is never removed, so it stays true.
async fn enter_all(
    rig: &Rig,
    drop: &Drop,
    names: &[String],
    stores: &[Arc<Store>],
    clients: usize,
) -> Heard {
    // Every call takes a moment to arrive, so that the clients meet.
    rig.sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(2))));
    let is_sold_out = Cell::new(false);
    let enter_as = async |n: usize, name: &String| {
        let answer = enter(&*stores[n % stores.len()], drop.id, user(name)).await;
        if matches!(answer, Err(EnterError::SoldOut)) && !is_sold_out.replace(true) {
            assert_eq!(drawn(rig, drop), u64::from(drop.slots), "{name} hears \"sold out\"");
        }
        answer
    };
    let requests: Vec<_> =
        names.iter().enumerate().map(async |(n, name)| (name, enter_as(n, name).await)).collect();
    let answers = futures::stream::iter(requests).buffer_unordered(clients);
    let answers: Vec<_> = answers.collect().await;
    rig.sandbox.world.set_fault_hook(None);
    let mut heard = Heard::default();
    for (name, answer) in answers {
        match answer {
            Ok(Entered::Won { slot, .. }) => heard.won.push((slot, name.clone())),
            Ok(Entered::Waiting { position }) => {
                assert!(position.is_some());
                heard.waiting += 1;
            }
            Ok(Entered::Registered) => heard.registered += 1,
            Err(EnterError::Already { .. }) => heard.already += 1,
            Err(EnterError::SoldOut) => heard.sold_out += 1,
            Err(error) => panic!("{name}: {error:?}"),
        }
    }
    heard.won.sort_unstable();
    heard
}

/// How many slots are drawn now, as the table has it.
fn drawn(rig: &Rig, drop: &Drop) -> u64 {
    let buckets = money::books(&rig.sandbox.world).buckets;
    let of_slots = buckets.iter().filter(|bucket| bucket.id.pool == drop.pool());
    of_slots.map(|bucket| u64::from(bucket.taken)).sum()
}

fn processes(rig: &Rig) -> Vec<Arc<Store>> {
    (0..16).map(|n| rig.sandbox.another_process(100 + n)).collect()
}

/// Whether the crowd is as large as the promise says: 10,000 slots and 30,000 people. CI has time for a
/// part of it. In full: `CROWD=full cargo test --workspace --test faults drops_crowd`.
fn is_full() -> bool {
    std::env::var_os("CROWD").is_some_and(|size| size == "full")
}

/// Row D7. Three people for each slot; every tenth enters twice at once, and every hundredth ten times.
#[tokio::test(start_paused = true)]
async fn a_crowd_gets_every_slot_of_a_drop_once_and_hears_sold_out_only_when_it_is() {
    let slots = if is_full() { 10_000 } else { 1_000 };
    let people = 3 * slots;
    let rig = Rig::new(1, Kill::default());
    let drop = rig.sandbox.open_drop(slots, 0).await;
    let times =
        |n: u64| if n.is_multiple_of(100) { 10 } else { 1 + usize::from(n.is_multiple_of(10)) };
    // Requests of one member come one after the other, so they meet.
    let requests = (0..people).flat_map(|n| std::iter::repeat_n(format!("m{n}"), times(n)));
    let names: Vec<String> = requests.collect();
    let stores = processes(&rig);
    let heard = enter_all(&rig, &drop, &names, &stores, 64).await;
    let numbers: Vec<u64> = heard.won.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(numbers, (1..=slots).collect::<Vec<u64>>());
    let winners: BTreeSet<&String> = heard.won.iter().map(|(_, name)| name).collect();
    assert_eq!(winners.len(), numbers.len());
    assert_eq!((heard.waiting, heard.already + heard.sold_out), (0, names.len() - numbers.len()));
    assert!(heard.already > 0, "some who won have entered again");
    let seen = detail(&*stores[0], drop.id).await.unwrap().unwrap();
    assert_eq!((seen.state, seen.figures.taken), (DropState::SoldOut, slots));
    rig.pay().await;
    assert_eq!(wind_up(&rig, &drop).await, 0);
    rig.assert_all_paid();
    assert_eq!(rig.transfers(TransferKind::Claim), numbers.len());
    let seen = detail(&*rig.sandbox.another_process(5), drop.id).await.unwrap().unwrap();
    assert_eq!((seen.figures.paid, seen.figures.failed), (slots, 0));
    // What a winner has heard is what is read of them, and what their wallet has got.
    let wallets = money::books(&rig.sandbox.world).wallets.into_iter();
    let balances: BTreeMap<_, _> = wallets.map(|wallet| (wallet.user, wallet.balance)).collect();
    assert_eq!(balances.len(), numbers.len() + 1, "the winners and the funder");
    for (slot, name) in heard.won.iter().step_by(97) {
        let standing = member(&*stores[3], drop.id, &user(name)).await.unwrap();
        let paid = MemberStanding::Won { slot: *slot, payment: GrantStatus::Success };
        assert_eq!((standing, balances[&user(name)].get()), (Some(paid), 10), "{name}");
    }
}

/// As many members as slots: each must win, whatever their walks meet.
#[tokio::test(start_paused = true)]
async fn nobody_hears_sold_out_while_a_slot_is_left() {
    let rig = Rig::new(2, Kill::default());
    let drop = rig.sandbox.open_drop(100, 10).await;
    let names: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
    let heard = enter_all(&rig, &drop, &names, &processes(&rig), 100).await;
    assert_eq!((heard.won.len(), heard.waiting, heard.sold_out), (100, 0, 0));
}

/// Row D3.
#[tokio::test(start_paused = true)]
async fn a_hundred_at_once_get_ten_slots_and_hear_sold_out_after_the_tenth() {
    for seed in 0..8 {
        let rig = Rig::new(seed, Kill::default());
        let drop = rig.sandbox.open_drop(10, 0).await;
        let names: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
        let heard = enter_all(&rig, &drop, &names, &processes(&rig), 100).await;
        assert_eq!((heard.won.len(), heard.already, heard.sold_out), (10, 0, 90));
    }
}

/// Row D2: repeats take no slot, and each costs one write that is refused.
#[tokio::test(start_paused = true)]
async fn ten_thousand_entries_of_one_member_leave_every_other_slot() {
    let rig = Rig::new(4, Kill::default());
    let drop = rig.sandbox.open_drop(100, 0).await;
    let stores = processes(&rig);
    let (recorder, repeats) = (rig.sandbox.world.recorder(), 10_000);
    recorder.reset();
    let heard = enter_all(&rig, &drop, &vec!["m".to_owned(); repeats], &stores, 64).await;
    assert_eq!((heard.won.len(), heard.already), (1, repeats - 1));
    let calls = |operation: &str| recorder.operation(Service::DynamoDb, operation).calls;
    assert_eq!(calls("UpdateItem"), 10_000);
    // Those who come while a process reads the terms read them too.
    assert!(calls("GetItem") <= 64, "{} reads of the terms", calls("GetItem"));
    assert_eq!(recorder.total().calls, calls("UpdateItem") + calls("GetItem"));
    let others: Vec<String> = (0..99).map(|n| format!("o{n}")).collect();
    let heard = enter_all(&rig, &drop, &others, &stores, 64).await;
    assert_eq!(heard.won.len(), 99);
}

/// Wallets that take no payment.
async fn fill(rig: &Rig, names: &[&str]) {
    for name in names {
        rig.sandbox.deposit(name, 1).await;
        rig.sandbox.overwrite_balance(name, BALANCE_MAX).await;
    }
}

/// A tenth of the winners fail, and a tenth of those who wait.
#[tokio::test(start_paused = true)]
async fn with_a_tenth_of_the_payments_failing_every_slot_is_paid_in_the_end() {
    let slots: u64 = if is_full() { 10_000 } else { 200 };
    let (places, people) = (slots * 15 / 100, 3 * slots);
    let rig = Rig::new(3, Kill::default());
    let drop = rig.sandbox.open_drop(slots, places).await;
    let names: Vec<String> = (0..people).map(|n| format!("m{n}")).collect();
    let heard = enter_all(&rig, &drop, &names, &processes(&rig), 64).await;
    let counted = [heard.won.len(), heard.waiting, heard.sold_out];
    assert_eq!(counted.map(|n| n as u64), [slots, places, people - slots - places]);
    let before = read_list(&*rig.sandbox.store, &drop).await.unwrap();
    let order: Vec<String> = before.candidates().map(|place| place.member.to_string()).collect();
    let mut failing: Vec<&str> =
        heard.won.iter().step_by(10).map(|(_, name)| name.as_str()).collect();
    failing.extend(order.iter().step_by(10).map(String::as_str));
    fill(&rig, &failing).await;
    // What a lost race leaves is passed on by the sweep.
    for _ in 0..3 {
        rig.pay().await;
        tokio::time::advance(Duration::from_secs(400)).await;
        sweep_all(&rig.sandbox.store).await.unwrap();
    }
    rig.pay().await;
    for name in &failing {
        rig.sandbox.overwrite_balance(name, 1).await;
    }
    // As many were given a slot as slots came back, the oldest first: of those, each tenth failed too.
    let list = read_list(&*rig.sandbox.store, &drop).await.unwrap();
    let promoted: BTreeSet<String> =
        list.promoted().map(|place| place.member.to_string()).collect();
    let given = promoted.len();
    assert_eq!(promoted, order[..given].iter().cloned().collect());
    let failed_of_list = order[..given].iter().step_by(10).count();
    assert_eq!(given, usize::try_from(slots / 10).unwrap() + failed_of_list);
    assert_eq!(rig.transfers(TransferKind::Claim) as u64, slots);
    assert_eq!(wind_up(&rig, &drop).await, 0);
    let seen = detail(&*rig.sandbox.another_process(5), drop.id).await.unwrap().unwrap();
    let (figures, given) = (seen.figures, given as u64);
    assert_eq!((figures.taken, figures.paid, figures.failed), (slots, slots, given));
    assert_eq!(figures.waiting, places - given);
    assert!(rig.sandbox.store.buckets(drop.pool(), &[0]).await.unwrap()[0].is_full());
}
