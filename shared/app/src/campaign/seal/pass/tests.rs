use std::sync::Mutex;

use super::*;
use crate::campaign::seal::PASS_CHUNKS;
use crate::ports::{Line, PartReport};
use largesse_domain::campaign::{CHUNK_ROWS_MAX, Hash, PartNumber};
use largesse_domain::id::{CampaignId, Ulid};
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;

/// Rows of a page of staged rows.
const PAGE: u32 = 8_000;

/// Staged rows that are made as they are read, and what a pass writes.
struct Rows {
    count: u32,
    member: fn(u32) -> String,
    /// The most rows or duplicates of one write.
    most: Mutex<usize>,
    duplicates: Mutex<usize>,
    chunks: Mutex<Vec<usize>>,
}

impl Rows {
    fn new(count: u32, member: fn(u32) -> String) -> Self {
        let (most, duplicates) = (Mutex::default(), Mutex::default());
        Self { count, member, most, duplicates, chunks: Mutex::default() }
    }

    fn wrote(&self, rows: usize) {
        let mut most = self.most.lock().unwrap();
        *most = rows.max(*most);
    }
}

impl Clock for Rows {
    fn now(&self) -> Timestamp {
        Timestamp::from_ms(0)
    }
}

impl CampaignRows for Rows {
    async fn stage_part(&self, _: &Upload, _: &[Line], _: &PartReport) -> PortResult<()> {
        panic!("a pass stages nothing")
    }

    async fn part_report(&self, _: &Upload) -> PortResult<Option<PartReport>> {
        panic!("a pass reads no report")
    }

    async fn staged(&self, _: &Upload, after: Option<u32>) -> PortResult<StagedRows> {
        let page = after.map_or(0, |after| after + 1);
        let end = self.count.min((page + 1) * PAGE);
        let reason = Memo::new("출석 보상").unwrap();
        let row = |n: u32| {
            let (member, amount) = ((self.member)(n).parse().unwrap(), Amount::new(5).unwrap());
            (u64::from(n) + 2, Row { member, amount, reason: reason.clone() })
        };
        let rows = (page * PAGE..end).map(row).collect();
        Ok(StagedRows { rows, next: (end < self.count).then_some(page) })
    }

    async fn put_chunks(&self, _: &ChunkSet, chunks: &[(ChunkNumber, Vec<Row>)]) -> PortResult<()> {
        self.wrote(chunks.iter().map(|(_, rows)| rows.len()).sum());
        self.chunks.lock().unwrap().extend(chunks.iter().map(|(_, rows)| rows.len()));
        Ok(())
    }

    async fn chunk(&self, _: &ChunkSet, _: ChunkNumber) -> PortResult<Option<Vec<Row>>> {
        panic!("a pass reads no chunk")
    }

    async fn put_duplicates(
        &self,
        _: &ChunkSet,
        _: &ChunkRange,
        duplicates: &[Duplicate],
    ) -> PortResult<()> {
        self.wrote(duplicates.len());
        *self.duplicates.lock().unwrap() += duplicates.len();
        Ok(())
    }

    async fn duplicates(
        &self,
        _: &ChunkSet,
        _: &ChunkRange,
        _: Option<Place>,
    ) -> PortResult<Vec<Duplicate>> {
        panic!("a pass reads no duplicates")
    }

    async fn put_pass(&self, _: &ChunkSet, _: u32, _: &PassRecord) -> PortResult<()> {
        Ok(())
    }

    async fn pass(&self, _: &ChunkSet, _: u32) -> PortResult<Option<PassRecord>> {
        panic!("a pass reads no record")
    }
}

/// Runs the first pass over the rows.
async fn first_pass(rows: &Rows) -> PassRecord {
    let layout = Layout::new(rows.count.into()).unwrap();
    let campaign = CampaignId(Ulid::from_parts(1, 1));
    let set = ChunkSet { campaign, attempt: 1, round: 0 };
    let policy = Duplicates::First;
    let number = PartNumber::new(1).unwrap();
    let part = Part { number, hash: Hash::of(b""), rows: rows.count.into(), refused: 0, amount: 0 };
    let pass = Pass { set, layout, first: 0, count: PASS_CHUNKS, policy };
    match pass.run(rows, &[part], Timestamp::from_ms(1)).await.unwrap() {
        PassEnd::Done(record) => record,
        _ => panic!("the pass ends"),
    }
}

#[tokio::test]
async fn the_memory_of_a_seal_does_not_grow_with_duplicates() {
    // Two members, and each of them lies in a chunk of the first pass.
    let rows = Rows::new(120_000, |n| format!("m{}", n % 2));
    let record = first_pass(&rows).await;
    assert_eq!((record.totals.rows, record.totals.duplicates), (2, 119_998));
    assert_eq!(*rows.duplicates.lock().unwrap(), 119_998);
    // What is held is written at the end of a page.
    let held_max = DUPLICATES_HELD_MAX + usize::try_from(PAGE).unwrap();
    assert!(*rows.most.lock().unwrap() <= held_max);
}

#[tokio::test]
async fn a_pass_holds_its_share_of_the_rows_and_no_more() {
    let rows = Rows::new(250_000, |n| format!("m{n}"));
    let record = first_pass(&rows).await;
    // Half of the chunks, and so of the rows: its deviation is some 250.
    assert!((123_000..=127_000).contains(&record.totals.rows), "{}", record.totals.rows);
    let chunks = rows.chunks.lock().unwrap();
    assert_eq!((chunks.len(), record.chunks.len()), (1_250, 1_250));
    assert!(chunks.iter().all(|rows| *rows <= CHUNK_ROWS_MAX));
    assert!(*rows.most.lock().unwrap() <= CHUNKS_WRITTEN * CHUNK_ROWS_MAX);
    let shards: u64 = record.shards.iter().map(|sum| sum.rows).sum();
    assert_eq!(shards, record.totals.rows);
}
