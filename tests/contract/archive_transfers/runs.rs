//! Runs: how they are recorded, and how they are cut.

use std::io::Read;

use largesse_app::ports::{StoredRun, TransferArchive, Written};
use largesse_tests::user;

use super::{
    Archived, Ledger, archive, assert_sound, count_in_table, days_ago, ids_of, keys_in_table,
    objects, some,
};
use crate::scene::{Table, key_with};

async fn packed(world: &Archived, days: u64, object: &str) -> StoredRun {
    let horizon = days_ago(&world.sandbox, days);
    let packed = world.store.pack_run(&user("a"), horizon).await.unwrap();
    packed.unwrap().at(object, 0)
}

#[tokio::test(start_paused = true)]
async fn a_run_is_recorded_once_behind_the_run_that_it_goes_on_from() {
    let world = Archived::new(1);
    let (sandbox, store) = (&world.sandbox, &world.store);
    some(sandbox, "a", 5).await;
    let short = packed(&world, 470, "short").await;
    let again = packed(&world, 470, "again").await;
    let long = packed(&world, 400, "long").await;
    assert_eq!(again.run, short.run);
    assert!(short.run.last < long.run.last);
    let record = async |latest, run| store.record_run(&user("a"), latest, run).await.unwrap();
    let table = Table::of(sandbox, "ledger");
    let wallet = table.get(&key_with("WALLET#a", "BALANCE")).await.unwrap();
    // The wallet is there.
    table.delete(&key_with("WALLET#a", "BALANCE")).await;
    assert_eq!(record(None, &short).await, Written::Changed);
    table.put(wallet.clone()).await;
    assert_eq!(record(None, &short).await, Written::Done);
    // Another process, with another horizon, goes on from no run.
    assert_eq!(record(None, &long).await, Written::Changed);
    // No other run has become the latest.
    assert_eq!(record(Some(long.run.last), &long).await, Written::Changed);
    // The run itself is not there: the wallet is as it was before.
    table.put(wallet.clone()).await;
    assert_eq!(record(None, &again).await, Written::Changed);
    assert_eq!(count_in_table(sandbox, "a", "RUN#"), 1);
    table.delete(&key_with("WALLET#a", format!("RUN#{}", short.run.last))).await;
    table.put(wallet).await;
    archive(store, days_ago(sandbox, 400)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_object_is_one_gzip_file_with_a_line_for_each_row() {
    let world = Archived::new(2);
    let (sandbox, store) = (&world.sandbox, &world.store);
    some(sandbox, "a", 5).await;
    some(sandbox, "b", 2).await;
    let done = archive(store, days_ago(sandbox, 400)).await.unwrap();
    assert_eq!((done.objects, done.runs, done.transfers, done.rows), (1, 2, 11, 13));
    let objects = objects(&world).await;
    let [(path, bytes)] = &objects[..] else { panic!("one object") };
    assert!(path.as_ref().starts_with("transfers/") && path.as_ref().ends_with(".json.gz"));
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text.lines().count(), 13);
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["Item"]["pk"]["S"].as_str().unwrap().starts_with("WALLET#"));
        assert!(line["Item"]["amount"]["N"].is_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wallet_with_many_transfers_has_several_runs_that_keep_milliseconds_whole() {
    let world = Archived::new(3);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let mut ledger = Ledger::of("a");
    // The five thousandth row is in the middle of a millisecond.
    for number in 0..2_700_u64 {
        let at = days_ago(sandbox, 450).plus_ms(number / 3);
        ledger.paid_and_taken_back(at, number.into(), 1 + number);
    }
    ledger.written(sandbox).await;
    let done = archive(store, days_ago(sandbox, 400)).await.unwrap();
    assert_eq!((done.runs, done.transfers, done.rows), (2, 5_400, 5_400));
    let keys = keys_in_table(sandbox, "a");
    assert_eq!(keys.len(), 3, "the wallet and two runs: {keys:?}");
    assert_eq!(ids_of(store, "a", 100).await, ledger.ids());
    assert_sound(store).await;
}
