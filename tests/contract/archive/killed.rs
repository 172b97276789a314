//! A run that is killed anywhere loses nothing, and the next one ends what it began.

use largesse_app::archive::Stage;
use largesse_domain::campaign::Duplicates;
use largesse_tests::kill::kill_at;

use super::*;
use crate::campaign_rows::{draft, members, put, seal};

/// No run waits this often.
const AWAITS_MAX: usize = 3_000;

/// Everything that was there is in the tables, or in a member that a tombstone names.
async fn lost_nothing(sandbox: &Sandbox, before: &BTreeSet<String>, pools: &[PoolId], at: usize) {
    let mut there = stored(sandbox);
    for pool in pools {
        if let Some(tombstone) = sandbox.store.tombstone(*pool).await.unwrap() {
            there.extend(keys_in(&sandbox.store, &tombstone).await);
        }
    }
    let lost: Vec<_> = before.difference(&there).collect();
    assert!(lost.is_empty(), "killed at {at}: {lost:?}");
}

/// Kills a run over finished things at each of its awaits, from the first until it ends by itself.
async fn killed_everywhere(things: impl AsyncFn(&Sandbox) -> Vec<PoolId>) {
    let mut k = 1;
    loop {
        let sandbox = Sandbox::new(41);
        let pools = things(&sandbox).await;
        age(&sandbox).await;
        let before = stored(&sandbox);
        let killed = sandbox.another_process(42);
        let until = killed.now().plus_ms(600_000);
        let first = kill_at(k, daily::run(&*killed, until, POLICY)).await;
        drop(killed);
        lost_nothing(&sandbox, &before, &pools, k).await;
        proved(&sandbox).await;
        let pass = sandbox.store.latest_archive_pass().await.unwrap().value;
        // From there on only transfers move: archive_transfers.rs kills that.
        let is_last = pass.is_some_and(|pass| pass.stage >= Stage::Ledger);
        let store = sandbox.another_process(43);
        let second = daily::run(&*store, until, POLICY).await.unwrap();
        match second {
            Ran::Idle => {}
            Ran::Worked(pass) => assert!(pass.ended.is_some(), "killed at {k}: {pass:#?}"),
            Ran::Overtaken => panic!("killed at {k}: nothing else runs"),
        }
        let pass = store.latest_archive_pass().await.unwrap().value.unwrap();
        assert_eq!(pass.in_flight, [], "killed at {k}");
        for pool in pools.iter().copied() {
            assert_eq!(of(&stored(&sandbox), pool), BTreeSet::new(), "killed at {k}");
            assert_eq!(archived(&sandbox.store, pool).await, of(&before, pool), "killed at {k}");
        }
        if is_last {
            assert!(first.is_none(), "the first run was not killed");
            assert!(k > 20, "killed only {k} times");
            proved(&sandbox).await;
            return;
        }
        k += 1;
        assert!(k < AWAITS_MAX, "it never ended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_at_any_await_loses_nothing() {
    killed_everywhere(async |sandbox| {
        let (spray, drop) = (over_spray(sandbox).await, over_drop(sandbox).await);
        vec![spray.pool(), drop.pool()]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_at_any_await_loses_nothing_of_a_product() {
    killed_everywhere(async |sandbox| {
        sandbox.deposit("ann", 500).await;
        let product = made_of(sandbox, limits(100), 2).await;
        invested(sandbox, &product, "ann", 10).await;
        vec![product.pool()]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_at_any_await_loses_nothing_of_a_campaign() {
    killed_everywhere(async |sandbox| {
        let id = draft(sandbox, Duplicates::First).await;
        put(sandbox, id, 1, &members(0, 3)).await;
        seal(sandbox, id).await;
        vec![PoolId::Campaign(id)]
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_at_once_one_goes_on_and_both_remove_the_same() {
    let sandbox = Sandbox::new(44);
    let spray = over_spray(&sandbox).await;
    age(&sandbox).await;
    let before = of(&stored(&sandbox), spray.pool());
    let (one, other) = (sandbox.another_process(45), sandbox.another_process(46));
    let until = one.now().plus_ms(600_000);
    let run = |store| daily::run(store, until, POLICY);
    let (first, second) = futures::future::join(run(&*one), run(&*other)).await;
    let runs = [first.unwrap(), second.unwrap()];
    let ended = |ran: &Ran| matches!(ran, Ran::Worked(pass) if pass.ended.is_some());
    assert!(runs.iter().filter(|ran| ended(ran)).count() == 1, "{runs:#?}");
    assert_eq!(archived(&sandbox.store, spray.pool()).await, before);
    assert_eq!(of(&stored(&sandbox), spray.pool()), BTreeSet::new());
    proved(&sandbox).await;
}
