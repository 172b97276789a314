//! Crowds at a drop, from many processes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use largesse_app::drop::enter::{EnterError, Entered, enter};
use largesse_app::drop::read::{DropState, detail, read_list};
use largesse_app::ports::Pools;
use largesse_aws::Store;
use largesse_domain::drop::Drop;
use largesse_domain::ledger::TransferKind;
use largesse_domain::money::BALANCE_MAX;
use largesse_tests::user;

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

/// Every name enters once, `clients` of them at the same time, spread over processes.
async fn enter_all(
    rig: &Rig,
    drop: &Drop,
    names: &[String],
    stores: &[Arc<Store>],
    clients: usize,
) -> Heard {
    // Every call takes a moment to arrive, so that the clients meet.
    rig.sandbox.world.set_fault_hook(Some(Arc::new(Distance::ms(2))));
    let requests: Vec<_> = names
        .iter()
        .enumerate()
        .map(async |(n, name)| (name, enter(&*stores[n % stores.len()], drop.id, user(name)).await))
        .collect();
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

fn processes(rig: &Rig) -> Vec<Arc<Store>> {
    (0..16).map(|n| rig.sandbox.another_process(100 + n)).collect()
}

/// A tenth of the crowd that the promise names, since CI has little time: 1,000 slots and 3,000 people,
/// of whom every tenth enters twice at once.
#[tokio::test(start_paused = true)]
async fn a_crowd_gets_every_slot_of_a_drop_once_and_hears_sold_out_only_when_it_is() {
    let rig = Rig::new(1, Kill::default());
    let drop = rig.sandbox.open_drop(1_000, 0).await;
    let mut names: Vec<String> = (0..3_000).map(|n| format!("m{n}")).collect();
    for n in (0..3_000).step_by(10) {
        names.push(format!("m{n}"));
    }
    // Those who enter twice do so at about the same moment.
    names.sort_unstable();
    let stores = processes(&rig);
    let heard = enter_all(&rig, &drop, &names, &stores, 64).await;
    let numbers: Vec<u64> = heard.won.iter().map(|(slot, _)| *slot).collect();
    assert_eq!(numbers, (1..=1_000).collect::<Vec<u64>>());
    let winners: BTreeSet<&String> = heard.won.iter().map(|(_, name)| name).collect();
    assert_eq!(winners.len(), 1_000);
    assert_eq!((heard.waiting, heard.already + heard.sold_out), (0, 2_300));
    let seen = detail(&*stores[0], drop.id).await.unwrap().unwrap();
    assert_eq!((seen.state, seen.figures.taken), (DropState::SoldOut, 1_000));
    rig.pay().await;
    assert_eq!(wind_up(&rig, &drop).await, 0);
    rig.assert_all_paid();
    assert_eq!(rig.transfers(TransferKind::Claim), 1_000);
    let seen = detail(&*rig.sandbox.another_process(5), drop.id).await.unwrap().unwrap();
    assert_eq!((seen.figures.paid, seen.figures.failed), (1_000, 0));
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

/// Wallets that take no payment.
async fn fill(rig: &Rig, names: &[&str]) {
    for name in names {
        rig.sandbox.deposit(name, 1).await;
        rig.sandbox.overwrite_balance(name, BALANCE_MAX).await;
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_tenth_of_the_payments_failing_every_slot_is_paid_in_the_end() {
    let rig = Rig::new(3, Kill::default());
    let drop = rig.sandbox.open_drop(200, 60).await;
    let names: Vec<String> = (0..400).map(|n| format!("m{n}")).collect();
    let heard = enter_all(&rig, &drop, &names, &processes(&rig), 64).await;
    assert_eq!((heard.won.len(), heard.waiting, heard.sold_out), (200, 60, 140));
    let before = read_list(&*rig.sandbox.store, &drop).await.unwrap();
    let order: Vec<String> = before.candidates().map(|place| place.member.to_string()).collect();
    // A tenth of the winners fail, and of those who wait the third and the seventh.
    let mut failing: Vec<&str> =
        heard.won.iter().step_by(10).map(|(_, name)| name.as_str()).collect();
    failing.extend([&*order[2], &*order[6]]);
    fill(&rig, &failing).await;
    rig.pay().await;
    tokio::time::advance(Duration::from_secs(400)).await;
    sweep_all(&rig.sandbox.store).await.unwrap();
    rig.pay().await;
    for name in &failing {
        rig.sandbox.overwrite_balance(name, 1).await;
    }
    // Twenty slots came back, and two of them twice: the 22 oldest were given one each.
    let list = read_list(&*rig.sandbox.store, &drop).await.unwrap();
    let promoted: BTreeSet<String> =
        list.promoted().map(|place| place.member.to_string()).collect();
    assert_eq!(promoted, order[..22].iter().cloned().collect());
    assert_eq!(rig.transfers(TransferKind::Claim), 200);
    assert_eq!(wind_up(&rig, &drop).await, 0);
    let seen = detail(&*rig.sandbox.another_process(5), drop.id).await.unwrap().unwrap();
    let figures = (seen.figures.taken, seen.figures.paid, seen.figures.failed);
    assert_eq!((figures, seen.figures.waiting), ((200, 200, 22), 38));
    assert!(rig.sandbox.store.buckets(drop.pool(), &[0]).await.unwrap()[0].is_full());
}
