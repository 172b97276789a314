//! Leases and commits of chunks: each clause of their conditions, lost replies, and damage.

use largesse_app::ports::{
    CampaignResults, CampaignRows, ChunkSet, Clock, Commit, PortErrorKind, StoredSnapshot, Written,
};
use largesse_aws::Store;
use largesse_domain::campaign::{
    ChunkNumber, ChunkRecord, ChunkResult, Delta, Lease, Row, Said, Sum, Tally,
};
use largesse_domain::id::{CampaignId, Ulid};
use largesse_domain::ledger::Memo;
use largesse_domain::time::Timestamp;
use largesse_emulator::{Fault, Faults, Matching};
use largesse_tests::{Sandbox, amount, user};

use crate::scene::{Item, Table, key_with, n, number};

const CHUNK: ChunkNumber = ChunkNumber(18);

struct Scene {
    sandbox: Sandbox,
    set: ChunkSet,
}

fn rows() -> Vec<Row> {
    let row =
        |name| Row { member: user(name), amount: amount(10), reason: Memo::new("why").unwrap() };
    ["a", "b", "c"].map(row).to_vec()
}

impl Scene {
    /// A chunk of three rows, and its shard of the counters.
    async fn new(seed: u64) -> Self {
        let sandbox = Sandbox::new(seed);
        let set = ChunkSet { campaign: CampaignId(sandbox.id()), attempt: 1, round: 0 };
        sandbox.store.put_chunks(&set, &[(CHUNK, rows())]).await.unwrap();
        let scene = Self { sandbox, set };
        let mut item = scene.count_key();
        for state in ["pending", "unknown", "success", "failed", "reversed", "shortfall"] {
            let rows = if state == "pending" { 3 } else { 0 };
            item.insert(format!("{state}_rows"), n(rows));
            item.insert(format!("{state}_amount"), n(rows * 10));
        }
        Table::of(&scene.sandbox, "campaigns").put(item).await;
        scene
    }

    fn store(&self) -> &Store {
        &self.sandbox.store
    }

    /// The chunk 18 is counted in shard 2.
    fn count_key(&self) -> Item {
        key_with(format!("CAMPAIGN#{}", self.set.campaign), "COUNT#02")
    }

    async fn count(&self, name: &str) -> i64 {
        let item = Table::of(&self.sandbox, "campaigns").get(&self.count_key()).await.unwrap();
        number(&item, name)
    }

    async fn record(&self) -> Option<ChunkRecord> {
        self.store().stored_chunk(&self.set, CHUNK).await.unwrap().unwrap().record
    }

    async fn lease(&self, seen: Option<&ChunkRecord>, owner: u128) -> Written {
        let lease = self.lease_of(owner);
        let now = self.store().now();
        self.store().lease_chunk(&self.set, CHUNK, seen, lease, now).await.unwrap()
    }

    fn lease_of(&self, owner: u128) -> Lease {
        Lease { owner: Ulid(owner), until: self.store().now().plus_ms(1_000) }
    }

    /// The record after the first rows are paid, and the change of the counters.
    fn paid(&self, seen: &ChunkRecord, count: usize) -> (ChunkRecord, Delta) {
        let mut record = seen.clone();
        for at in 0..count {
            record.take(at, 1, Said::Paid).unwrap();
        }
        let before = ChunkResult {
            chunk: CHUNK,
            generation: seen.generation,
            revision: seen.revision,
            tally: seen.tally().unwrap(),
        };
        let delta = before.delta(record.tally().unwrap()).unwrap();
        (record.revision, record.lease) = (seen.revision + 1, None);
        (record, delta)
    }

    async fn commit(
        &self,
        owner: u128,
        (record, delta): &(ChunkRecord, Delta),
        closes: bool,
    ) -> Result<Written, PortErrorKind> {
        let (set, owner) = (&self.set, Ulid(owner));
        let commit = Commit { set, chunk: CHUNK, owner, record, delta, closes };
        self.store().commit_chunk(&commit).await.map_err(|error| error.kind)
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_workers_one_leases_a_chunk() {
    let scene = Scene::new(1).await;
    assert_eq!(scene.record().await, None);
    assert_eq!(scene.lease(None, 1).await, Written::Done);
    assert_eq!(scene.lease(None, 2).await, Written::Changed);
    let seen = scene.record().await.unwrap();
    assert_eq!((seen.sends, seen.revision, seen.lease.unwrap().owner), (1, 0, Ulid(1)));
    // Also one that has read it: the lease lasts.
    assert_eq!(scene.lease(Some(&seen), 2).await, Written::Changed);
    // The first lease again, as after a lost reply.
    assert_eq!(scene.lease(None, 1).await, Written::Done);
    assert_eq!(scene.record().await.unwrap().sends, 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ran_out_is_taken_under_the_next_number() {
    let scene = Scene::new(2).await;
    scene.lease(None, 1).await;
    let seen = scene.record().await.unwrap();
    tokio::time::advance(std::time::Duration::from_millis(999)).await;
    assert_eq!(scene.lease(Some(&seen), 2).await, Written::Changed);
    tokio::time::advance(std::time::Duration::from_millis(1)).await;
    assert_eq!(scene.lease(Some(&seen), 2).await, Written::Done);
    // Its reply was lost.
    assert_eq!(scene.lease(Some(&seen), 2).await, Written::Done);
    assert_eq!(scene.record().await.unwrap().sends, 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_on_what_has_changed_since_is_refused() {
    let scene = Scene::new(3).await;
    scene.lease(None, 1).await;
    let leased = scene.record().await.unwrap();
    assert_eq!(scene.commit(1, &scene.paid(&leased, 1), false).await, Ok(Written::Done));
    // No lease is there and the number is the same, but rows stand otherwise than they were read.
    assert_eq!(scene.lease(Some(&leased), 2).await, Written::Changed);
    let committed = scene.record().await.unwrap();
    assert_eq!((committed.revision, committed.sends, committed.lease), (1, 1, None));
    assert_eq!(scene.lease(Some(&committed), 3).await, Written::Done);
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    // That lease ran out without a commit: its number of a send is used.
    assert_eq!(scene.lease(Some(&committed), 4).await, Written::Changed);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_lost_its_lease_commits_nothing() {
    let scene = Scene::new(4).await;
    scene.lease(None, 1).await;
    let seen = scene.record().await.unwrap();
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    scene.lease(Some(&seen), 2).await;
    assert_eq!(scene.commit(1, &scene.paid(&seen, 2), false).await, Ok(Written::Changed));
    assert_eq!(scene.count("success_rows").await, 0);
    assert_eq!(scene.record().await.unwrap().lease.unwrap().owner, Ulid(2));
    assert_eq!(scene.commit(2, &scene.paid(&seen, 3), false).await, Ok(Written::Done));
    // One that never had a lease.
    assert_eq!(scene.commit(9, &scene.paid(&seen, 3), false).await, Ok(Written::Changed));
    assert_eq!((scene.count("success_rows").await, scene.count("pending_rows").await), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lease_or_commit_whose_reply_was_lost_is_done_once() {
    let scene = Scene::new(5).await;
    let lost =
        |operation| Faults::seeded(1).nth(1, Matching::operation(operation), Fault::ReplyLost);
    let hook =
        |operation| scene.sandbox.world.set_fault_hook(Some(std::sync::Arc::new(lost(operation))));
    hook("UpdateItem");
    assert_eq!(scene.lease(None, 1).await, Written::Done);
    let seen = scene.record().await.unwrap();
    let paid = scene.paid(&seen, 2);
    hook("TransactWriteItems");
    assert_eq!(scene.commit(1, &paid, true).await, Ok(Written::Done));
    scene.sandbox.world.set_fault_hook(None);
    // Also when AWS has forgotten the request.
    tokio::time::advance(std::time::Duration::from_secs(3_600)).await;
    assert_eq!(scene.commit(1, &paid, true).await, Ok(Written::Done));
    assert_eq!((scene.count("success_rows").await, scene.count("success_amount").await), (2, 20));
    assert_eq!((scene.count("pending_rows").await, scene.count("pending_amount").await), (1, 10));
    assert_eq!(scene.store().closed_chunks(scene.set.campaign).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn counters_that_do_not_hold_the_rows_are_damage() {
    for (name, value) in [("pending_rows", 1), ("pending_amount", 19)] {
        let scene = Scene::new(6).await;
        scene.lease(None, 1).await;
        let seen = scene.record().await.unwrap();
        let table = Table::of(&scene.sandbox, "campaigns");
        table.set(&scene.count_key(), name, n(value)).await;
        let committed = scene.commit(1, &scene.paid(&seen, 2), false).await;
        assert_eq!(committed, Err(PortErrorKind::Corrupt), "{name}");
        assert_eq!(scene.count("success_rows").await, 0);
        assert_eq!(scene.record().await.unwrap().revision, 0);
        table.delete(&scene.count_key()).await;
        let nothing_moves = scene.paid(&seen, 0);
        let committed = scene.commit(1, &nothing_moves, true).await;
        assert_eq!(committed, Err(PortErrorKind::Corrupt), "no shard is made of a closed chunk");
    }
}

/// Each clause of the counters' condition, one for each number that can fall.
#[tokio::test(start_paused = true)]
async fn rows_leave_no_number_that_holds_fewer_of_them() {
    let (sum, none) = (Sum { rows: 3, amount: 30 }, Tally::default());
    let leaving = [
        ("pending", Tally { pending: sum, ..none }),
        ("unknown", Tally { unknown: sum, ..none }),
        ("success", Tally { success: sum, ..none }),
        ("failed", Tally { failed: sum, ..none }),
        ("shortfall", Tally { shortfall: sum, ..none }),
    ];
    for (state, tally) in leaving {
        for (name, held, least) in [("rows", 2, 3), ("amount", 29, 30)] {
            let scene = Scene::new(8).await;
            scene.lease(None, 1).await;
            let (record, _) = scene.paid(&scene.record().await.unwrap(), 0);
            let before =
                ChunkResult { chunk: CHUNK, generation: record.generation, revision: 0, tally };
            let delta = before.delta(Tally { reversed: sum, ..none }).unwrap();
            let (table, key) = (Table::of(&scene.sandbox, "campaigns"), scene.count_key());
            table.set(&key, &format!("{state}_rows"), n(3)).await;
            table.set(&key, &format!("{state}_amount"), n(30)).await;
            let name = format!("{state}_{name}");
            table.set(&key, &name, n(held)).await;
            let change = (record, delta);
            let damaged = scene.commit(1, &change, false).await;
            assert_eq!(damaged, Err(PortErrorKind::Corrupt), "{name}");
            assert_eq!(scene.count("reversed_rows").await, 0, "{name}");
            table.set(&key, &name, n(least)).await;
            assert_eq!(scene.commit(1, &change, false).await, Ok(Written::Done), "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_slot_keeps_its_first_snapshot() {
    let scene = Scene::new(7).await;
    let (store, id) = (scene.store(), scene.set.campaign);
    let at = |ms: i64| Timestamp::from_ms(1_767_225_600_000 + ms);
    let snapshot = |ms: i64, rows| {
        let success = Sum { rows, amount: rows };
        StoredSnapshot { at: at(ms), tally: Tally { success, ..Tally::default() } }
    };
    assert!(!store.has_snapshot(id, at(0)).await.unwrap());
    for (slot, ms, rows) in [(0, 1, 1), (0, 2, 2), (5_000, 5_001, 3)] {
        store.put_snapshot(id, at(slot), &snapshot(ms, rows)).await.unwrap();
    }
    assert!(store.has_snapshot(id, at(0)).await.unwrap());
    assert!(scene.sandbox.another_process(9).has_snapshot(id, at(5_000)).await.unwrap());
    let (first, second) = (snapshot(1, 1), snapshot(5_001, 3));
    assert_eq!(store.snapshots(id, at(0), 9).await.unwrap(), [first, second]);
    assert_eq!(store.snapshots(id, at(1), 9).await.unwrap(), [second]);
    assert_eq!(store.last_snapshots(id, 1).await.unwrap(), [second]);
}
