//! What the store of rows keeps to: order, pages, batches and damage.

use std::sync::Arc;

use largesse_app::ports::{
    CampaignRows, ChunkRange, ChunkSet, Line, PartReport, PortErrorKind, Upload,
};
use largesse_domain::campaign::{ChunkNumber, Duplicate, Hash, Place, Row};
use largesse_domain::id::CampaignId;
use largesse_domain::ledger::Memo;
use largesse_emulator::{Fault, Faults, Matching, Service};
use largesse_tests::{Sandbox, amount, user};

use super::number;
use crate::scene::{Table, key_with, s};

fn row(member: &str) -> Row {
    Row { member: user(member), amount: amount(5), reason: Memo::new("보상").unwrap() }
}

fn lines(count: u64) -> Vec<Line> {
    (0..count).map(|n| (n + 2, row(&format!("m{n}")))).collect()
}

fn upload(sandbox: &Sandbox) -> Upload {
    Upload { campaign: CampaignId(sandbox.id()), number: number(7), hash: Hash::of(b"body") }
}

#[tokio::test(start_paused = true)]
async fn staged_rows_come_back_in_their_order_page_by_page() {
    let sandbox = Sandbox::new(1);
    let (store, upload) = (&sandbox.store, upload(&sandbox));
    let staged = lines(20_500);
    store.stage_part(&upload, &staged, &PartReport::default()).await.unwrap();
    let (mut read, mut next, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = store.staged(&upload, next).await.unwrap();
        read.extend(page.rows);
        pages += 1;
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    assert_eq!(read, staged);
    assert_eq!(pages, 3);
    let other = Upload { hash: Hash::of(b"other"), ..upload };
    assert_eq!(store.staged(&other, None).await.unwrap().rows, []);
    assert_eq!(store.part_report(&other).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_upload_without_its_report_was_cut_off() {
    let sandbox = Sandbox::new(2);
    let (store, upload) = (&sandbox.store, upload(&sandbox));
    let code = largesse_input::Code::AmountZero;
    let problem =
        |line| largesse_input::Problem { line, byte: None, column: None, value: None, code };
    let problems: Vec<_> = (2..1_502).map(problem).collect();
    let report = PartReport {
        rows: 1_600,
        refused: 1_500,
        accepted: 100,
        problem_count: 1_500,
        problems,
        blank: 3,
    };
    store.stage_part(&upload, &lines(100), &report).await.unwrap();
    assert_eq!(store.part_report(&upload).await.unwrap(), Some(report));
    let pk = format!("PART#{}#7#{}", upload.campaign, &upload.hash.to_string()[..16]);
    Table::of(&sandbox, "campaign-rows").delete(&key_with(pk, "REPORT")).await;
    assert_eq!(store.part_report(&upload).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn items_that_a_batch_leaves_out_are_written_again_after_a_while() {
    let sandbox = Sandbox::new(3);
    let (store, upload) = (&sandbox.store, upload(&sandbox));
    let batch = || Matching::operation("BatchWriteItem");
    let thrice = (1..4).fold(Faults::seeded(1), |f, n| f.nth(n, batch(), Fault::Unprocessed));
    sandbox.world.set_fault_hook(Some(Arc::new(thrice)));
    sandbox.world.recorder().reset();
    store.stage_part(&upload, &lines(30_000), &PartReport::default()).await.unwrap();
    let calls = sandbox.world.recorder().operation(Service::DynamoDb, "BatchWriteItem").calls;
    // 30 items in batches of 25, the report, and three repeats.
    assert_eq!(calls, 6);
    assert!(store.staged(&upload, Some(28)).await.unwrap().rows.len() == 1_000);
    let always = Faults::seeded(1).always(batch(), Fault::Unprocessed);
    sandbox.world.set_fault_hook(Some(Arc::new(always)));
    let error = store.stage_part(&upload, &lines(1), &PartReport::default()).await.unwrap_err();
    sandbox.world.set_fault_hook(None);
    assert_eq!(error.kind, PortErrorKind::Throttled);
}

#[tokio::test(start_paused = true)]
async fn chunks_of_another_attempt_or_round_are_other_chunks() {
    let sandbox = Sandbox::new(4);
    let (store, campaign) = (&sandbox.store, CampaignId(sandbox.id()));
    let sets =
        [(1, 0), (1, 1), (2, 0)].map(|(attempt, round)| ChunkSet { campaign, attempt, round });
    let chunk = ChunkNumber(3);
    for (set, member) in sets.iter().zip(["a", "b", "c"]) {
        store.put_chunks(set, &[(chunk, vec![row(member)])]).await.unwrap();
    }
    for (set, member) in sets.iter().zip(["a", "b", "c"]) {
        assert_eq!(store.chunk(set, chunk).await.unwrap(), Some(vec![row(member)]));
        assert_eq!(store.chunk(set, ChunkNumber(30)).await.unwrap(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_chunk_that_cannot_be_read_is_corrupt() {
    let sandbox = Sandbox::new(5);
    let (store, campaign) = (&sandbox.store, CampaignId(sandbox.id()));
    let set = ChunkSet { campaign, attempt: 1, round: 0 };
    store.put_chunks(&set, &[(ChunkNumber(3), vec![row("a")])]).await.unwrap();
    let key = key_with(format!("CHUNK#{campaign}#1#0#3"), "ROWS");
    Table::of(&sandbox, "campaign-rows").set(&key, "data", s("text")).await;
    let error = store.chunk(&set, ChunkNumber(3)).await.unwrap_err();
    assert_eq!(error.kind, PortErrorKind::Corrupt);
}

#[tokio::test(start_paused = true)]
async fn duplicates_of_a_pass_are_found_behind_any_place() {
    let sandbox = Sandbox::new(6);
    let store = &sandbox.store;
    let set = ChunkSet { campaign: CampaignId(sandbox.id()), attempt: 1, round: 0 };
    let place = |part, line| Place { part: number(part), line };
    let duplicate =
        |part, line| Duplicate { place: place(part, line), row: row("m"), first: place(1, 1) };
    let all: Vec<_> =
        (1..=3).flat_map(|part| (1..=900).map(move |n| duplicate(part, n * 10))).collect();
    let range = ChunkRange { first: 0, count: 10 };
    // Those of other passes lie beside them.
    for other in [ChunkRange { count: 1, ..range }, ChunkRange { first: 1, ..range }] {
        store.put_duplicates(&set, &other, &[duplicate(1, 5)]).await.unwrap();
    }
    store.put_duplicates(&set, &range, &all).await.unwrap();
    for after in
        [None, Some(place(1, 5)), Some(place(1, 10)), Some(place(2, 1_000)), Some(place(3, 8_999))]
    {
        let found = store.duplicates(&set, &range, after).await.unwrap();
        let expected: Vec<_> = all.iter().filter(|d| Some(d.place) > after).cloned().collect();
        assert!(!found.is_empty() && expected.starts_with(&found), "{after:?}");
    }
    assert_eq!(store.duplicates(&set, &range, Some(place(3, 9_000))).await.unwrap(), []);
}
