//! The daily run: its pass, its figures, and what it may do.

use std::time::Duration;

use largesse_app::ports::{Clock, DailyStats, Freezes, Passes, Wallets, Written};
use largesse_app::reconcile::Pass;
use largesse_app::reconcile::daily::{self, Ran};
use largesse_app::reconcile::freeze::unfreeze;
use largesse_app::stats;
use largesse_domain::campaign::Duplicates;
use largesse_domain::grant::GrantStatus;
use largesse_domain::pool::{Bucket, PoolKind};
use largesse_domain::stats::{Cell, Feature, Stats};
use largesse_domain::time::Timestamp;
use largesse_edge::zone;
use largesse_tests::{Sandbox, money, user};

use super::planted::lose_entry;
use super::{drawn_somewhere, world};
use crate::campaign_rows::draft;
use crate::permissions::{assert_least, calls_of};
use crate::scene::{Table, given_up, key, key_with, n};

/// What a count of the same books gives, over the seven days before a pass and its own.
fn counted(sandbox: &Sandbox, pass: &Pass) -> Stats {
    let books = money::books(&sandbox.world);
    let is_in = |at: Timestamp| (pass.stats_from()..pass.began).contains(&at);
    let mut stats = Stats::default();
    for transfer in books.transfers.iter().filter(|transfer| is_in(transfer.order.at)) {
        stats.add_transfer(transfer);
    }
    let draws = |bucket: &&Bucket| matches!(bucket.kind, PoolKind::Share | PoolKind::Slot);
    for bucket in books.buckets.iter().filter(draws) {
        for entry in bucket.draws.values().filter(|entry| is_in(entry.at)) {
            let drawn = Cell { drawn: 1, ..Cell::default() };
            stats.add(entry.at, Feature::of(bucket.id.pool), drawn);
        }
    }
    for failed in books.failed.iter().filter(|failed| failed.status != GrantStatus::Failed) {
        let one = Cell { failed: 1, ..Cell::default() };
        stats.add(failed.grant.decided_at(), Feature::of(failed.grant.source), one);
    }
    stats
}

#[tokio::test(start_paused = true)]
async fn the_figures_of_days_are_a_count_of_the_same_ledger() {
    let world = world(13).await;
    let sandbox = &world.sandbox;
    let grant = drawn_somewhere(sandbox, &world.spray, "g").await;
    given_up(sandbox, &grant).await;
    // Half a day, so that a day of Seoul lies in two of UTC.
    tokio::time::advance(Duration::from_secs(43_200)).await;
    sandbox.deposit("late", 77).await;
    tokio::time::advance(Duration::from_secs(3_600)).await;
    let store = sandbox.another_process(82);
    assert_eq!(store.daily_stats(&[]).await.unwrap().0, None, "before the first pass");
    let until = store.now().plus_ms(600_000);
    let Ran::Worked { pass, .. } = daily::run(&*store, until, 0).await.unwrap() else { panic!() };
    assert!(pass.ended.is_some());
    let expected = counted(sandbox, &pass);
    let of = |feature| expected.sum(feature, pass.stats_from(), pass.began);
    let (sprays, drops) = (of(Feature::Spray), of(Feature::Drop));
    assert_eq!((sprays.made, sprays.drawn, sprays.paid, sprays.failed), (2, 4, 2, 1));
    // One slot, and the sixteen that were drawn from lots.
    assert_eq!((drops.made, drops.drawn, drops.paid, drops.failed), (3, 17, 2, 1));
    let (complete, stored) = store.daily_stats(&pass.stats_days()).await.unwrap();
    assert_eq!((complete, &stored), (Some(pass.began), &expected));
    let day = |zone: &str, date: &str| {
        let (zone, date) = (zone::zone(zone).unwrap(), zone::date(date).unwrap());
        let day = zone::days(&zone, date, date).unwrap().remove(0);
        stats::Range { from: day.from, to: day.to }
    };
    let ranges = [
        day("UTC", "2026-01-01"),
        day("Asia/Seoul", "2026-01-01"),
        day("Asia/Seoul", "2026-01-02"),
    ];
    let (_, figures) = stats::read(&*store, &ranges).await.unwrap();
    let deposits: Vec<u64> = figures.iter().map(|figures| figures.features[0].made).collect();
    let all = stored.sum(Feature::Wallet, pass.stats_from(), pass.began).made;
    assert_eq!(deposits, [all, all, 0], "2026-01-01T12:10Z is still that day in Seoul");
    // A pass of tomorrow counts the same, and adds what came since.
    tokio::time::advance(Duration::from_secs(86_400)).await;
    let until = store.now().plus_ms(600_000);
    let Ran::Worked { pass, .. } = daily::run(&*store, until, 0).await.unwrap() else { panic!() };
    let (complete, again) = store.daily_stats(&pass.stats_days()).await.unwrap();
    assert_eq!((complete, &again), (Some(pass.began), &expected));
    // Of a payment by an earlier version is not known when it was posted: it is counted without it.
    let ledger = Table::of(sandbox, "ledger");
    let mut transfers = money::books(&sandbox.world).transfers.into_iter();
    let claim = transfers.find(|one| one.posted.is_some()).unwrap().order;
    let key = key_with(format!("WALLET#{}", claim.wallet), format!("TX#{}", claim.id));
    let mut item = ledger.get(&key).await.unwrap();
    item.remove("posted_ms");
    ledger.put(item).await;
    tokio::time::advance(Duration::from_secs(86_400)).await;
    let until = store.now().plus_ms(600_000);
    let Ran::Worked { pass, .. } = daily::run(&*store, until, 0).await.unwrap() else { panic!() };
    let (_, last) = store.daily_stats(&pass.stats_days()).await.unwrap();
    let paid = |stats: &Stats| {
        let features = [Feature::Spray, Feature::Drop];
        let cells = features.map(|feature| stats.sum(feature, Timestamp::from_ms(0), pass.began));
        cells
            .into_iter()
            .fold((0, 0), |(paid, known), cell| (paid + cell.paid, known + cell.latencies.count()))
    };
    assert_eq!((paid(&again), paid(&last)), ((4, 4), (4, 3)));
}

#[tokio::test(start_paused = true)]
async fn of_two_runs_on_one_pass_one_goes_on() {
    let sandbox = Sandbox::new(5);
    let store = &sandbox.store;
    assert_eq!(store.latest_pass().await.unwrap().value, None);
    let pass = Pass::new(store.now());
    assert_eq!(store.save_pass(&pass, 0).await.unwrap(), Written::Done);
    assert_eq!(store.save_pass(&pass, 0).await.unwrap(), Written::Changed, "it was begun");
    assert_eq!(store.save_pass(&pass, 2).await.unwrap(), Written::Changed, "written once only");
    assert_eq!(store.save_pass(&pass, 1).await.unwrap(), Written::Done);
    let latest = store.latest_pass().await.unwrap();
    assert_eq!((latest.value, latest.version), (Some(pass), 2));
}

#[tokio::test(start_paused = true)]
async fn the_daily_run_freezes_what_does_not_add_up_once_and_is_idle_until_tomorrow() {
    let world = world(11).await;
    let (sandbox, pool) = (&world.sandbox, world.spray.pool());
    let store = sandbox.another_process(80);
    let pools = Table::of(sandbox, "pools");
    let before = pools.get(&key(format!("{pool}#0"))).await.unwrap();
    let mut item = before.clone();
    lose_entry(&mut item);
    pools.put(item).await;
    let run = || daily::run(&*store, store.now().plus_ms(600_000), 0);
    let Ran::Worked { pass, found, frozen } = run().await.unwrap() else { panic!("it is due") };
    assert!(pass.ended.is_some() && found >= 1 && frozen == 1, "{pass:#?}");
    assert_eq!(store.frozen_pools().await.unwrap()[0].pool, pool);
    assert_eq!(run().await.unwrap(), Ran::Idle);
    // Repaired and lifted: tomorrow's pass finds nothing.
    pools.put(before).await;
    unfreeze(&*store, pool).await.unwrap();
    tokio::time::advance(Duration::from_secs(86_400)).await;
    let Ran::Worked { pass, found, frozen } = run().await.unwrap() else { panic!("it is due") };
    assert_eq!((pass.ended.is_some(), found, frozen), (true, 0, 0), "{:#?}", pass.findings);
    assert_eq!(store.frozen_pools().await.unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn reconcile_may_do_what_it_does() {
    let world = world(12).await;
    let (sandbox, pool) = (&world.sandbox, world.spray.pool());
    // A pool that does not add up, and a wallet that was set back.
    let (pools, ledger) = (Table::of(sandbox, "pools"), Table::of(sandbox, "ledger"));
    let (bucket, wallet) = (key(format!("{pool}#0")), key_with("WALLET#m1", "BALANCE"));
    let (bucket_before, wallet_before) =
        (pools.get(&bucket).await.unwrap(), ledger.get(&wallet).await.unwrap());
    let mut item = bucket_before.clone();
    lose_entry(&mut item);
    pools.put(item).await;
    let first = money::books(&sandbox.world).transfers.into_iter();
    let first = first.filter(|t| t.order.wallet == user("m1")).min_by_key(|t| t.seq).unwrap();
    let mut item = wallet_before.clone();
    item.insert("balance".to_owned(), n(first.balance_after));
    item.insert("seq".to_owned(), n(first.seq));
    ledger.put(item).await;
    draft(sandbox, Duplicates::Refuse).await;
    tokio::time::advance(Duration::from_secs(1)).await;
    let store = sandbox.another_process(81);
    let calls = calls_of(&sandbox.world, async {
        let report = reconcile::handle(&*store, store.now().plus_ms(600_000), 0).await.unwrap();
        assert_eq!((report.is_over, report.frozen), (true, 1), "{report:?}");
    });
    assert_least("reconcile", &calls.await);
    assert_eq!(store.wallet(&user("m1")).await.unwrap().seq, first.seq);
    pools.put(bucket_before).await;
    ledger.put(wallet_before).await;
}
