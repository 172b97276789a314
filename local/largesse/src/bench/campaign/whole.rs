//! The whole of a campaign in one process: loaded over HTTP, sealed, paid, read back.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use largesse_app::ports::{Money, Payment, PortResult, Reversal, Standing};
use largesse_domain::grant::Grant;
use largesse_emulator::World;
use procfs::process::Process;
use tokio::runtime::Handle;

use super::super::report::{Cell, Mark, Table, figure};
use super::super::{BenchError, started};
use super::usage::Usage;
use super::{Lab, Worker, rate, seconds};
use crate::campaign::Say;
use crate::campaign::api::Api;
use crate::campaign::trial::{self, Trial};
use crate::campaign::wire::Campaign;

/// Marks of performance.md.
const WRITE_UNITS_MAX: f64 = 0.2;
const PROGRESS_WRITES_MAX: f64 = 15_000.0;
const MEMORY_MIB_MAX: f64 = 512.0;
const DOLLARS_MAX: f64 = 1.0;
/// The ledger is paid one row in so many, and at least so many rows.
const LEDGER_SHARE: u32 = 50;
const LEDGER_ROWS_MIN: u32 = 1_000;
/// Rows that are read by their member.
const SAMPLE: u64 = 100;
/// Assumed of AWS: environments of campaign-pay that wait for a money service of so many calls a
/// second.
const LANES: f64 = 16.0;
const CALLS_PER_S: f64 = 1_000.0;

/// A money service in this process that pays everything and only counts.
#[derive(Default)]
struct Counting {
    payments: AtomicU64,
    sum: AtomicU64,
}

impl Money for Counting {
    async fn pay(&self, grants: &[Grant]) -> Vec<Payment> {
        let count = u64::try_from(grants.len()).unwrap_or(u64::MAX);
        self.payments.fetch_add(count, Ordering::Relaxed);
        let sum = grants.iter().fold(0, |sum: u64, one| sum.saturating_add(one.amount.get()));
        self.sum.fetch_add(sum, Ordering::Relaxed);
        grants.iter().map(|_| Payment::Paid).collect()
    }

    async fn lookup(&self, grants: &[Grant]) -> PortResult<Vec<Standing>> {
        Ok(vec![Standing::NotPaid; grants.len()])
    }

    async fn reverse(&self, _: &Grant) -> PortResult<Reversal> {
        Ok(Reversal::NotPaid)
    }
}

/// What a load says: a moment and the usage at each text.
struct Moments {
    world: World,
    began: Instant,
    seen: Mutex<Vec<Usage>>,
}

impl Say for Moments {
    fn say(&self, _: &str) -> std::io::Result<()> {
        let usage = Usage::of(&self.world, self.began);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(usage);
        Ok(())
    }
}

/// A run to its end.
struct Run {
    /// Reading and checking the file, uploading, sealing, paying.
    phases: Vec<(&'static str, Usage)>,
    whole: Usage,
    campaign: Campaign,
    /// The rows that were read by their members, and how long each took.
    read_in: Duration,
}

/// Measures a campaign of so many rows, and one that the ledger pays.
///
/// # Errors
/// [`BenchError`], also when a count is not exact.
pub async fn measure(rows: u32) -> Result<Vec<Table>, BenchError> {
    let money = Arc::new(Counting::default());
    let run = run(rows, |_| Ok(money.clone())).await?;
    let memory_mib = peak_mib()?;
    let (paid, sum) = (money.payments.load(Ordering::Relaxed), money.sum.load(Ordering::Relaxed));
    let sealed = run.campaign.sealed.as_ref().map_or(0, |sealed| sealed.amount);
    if (paid, sum) != (u64::from(rows), sealed) {
        return Err(BenchError::Broken(format!("{paid} payments of {sum} in all, not {sealed}")));
    }
    let ledger_rows = rows.div_euclid(LEDGER_SHARE).max(LEDGER_ROWS_MIN).min(rows);
    let by_ledger = self::run(ledger_rows, |lab| lab.another_store()).await?;
    Ok(vec![phases(&run, rows, &by_ledger, ledger_rows), outcome(&run, rows, memory_mib)])
}

/// Loads, seals, pays and reads a campaign.
async fn run<M: Money + 'static>(
    rows: u32,
    money: impl FnOnce(&Lab) -> Result<Arc<M>, BenchError>,
) -> Result<Run, BenchError> {
    let file = Trial::generate(u64::from(rows))?;
    let lab = Lab::new()?;
    lab.world.recorder().measure_units(true);
    let (money, store) = (money(&lab)?, lab.another_store()?);
    lab.attach(&Worker { money, store, handle: Handle::current(), at_once: None })?;
    let (world, stage, api) = lab.start().await?;
    let began = started();
    let moments = Moments { world: world.clone(), began, seen: Mutex::default() };
    let campaign = file.load(&api, &moments, "benchmark", false).await?;
    let loaded = Usage::of(&world, began);
    trial::start(&api, &campaign).await?;
    let campaign = trial::finish(&api, &moments, &campaign).await?;
    let whole = Usage::of(&world, began);
    // The file, the campaign, its parts, its seal, and what follows.
    let seen = moments.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let [checked, made, uploaded, ..] = seen[..] else {
        return Err(BenchError::Broken("the load said less than it does".to_owned()));
    };
    let phases = vec![
        ("read and check the file", checked),
        ("upload the parts", uploaded.since(made)),
        ("seal", loaded.since(uploaded)),
        ("pay", whole.since(loaded)),
    ];
    let counts = campaign.counts.unwrap_or_default();
    if (counts.rows, counts.success) != (u64::from(rows), u64::from(rows)) {
        return Err(BenchError::Broken(format!("{rows} rows were to be paid: {counts:?}")));
    }
    let read_in = sample(&api, &campaign.campaign_id, file.rows()).await?;
    stage.stop().await;
    Ok(Run { phases, whole, campaign, read_in })
}

/// Reads rows by their members, spread over the campaign, and says how long each took.
async fn sample(api: &Api, id: &str, rows: u64) -> Result<Duration, BenchError> {
    let began = started();
    let count = SAMPLE.min(rows);
    for number in 0..count {
        let place = number.saturating_mul(rows).checked_div(count).unwrap_or(0).saturating_add(1);
        let row = trial::row(api, id, &format!("user-{place:07}")).await?;
        if row.status != "SUCCESS" {
            return Err(BenchError::Broken(format!("{row:?} was to be paid")));
        }
    }
    Ok(began.elapsed().checked_div(u32::try_from(count).unwrap_or(1)).unwrap_or_default())
}

/// The most memory that this process has held so far.
fn peak_mib() -> Result<f64, BenchError> {
    let status = Process::myself().and_then(|own| own.status());
    let status =
        status.map_err(|error| BenchError::Broken(format!("cannot read /proc: {error}")))?;
    Ok((figure(status.vmhwm.unwrap_or(0)) / 1_024.0).round())
}

fn each(sum: f64, rows: u32) -> f64 {
    (sum / f64::from(rows) * 1e4).round() / 1e4
}

fn row(name: String, used: Usage, rows: u32, marked: bool) -> (String, Vec<Cell>) {
    let mark = |limit| marked.then_some(Mark::AtMost(limit));
    // Only what pays waits for the money service.
    let waiting_s = if marked { LANES / CALLS_PER_S } else { 0.0 };
    let dollars = (used.dollars(f64::from(rows), waiting_s) * 1e3).round() / 1e3;
    let cells = vec![
        Cell::of(seconds(used.at)),
        Cell::of(rate(f64::from(rows), used.at).round()),
        Cell::Figure(each(used.write, rows), mark(WRITE_UNITS_MAX)),
        Cell::of(each(used.read, rows)),
        Cell::of(each(used.calls, rows)),
        Cell::Figure(dollars, mark(DOLLARS_MAX)),
    ];
    (name, cells)
}

fn phases(run: &Run, rows: u32, by_ledger: &Run, ledger_rows: u32) -> Table {
    let phase = |(name, used): &(&str, Usage)| row((*name).to_owned(), *used, rows, false);
    let mut table_rows: Vec<_> = run.phases.iter().map(phase).collect();
    table_rows.push(row("the whole".to_owned(), run.whole, rows, true));
    if let Some((_, used)) = by_ledger.phases.last() {
        let name = format!("pay by the ledger, {ledger_rows} rows");
        table_rows.push(row(name, *used, ledger_rows, false));
    }
    Table {
        name: "campaign",
        title: format!("Campaign: {rows} rows in one process, with unlimited money"),
        columns: vec![
            "took_s",
            "rows_per_s",
            "write_units_per_row",
            "read_units_per_row",
            "calls_per_row",
            "dollars_per_million",
        ],
        rows: table_rows,
        notes: vec![
            "over HTTP on loopback, as `largesse campaign load` and `start`; the caller is in the \
             process, as are tables and queues"
                .to_owned(),
            "money: a port in the process that pays everything and only counts, so writes are the \
             bookkeeping alone; the ledger adds one transaction for each row"
                .to_owned(),
            "write units do not include writes whose condition failed".to_owned(),
            format!(
                "dollars of the whole: prices and assumptions of `bench counts`, and {LANES} \
                 environments that wait as long as {CALLS_PER_S} calls a second take"
            ),
        ],
    }
}

fn outcome(run: &Run, rows: u32, memory_mib: f64) -> Table {
    let counts = run.campaign.counts.unwrap_or_default();
    let progress = run.phases.last().map_or(0.0, |(_, paying)| paying.transactions + paying.puts);
    let others = counts.rows.saturating_sub(counts.success);
    let cells = vec![
        Cell::of(figure(counts.success)),
        Cell::Figure(figure(others), Some(Mark::AtMost(0.0))),
        Cell::Figure(progress, Some(Mark::AtMost(PROGRESS_WRITES_MAX))),
        Cell::Figure(memory_mib, Some(Mark::AtMost(MEMORY_MIB_MAX))),
        Cell::of(figure(SAMPLE.min(counts.rows))),
        Cell::of((run.read_in.as_secs_f64() * 1e4).round() / 10.0),
    ];
    Table {
        name: "campaign_outcome",
        title: format!("Campaign: what became of the {rows} rows"),
        columns: vec![
            "success",
            "others",
            "progress_writes",
            "peak_memory_mib",
            "rows_read_by_member",
            "read_ms",
        ],
        rows: vec![("unlimited money".to_owned(), cells)],
        notes: vec![
            "progress writes: transactions that commit a chunk with its counters, and snapshots"
                .to_owned(),
            "peak memory: VmHWM of this process, all of which ran in it".to_owned(),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(table: &Table, row: &str, column: &str) -> f64 {
        let place = table.columns.iter().position(|name| *name == column).unwrap();
        let (_, cells) = table.rows.iter().find(|(name, _)| name == row).unwrap();
        match cells[place] {
            Cell::Figure(figure, _) => figure,
            ref other => panic!("{other:?}"),
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_campaign_is_paid_whole_and_its_costs_are_within_the_marks() {
        let tables = measure(2_000).await.unwrap();
        let [phases, outcome] = &tables[..] else { panic!("{tables:?}") };
        let of = |column| cell(outcome, "unlimited money", column);
        assert_eq!((of("success"), of("others"), of("rows_read_by_member")), (2_000.0, 0.0, 100.0));
        // Twenty chunks, and what a campaign writes once.
        assert!((20.0..60.0).contains(&of("progress_writes")), "{outcome:?}");
        assert!(of("peak_memory_mib") > 1.0);
        let written = |row| cell(phases, row, "write_units_per_row");
        assert!((0.05..=WRITE_UNITS_MAX).contains(&written("the whole")), "{phases:?}");
        // A payment by the ledger: wallet and transfer, in a transaction.
        assert!(written("pay by the ledger, 1000 rows") >= 4.0, "{phases:?}");
    }
}
