//! Objects that are not as they were written, and rows that are not as they were archived.

use std::ops::Range;

use bytes::Bytes;
use largesse_app::archive::transfers::{LedgerProgress, round};
use largesse_app::ports::{
    Clock, Ids, MemberRef, Objects, OwnerRow, PackedRun, PortErrorKind, PortResult, Removed,
    ScanKey, Scanned, Segment, StoredRun, TransferArchive, Wallets, Written,
};
use largesse_aws::Store;
use largesse_domain::id::{TransferId, Ulid, UserId};
use largesse_domain::ledger::TransferOrder;
use largesse_domain::time::Timestamp;
use largesse_tests::kill::kill_at;
use largesse_tests::user;
use object_store::{ObjectStoreExt, PutPayload};

use super::{
    Archived, archive, assert_sound, count_in_table, days_ago, ids_of, keys_in_table, objects, row,
    some, time,
};
use crate::scene::{Item, Table, key_with, n, s};

/// What became of the bytes of an object.
type Tampering = fn(Vec<u8>) -> Option<Vec<u8>>;

/// A store whose objects are not what was put.
struct Tampered<'a> {
    store: &'a Store,
    how: Tampering,
}

impl Ids for Tampered<'_> {
    fn ulid(&self) -> Ulid {
        self.store.ulid()
    }
}

impl Clock for Tampered<'_> {
    fn now(&self) -> Timestamp {
        self.store.now()
    }
}

impl Objects for Tampered<'_> {
    async fn put(&self, name: &str, bytes: Bytes) -> PortResult<()> {
        self.store.put(name, bytes).await
    }

    async fn get(&self, name: &str) -> PortResult<Option<Bytes>> {
        let got = self.store.get(name).await?;
        Ok(got.and_then(|bytes| (self.how)(bytes.to_vec())).map(Bytes::from))
    }

    async fn range(&self, name: &str, range: Range<u64>) -> PortResult<Option<Bytes>> {
        self.store.range(name, range).await
    }
}

impl TransferArchive for Tampered<'_> {
    async fn archivable(
        &self,
        segment: Segment,
        after: Option<ScanKey>,
        horizon: Timestamp,
    ) -> PortResult<Scanned<OwnerRow<UserId>>> {
        self.store.archivable(segment, after, horizon).await
    }

    async fn pack_run(&self, user: &UserId, horizon: Timestamp) -> PortResult<Option<PackedRun>> {
        self.store.pack_run(user, horizon).await
    }

    fn check_member(&self, member: &MemberRef, bytes: &[u8]) -> PortResult<()> {
        self.store.check_member(member, bytes)
    }

    async fn record_run(
        &self,
        user: &UserId,
        latest: Option<TransferId>,
        run: &StoredRun,
    ) -> PortResult<Written> {
        self.store.record_run(user, latest, run).await
    }

    async fn remove_archived(&self, user: &UserId) -> PortResult<Removed> {
        self.store.remove_archived(user).await
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_removed_whose_object_is_not_as_it_was_written() {
    let world = Archived::new(1);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let ledger = some(sandbox, "a", 20).await;
    some(sandbox, "b", 20).await;
    let before = keys_in_table(sandbox, "a");
    let horizon = days_ago(sandbox, 400);
    let tampering: [Tampering; 5] = [
        |_| None,
        |mut bytes| bytes.pop().map(|_| bytes),
        |mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            Some(bytes)
        },
        |bytes| Some([&bytes[..], &bytes[..]].concat()),
        |_| Some(Vec::new()),
    ];
    for how in tampering {
        let tampered = Tampered { store, how };
        let mut progress = LedgerProgress::default();
        let error =
            round(&tampered, sandbox.id(), time(store, horizon), &mut progress).await.unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Corrupt);
        assert_eq!(keys_in_table(sandbox, "a"), before, "no run is recorded, no row removed");
    }
    let done = archive(store, horizon).await.unwrap();
    assert_eq!((done.runs, done.transfers, done.rows), (2, 44, 46));
    assert_eq!(ids_of(store, "a", 7).await, ledger.ids());
}

/// A ledger whose run is recorded, and none of its rows removed.
async fn recorded(world: &Archived) -> super::Ledger {
    let sandbox = &world.sandbox;
    let ledger = some(sandbox, "a", 20).await;
    let horizon = days_ago(sandbox, 400);
    for k in 1.. {
        let ended = kill_at(k, archive(&world.another_process(7), horizon)).await;
        assert!(ended.is_none(), "the run is recorded before the rows are removed");
        if count_in_table(sandbox, "a", "RUN#") == 1 {
            break;
        }
    }
    assert_eq!(count_in_table(sandbox, "a", "TX#"), 26);
    ledger
}

#[tokio::test(start_paused = true)]
async fn rows_stay_while_the_object_of_their_run_is_damaged_or_missing() {
    let world = Archived::new(2);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let ledger = recorded(&world).await;
    let run = keys_in_table(sandbox, "a").into_iter().find(|key| key.starts_with("RUN#"));
    let item = Table::of(sandbox, "ledger").get(&key_with("WALLET#a", run.unwrap())).await.unwrap();
    let path = object_store::path::Path::from(item["object"].as_s().unwrap().as_str());
    let whole = world.objects.get(&path).await.unwrap().bytes().await.unwrap();
    let horizon = days_ago(sandbox, 400);
    let mut changed = whole.to_vec();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    for bytes in [changed, whole[..whole.len() - 1].to_vec(), Vec::new()] {
        world.objects.put(&path, PutPayload::from(bytes)).await.unwrap();
        match archive(store, horizon).await {
            Ok(done) => assert_eq!((done.damaged, done.rows), (1, 0)),
            // A store may call a part that begins behind an object's end an error.
            Err(error) => assert_eq!(error.kind, PortErrorKind::Unknown),
        }
        assert_eq!(count_in_table(sandbox, "a", "TX#"), 26);
    }
    world.objects.delete(&path).await.unwrap();
    let done = archive(store, horizon).await.unwrap();
    assert_eq!((done.damaged, done.rows), (1, 0));
    assert_eq!(count_in_table(sandbox, "a", "TX#"), 26);
    let id = ledger.transfers[0].order.id;
    assert!(store.transfer(&user("a"), id).await.unwrap().is_some());
    world.objects.put(&path, PutPayload::from(whole)).await.unwrap();
    let done = archive(store, horizon).await.unwrap();
    assert_eq!((done.damaged, done.rows, done.runs), (0, 23, 0));
    assert_eq!(ids_of(store, "a", 7).await, ledger.ids());
    assert_sound(store).await;
}

#[tokio::test(start_paused = true)]
async fn a_row_that_is_not_in_its_run_stays() {
    let world = Archived::new(3);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let ledger = recorded(&world).await;
    let table = Table::of(sandbox, "ledger");
    // One row has another memo than the archive's, and one is not in the archive.
    let edited = row(&ledger.transfers[3]);
    table.set(&edited_key(&edited), "memo", s("edited")).await;
    let mut added = ledger.transfers[4].clone();
    added.order.id = TransferId(Ulid::from_parts(added.order.id.0.timestamp_ms(), 77));
    table.put(row(&added)).await;
    for rows in [22, 0] {
        let done = archive(store, days_ago(sandbox, 400)).await.unwrap();
        assert_eq!((done.strays, done.rows), (2, rows));
        assert_eq!(done.left, ["a".parse().unwrap()]);
        assert_eq!(count_in_table(sandbox, "a", "TX#"), 5);
    }
    // As it was, it goes.
    table.put(row(&ledger.transfers[3])).await;
    table.delete(&edited_key(&row(&added))).await;
    let done = archive(store, days_ago(sandbox, 400)).await.unwrap();
    assert_eq!((done.strays, done.rows), (0, 1));
    assert_eq!(ids_of(store, "a", 9).await, ledger.ids());
}

fn edited_key(item: &Item) -> Item {
    item.iter()
        .filter(|(name, _)| ["pk", "sk"].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_wallet_whose_transfer_cannot_be_is_left_as_it_is_and_others_go_on() {
    let world = Archived::new(4);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let ledger = some(sandbox, "a", 5).await;
    some(sandbox, "b", 5).await;
    let table = Table::of(sandbox, "ledger");
    let key = edited_key(&row(&ledger.transfers[2]));
    // A deposit of 3 that leads to a balance of 1.
    table.set(&key, "balance_after", n(1)).await;
    let done = archive(store, days_ago(sandbox, 400)).await.unwrap();
    assert_eq!((done.damaged, done.runs), (1, 1));
    assert_eq!(count_in_table(sandbox, "a", "TX#"), 11);
    assert_eq!(count_in_table(sandbox, "b", "TX#"), 3);
    assert_eq!(objects(&world).await.len(), 1);
    table.put(row(&ledger.transfers[2])).await;
}

#[tokio::test]
async fn a_message_that_comes_after_its_transfer_was_archived_moves_nothing() {
    let world = Archived::new(4);
    let (sandbox, store) = (&world.sandbox, &world.store);
    let ledger = recorded(&world).await;
    archive(store, days_ago(sandbox, 400)).await.unwrap();
    let before = store.wallet(&user("a")).await.unwrap();
    let last = ledger
        .transfers
        .iter()
        .map(|one| one.order.id)
        .filter(|id| id.0.timestamp_ms() < days_ago(sandbox, 400).ms_unsigned());
    let last = last.max().unwrap();
    let order = |id| {
        let order = ledger.transfers[3].order.clone();
        TransferOrder { id, ..order }
    };
    // Archived; up to the last of its run although never posted; and the last itself.
    let between = TransferId(Ulid::from_parts(ledger.transfers[3].order.id.0.timestamp_ms(), 99));
    for id in [ledger.transfers[3].order.id, between, last] {
        for process in [store, &world.another_process(9)] {
            let error = process.post(order(id)).await.unwrap_err();
            assert_eq!(error.kind, PortErrorKind::Corrupt, "{id}");
        }
    }
    assert_eq!(store.wallet(&user("a")).await.unwrap(), before);
    assert_eq!(ids_of(store, "a", 9).await, ledger.ids());
    // The next id moves money as ever.
    let next = TransferId(Ulid::from_parts(days_ago(sandbox, 400).ms_unsigned(), 0));
    store.post(order(next)).await.unwrap().unwrap();
    assert_eq!(store.wallet(&user("a")).await.unwrap().seq, before.seq + 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_names_no_wallet_is_passed_over_and_counted_and_others_go_on() {
    let world = Archived::new(5);
    let (sandbox, store) = (&world.sandbox, &world.store);
    some(sandbox, "a", 5).await;
    let table = Table::of(sandbox, "ledger");
    let old = Ulid::from_parts(days_ago(sandbox, 500).ms_unsigned(), 1);
    let keys = [key_with("WALLET#", format!("TX#{old}")), key_with("else", format!("TX#{old}"))];
    for key in &keys {
        table.put(key.clone()).await;
    }
    let done = archive(store, days_ago(sandbox, 400)).await.unwrap();
    assert_eq!((done.damaged, done.runs), (2, 1));
    assert_eq!(count_in_table(sandbox, "a", "TX#"), 3);
    for key in &keys {
        assert!(table.get(key).await.is_some());
        table.delete(key).await;
    }
}
