//! An archive that is killed at each of its awaits.

use largesse_app::archive::transfers::{LedgerProgress, Time, round};
use largesse_app::ports::{Clock, Once, Wallets};
use largesse_domain::id::{TransferId, Ulid};
use largesse_domain::ledger::{TransferKind, TransferOrder};
use largesse_tests::kill::kill_at;
use largesse_tests::{amount, user};

use super::{
    Archived, archive, assert_sound, count_in_table, days_ago, ids_of, keys_in_table, some,
};

/// No pass over this ledger waits this often.
const AWAITS_MAX: usize = 400;

#[tokio::test(start_paused = true)]
async fn an_archive_that_is_killed_anywhere_loses_nothing_and_is_finished_by_the_next_run() {
    let mut killed = 0;
    for k in 1..=AWAITS_MAX {
        let world = Archived::new(1);
        let sandbox = &world.sandbox;
        // More rows than one transaction removes.
        let ledger = some(sandbox, "a", 105).await;
        some(sandbox, "b", 1).await;
        let horizon = days_ago(sandbox, 400);
        let ended = kill_at(k, archive(&world.another_process(7), horizon)).await;
        let fresh = world.another_process(8);
        assert_eq!(ids_of(&fresh, "a", 50).await, ledger.ids(), "killed at {k}");
        assert_sound(&fresh).await;
        let done = archive(&fresh, horizon).await.unwrap();
        assert_eq!((done.strays, done.damaged), (0, 0));
        for (name, rows) in [("a", 107), ("b", 3)] {
            assert_eq!(count_in_table(sandbox, name, "TX#"), 3, "killed at {k}");
            assert_eq!(count_in_table(sandbox, name, "RUN#"), 1, "killed at {k}");
            let rows_of = ids_of(&fresh, name, 60).await.len();
            assert_eq!(rows_of, rows + 3);
        }
        assert_eq!(ids_of(&fresh, "a", 60).await, ledger.ids());
        assert_sound(&fresh).await;
        if ended.is_some() {
            assert_eq!(done.runs, 0, "nothing is left to do");
            assert!(k > 10, "killed only {} times", k - 1);
            killed = k;
            break;
        }
    }
    assert!(killed > 0, "it never ended");
}

#[tokio::test(start_paused = true)]
async fn the_rows_of_a_wallet_in_the_table_are_its_newest_ones_after_each_kill() {
    for k in (1..AWAITS_MAX).step_by(3) {
        let world = Archived::new(2);
        let sandbox = &world.sandbox;
        let ledger = some(sandbox, "a", 250).await;
        let horizon = days_ago(sandbox, 400);
        let ended = kill_at(k, archive(&world.another_process(7), horizon)).await;
        let rows: Vec<String> =
            keys_in_table(sandbox, "a").into_iter().filter(|key| key.starts_with("TX#")).collect();
        let mut all: Vec<TransferId> = ledger.ids();
        all.extend(&ledger.voids);
        all.sort_unstable();
        let newest: Vec<String> =
            all[all.len() - rows.len()..].iter().map(|id| format!("TX#{id}")).collect();
        assert_eq!(rows, newest);
        if ended.is_some() {
            return;
        }
    }
    panic!("it never ended");
}

#[tokio::test(start_paused = true)]
async fn a_payment_that_is_repeated_above_the_horizon_is_found_and_new_ones_go_on() {
    let world = Archived::new(3);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let ledger = some(sandbox, "a", 5).await;
    archive(store, days_ago(sandbox, 400)).await.unwrap();
    let young = ledger.transfers.last().unwrap().clone();
    assert_eq!(sandbox.post(young.order.clone()).await, Once::Before(young.clone()));
    let id = TransferId(Ulid::from_parts(sandbox.store.now().ms_unsigned(), 1));
    let kind = TransferKind::Deposit;
    let at = sandbox.store.now();
    let order = TransferOrder { id, kind, at, amount: amount(3), ..young.order };
    let Once::Now(posted) = sandbox.post(order).await else { panic!("a new transfer") };
    assert_eq!(posted.seq, young.seq + 1, "the wallet goes on as it was");
    assert_eq!(ids_of(store, "a", 2).await.len(), ledger.transfers.len() + 1);
    assert_sound(store).await;
    assert_eq!(store.wallet(&user("a")).await.unwrap().seq, posted.seq);
}

/// Wallets that are worked on one after another, by rounds that each end at their deadline.
#[tokio::test(start_paused = true)]
async fn rounds_that_stop_at_their_deadline_finish_the_ledger_together() {
    let world = Archived::new(4);
    let sandbox = &world.sandbox;
    let names: Vec<String> = (0..60).map(|number| format!("w{number}")).collect();
    for name in &names {
        some(sandbox, name, 3).await;
    }
    crate::archive::deadline::slow(sandbox);
    let (mut progress, mut late) = (LedgerProgress::default(), 0);
    while !progress.is_over() {
        let began = world.store.now();
        let time = Time { horizon: days_ago(sandbox, 400), stop_at: began.plus_ms(3_300) };
        let done = round(&*world.store, Ulid::from_parts(9, 9), time, &mut progress).await.unwrap();
        // What has begun ends: what is packed is recorded, eight wallets side by side.
        assert!(world.store.now().ms_since(began) <= 3_300 + 1_500);
        late += i32::from(done.is_err());
        assert!(late < 40, "it never ends");
    }
    assert!(late > 1, "{late}");
    assert_eq!((progress.runs, progress.strays, progress.damaged), (60, 0, 0));
    sandbox.world.set_fault_hook(None);
    for name in &names {
        assert_eq!(count_in_table(sandbox, name, "TX#"), 3);
        assert_eq!(ids_of(&world.store, name, 50).await.len(), 8);
    }
    assert_sound(&world.store).await;
}
