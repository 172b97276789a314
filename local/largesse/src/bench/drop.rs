//! Drops: what an entry costs, and how fast drops are filled, beside designs that come to mind first.
//!
//! # Guarantees
//! * The system gives each slot once, whatever the crowd does:
//!   `a_drop_is_filled_without_anything_wrong_and_a_loser_writes_nothing`.
//! * What a simpler design does wrong is counted:
//!   `a_counter_and_a_row_written_separately_give_a_member_two_slots`.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::drop::create::{self, Create};
use largesse_app::drop::enter::{EnterError, Entered, enter};
use largesse_app::invocation;
use largesse_app::pool::read::buckets;
use largesse_app::ports::{Clock, Ids};
use largesse_app::trace::TraceId;
use largesse_aws::Store;
use largesse_domain::drop::{Drop, DropName, Terms};
use largesse_domain::id::DropId;
use largesse_domain::time::Window;

use super::contest::{self, Arrival, CALLERS, PROCESSES_MAX, Spent, Stored, Sum, Taken};
use super::lab::{Ask, Lab, MemberIds, OPEN_S, Process, user_id};
use super::meter::{self, Count};
use super::naive::{Design, Naive};
use super::report::{Cell, Mark, Table};
use super::{BenchError, broken};

/// The mark of write units on the bucket, for UUIDs, and of dollars for a million (performance.md).
const BUCKET_UNITS: f64 = 1.5;
const DOLLARS: f64 = 2.5;
/// Every so many entries, one is the first of its process.
const COLD_EVERY: u32 = 20;
/// Losers that are measured.
const LOSERS: u32 = 10;

/// How large the drops are.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Slots of a drop.
    pub slots: u32,
    /// Members who enter.
    pub people: u32,
}

impl Size {
    /// What is measured.
    pub const USUAL: Self = Self { slots: 1_000, people: 1_200 };
}

async fn make(lab: &Lab, slots: u32) -> Result<Drop, BenchError> {
    lab.deposit(slots.into()).await?;
    let now = lab.store.now();
    let window = Window { opens: now, closes: now.plus_ms(OPEN_S.saturating_mul(1_000)) };
    let name = DropName::new("bench").map_err(broken)?;
    let terms = Terms::new(name, slots.into(), 1, window, Some(0)).map_err(broken)?;
    let funder = user_id(&lab.sender)?;
    let request = Create { id: DropId(lab.store.ulid()), funder, terms };
    Ok(create::create(&*lab.store, request).await.map_err(broken)?.drop)
}

/// What an entry costs while a drop is filled, and after it.
///
/// # Errors
/// [`BenchError`].
pub async fn costs(slots: u32) -> Result<Table, BenchError> {
    let mut rows = Vec::new();
    for ids in MemberIds::ALL {
        let lab = Lab::new(ids)?;
        lab.world.recorder().measure_units(true);
        lab.world.recorder().keep_calls(true);
        let drop = make(&lab, slots).await?;
        let known = lab.process()?;
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for n in 0..slots {
            let is_cold = n.checked_rem(COLD_EVERY) == Some(0);
            let process = if is_cold { lab.process()? } else { known.clone() };
            let count = entry(&lab, &process, &drop, n, 201).await?;
            if is_cold { cold.push(count) } else { warm.push(count) }
        }
        // All buckets but the last are full and of one size.
        let full = lab.full_units(drop.pool(), slots).await?;
        let winners = |counts: Vec<Count>| mean(counts.into_iter().map(|one| one.weighed(full)));
        let name = |what: &str| format!("{what}; {}", ids.name());
        let is_marked = ids == MemberIds::Uuid;
        let all = [cold.clone(), warm.clone()].concat();
        rows.push(row(name("winner, mean over the whole filling"), winners(all), is_marked));
        rows.push(row(name("winner, first of a process"), winners(cold), false));
        let mut losers = Vec::new();
        for n in 0..LOSERS {
            losers.push(entry(&lab, &known, &drop, slots.saturating_add(n), 410).await?);
        }
        // The first loser makes the process know all buckets.
        losers.remove(0);
        let late = mean(losers.into_iter());
        let mut late = row(name("loser, known to the process"), late, false);
        if let Some(Cell::Figure(_, mark)) = late.1.get_mut(3) {
            *mark = Some(Mark::AtMost(0.0));
        }
        rows.push(late);
    }
    Ok(Table {
        name: "drop_costs",
        title: format!("Drops: what an entry costs, over the whole filling of {slots} slots"),
        columns: vec![
            "calls",
            "calls_in_a_row",
            "read_units",
            "write_units",
            "bucket_write_units",
            "dollars_per_million",
        ],
        rows,
        notes: vec![
            format!("means, one after another; every {COLD_EVERY}th is the first of a process"),
            "write units include failed conditions, with the units of a full bucket; dollars as in \
             `counts`; payments are those of claims"
                .to_owned(),
        ],
    })
}

async fn entry(
    lab: &Lab,
    process: &Process,
    drop: &Drop,
    n: u32,
    expected: u16,
) -> Result<Count, BenchError> {
    let user = lab.member(n);
    let path = format!("/api/v2/drops/{}/entries", drop.id);
    let ask = Ask { method: "POST", path, user: &user, room: None, body: "" };
    let (answer, count) = meter::count(&lab.world, process.send(&ask)).await;
    let (status, body) = answer?;
    if status != expected {
        return Err(BenchError::Broken(format!("an entry was answered {status}: {body}")));
    }
    Ok(Count { http: 1.0, invocations: 1.0, ..count })
}

fn mean(counts: impl Iterator<Item = Count>) -> Count {
    meter::mean(&counts.collect::<Vec<_>>())
}

fn row(name: String, count: Count, is_marked: bool) -> (String, Vec<Cell>) {
    let figure = |value: f64| (value * 1e3).round() / 1e3;
    let marked =
        |value, limit| Cell::Figure(figure(value), is_marked.then_some(Mark::AtMost(limit)));
    let cells = vec![
        Cell::of(figure(count.calls)),
        Cell::of(figure(count.rounds)),
        Cell::of(figure(count.read)),
        Cell::of(figure(count.write)),
        marked(count.bucket, BUCKET_UNITS),
        marked(count.dollars(), DOLLARS),
    ];
    (name, cells)
}

/// How many a second; each row for about `each`.
///
/// # Errors
/// [`BenchError`].
pub async fn rates(each: Duration, size: Size) -> Result<Table, BenchError> {
    let lab = Lab::new(MemberIds::Uuid)?;
    lab.world.recorder().measure_units(true);
    let mut rows = Vec::new();
    for callers in CALLERS {
        let mut sum = Sum::new()?;
        while sum.took <= each {
            fill(&lab, size, callers, &mut sum).await?;
        }
        rows.push((format!("Largesse, {callers} callers"), sum.drop_cells(true)));
        for design in Design::ALL {
            let mut sum = Sum::new()?;
            while sum.took <= each {
                fill_naive(&lab, design, size, callers, &mut sum).await?;
            }
            rows.push((format!("{}, {callers} callers", design.name()), sum.drop_cells(false)));
        }
    }
    let Size { slots, people } = size;
    Ok(Table {
        name: "drop_rates",
        title: format!("Drops: {people} members enter drops of {slots} slots, some twice at once"),
        columns: vec![
            "entries_per_s",
            "p50_ms",
            "p99_ms",
            "write_units_per_winner",
            "oversold",
            "duplicate_numbers",
            "won_twice",
            "lost_slots",
            "unanswered",
        ],
        rows,
        notes: contest::notes(),
    })
}

async fn fill(lab: &Lab, size: Size, callers: usize, sum: &mut Sum) -> Result<(), BenchError> {
    let drop = make(lab, size.slots).await?;
    let stores = (0..callers.min(PROCESSES_MAX)).map(|_| lab.another_store());
    let stores: Vec<Arc<Store>> = stores.collect::<Result<_, _>>()?;
    lab.world.recorder().reset();
    let arrivals = contest::arrivals(size.people, |_| 1);
    let take = |at: usize, arrival: Arrival| {
        let store = stores.get(at.checked_rem(stores.len()).unwrap_or(0)).cloned();
        let store = store.unwrap_or_else(|| lab.store.clone());
        let (id, member) = (drop.id, user_id(&lab.member(arrival.member)));
        async move {
            // An entry writes the trace of its request.
            let entering = enter(&*store, id, member?);
            match invocation::traced(TraceId::of_ulid(store.ulid()), entering).await {
                Ok(Entered::Won { slot, .. }) => Ok(Taken::Got { number: slot }),
                Err(EnterError::Already { .. }) => Ok(Taken::Already),
                Err(EnterError::SoldOut) => Ok(Taken::Full),
                Ok(Entered::Waiting { .. } | Entered::Registered) => {
                    Err(BenchError::Broken("an entry waits, and there is no list".to_owned()))
                }
                Err(error) => Err(broken(error)),
            }
        }
    };
    let told = sum.fill(&arrivals, callers, take).await?;
    let spent = Spent::read(lab.world.recorder());
    let full = lab.full_units(drop.pool(), 1).await?;
    let mut stored = Stored::default();
    for bucket in buckets(&*lab.store, drop.pool(), drop.slots).await? {
        let given = u64::try_from(bucket.draws.len()).unwrap_or(u64::MAX);
        stored.taken = stored.taken.saturating_add(bucket.taken.into());
        stored.given = stored.given.saturating_add(given);
    }
    sum.check(spent.with_failed(full, 0.0), &told, stored, size.slots.into());
    Ok(())
}

async fn fill_naive(
    lab: &Lab,
    design: Design,
    size: Size,
    callers: usize,
    sum: &mut Sum,
) -> Result<(), BenchError> {
    let naive = Naive::new(lab, design, size.slots.into(), true)?;
    let arrivals = contest::arrivals(size.people, |_| 1);
    naive.fill(lab, &arrivals, callers, sum).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drop_is_filled_without_anything_wrong_and_a_loser_writes_nothing() {
        let size = Size { slots: 32, people: 48 };
        let costs = costs(size.slots).await.unwrap();
        let rates = rates(Duration::ZERO, size).await.unwrap();
        let late: Vec<&Cell> = costs
            .rows
            .iter()
            .filter(|(name, _)| name.starts_with("loser"))
            .map(|(_, cells)| &cells[3])
            .collect();
        assert_eq!(late, [&Cell::Figure(0.0, Some(Mark::AtMost(0.0))); 2]);
        let ours = rates.rows.iter().filter(|(name, _)| name.starts_with("Largesse"));
        let ours: Vec<&[Cell]> = ours.map(|(_, cells)| &cells[4..]).collect();
        assert_eq!(ours.len(), CALLERS.len());
        for wrong in ours {
            assert!(wrong.iter().all(|one| *one == Cell::Figure(0.0, Some(Mark::AtMost(0.0)))));
        }
        assert_eq!(rates.rows.len(), 4 * CALLERS.len());
    }

    /// Both requests of a member find no row; so the counter is raised twice.
    #[tokio::test]
    async fn a_counter_and_a_row_written_separately_give_a_member_two_slots() {
        let lab = Lab::new(MemberIds::Uuid).unwrap();
        let mut sum = Sum::new().unwrap();
        let size = Size { slots: 32, people: 48 };
        fill_naive(&lab, Design::Separate, size, 16, &mut sum).await.unwrap();
        let cells = sum.drop_cells(false);
        // Won twice, and so lost: one of the two slots has no row.
        assert_ne!(cells[6], Cell::of(0.0));
        assert_eq!(cells[6], cells[7]);
    }
}
