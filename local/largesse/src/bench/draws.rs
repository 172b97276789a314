//! Draws: what filling a pool of 1,000 parts costs, and how fast one process does it, without HTTP
//! and without payments.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use largesse_app::invocation;
use largesse_app::pool::draw::draw;
use largesse_app::ports::{Clock, Ids, Rng};
use largesse_app::trace::TraceId;
use largesse_aws::Store;
use largesse_domain::pool::{Draw, Nonce};
use largesse_domain::spray::Spray;
use largesse_emulator::Service;

use super::lab::{Lab, MemberIds, user_id};
use super::report::{Cell, Mark, Table, figure};
use super::{BenchError, started};

/// How many draws are under way at once, and by how many processes.
const CROWDS: [(usize, usize); 4] = [(1, 1), (16, 1), (64, 1), (64, 16)];
/// Parts of a pool.
const PARTS: u32 = 1_000;
/// The mark of write units a draw, for UUIDs (performance.md).
const WRITE_UNITS: f64 = 1.5;

/// Measures for about `each` per row.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(each: Duration) -> Result<Table, BenchError> {
    let mut rows = Vec::new();
    for ids in MemberIds::ALL {
        for (at_once, processes) in CROWDS {
            let lab = Lab::new(ids)?;
            lab.world.recorder().measure_units(true);
            let filling = Filling::measure(&lab, each, at_once, processes).await?;
            let name = format!("{}, {at_once} at once; processes: {processes}", ids.name());
            rows.push((name, filling.cells(ids)));
        }
    }
    Ok(Table {
        name: "draws",
        title: format!("Draws: filling pools of {PARTS} parts"),
        columns: vec![
            "draws_per_s",
            "writes_per_draw",
            "write_units_per_draw",
            "read_units_per_draw",
        ],
        rows,
        notes: vec![
            "means over whole fillings, by as many members as there are parts; one thread"
                .to_owned(),
            "a write that meets a full bucket counts, with the units of the full bucket".to_owned(),
        ],
    })
}

/// Sums over whole fillings.
#[derive(Default)]
struct Filling {
    took: Duration,
    draws: f64,
    writes: f64,
    write_units: f64,
    read_units: f64,
}

impl Filling {
    async fn measure(
        lab: &Lab,
        each: Duration,
        at_once: usize,
        processes: usize,
    ) -> Result<Self, BenchError> {
        lab.deposit(1_000_000_000).await?;
        let room = lab.room(0).await?;
        let mut sum = Self::default();
        while sum.took < each {
            let spray = lab.spray(room, PARTS).await?;
            let stores = (0..processes).map(|_| lab.another_store());
            let stores: Vec<Arc<Store>> = stores.collect::<Result<_, _>>()?;
            let recorder = lab.world.recorder();
            recorder.reset();
            let began = started();
            let draws = (0..PARTS).zip(stores.iter().cycle());
            let draws = draws.map(|(n, store)| draw_one(lab, store, &spray, n));
            let mut draws = futures::stream::iter(draws).buffer_unordered(at_once);
            while let Some(drawn) = draws.next().await {
                drawn?;
            }
            sum.took = sum.took.saturating_add(began.elapsed());
            let (updates, all) =
                (recorder.operation(Service::DynamoDb, "UpdateItem"), recorder.total());
            // All buckets but the last are full and of one size.
            let full = lab.full_units(spray.pool(), spray.recipients).await?;
            sum.draws += f64::from(PARTS);
            sum.writes += figure(updates.calls);
            sum.write_units += all.write + figure(updates.failed) * full;
            sum.read_units += all.read;
        }
        Ok(sum)
    }

    fn cells(&self, ids: MemberIds) -> Vec<Cell> {
        let each = |sum: f64| (sum / self.draws * 1e3).round() / 1e3;
        let mark = (ids == MemberIds::Uuid).then_some(Mark::AtMost(WRITE_UNITS));
        vec![
            Cell::of((self.draws / self.took.as_secs_f64()).round()),
            Cell::of(each(self.writes)),
            Cell::Figure(each(self.write_units), mark),
            Cell::of(each(self.read_units)),
        ]
    }
}

async fn draw_one(lab: &Lab, store: &Store, spray: &Spray, n: u32) -> Result<(), BenchError> {
    let mut bits = [0; 8];
    store.fill(&mut bits);
    let nonce = Nonce::from_bits(u64::from_be_bytes(bits));
    let request = Draw { member: user_id(&lab.member(n))?, at: store.now(), nonce };
    // A draw writes the trace of its request.
    let drawn = draw(store, spray.pool(), spray.recipients, &request);
    let won = invocation::traced(TraceId::of_ulid(store.ulid()), drawn).await?;
    won.map(drop).map_err(|refused| BenchError::Broken(format!("not drawn: {refused:?}")))
}
