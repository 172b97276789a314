//! What it costs to know the caller: the same requests open and signed, in one run, and the share of
//! each part: key, signature, nonce and limits.
//!
//! Calls and units are exact. Times are those of the processor: the store is in this process, so each
//! call in a row adds a round trip at AWS.

mod kinds;
mod parts;
mod scene;

use std::time::Duration;

use hdrhistogram::Histogram;

use super::http::{Crowd, HOT_SHARES, Until};
use super::meter::{self, Count, summary};
use super::report::{Cell, Table, figure};
use super::server::Server;
use super::{BenchError, started};
use kinds::{Kind, Mode};
use scene::Scene;

const COLUMNS: [&str; 6] =
    ["calls", "calls_in_a_row", "read_units", "write_units", "p50_us", "p99_us"];
/// Requests that are counted. The caches of a process make the first one differ from the next.
const COUNTED: u32 = 5;
/// Requests that are timed at most, of each row.
const TIMED_MAX: u32 = 500;
/// The longest time that is told apart, in nanoseconds: a minute.
const TIME_NS_MAX: u64 = 60_000_000_000;

/// Measures each kind of request for about twice `each`: in processes that have just started, and in
/// one that knows what it needs.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(each: Duration) -> Result<Vec<Table>, BenchError> {
    let mut scene = Scene::new().await?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        for is_cold in [true, false] {
            rows.extend(measured(&mut scene, kind, is_cold, each).await?);
        }
    }
    let requests = Table {
        name: "auth",
        title: "Auth: the same requests with AUTH=open and AUTH=signed".to_owned(),
        columns: COLUMNS.to_vec(),
        rows,
        notes: vec![
            "cold: the first request of a process; warm: one that knows the key and what the request \
             names"
                .to_owned(),
            "both are timed in turn, without HTTP, over a store in this process: at AWS each call in \
             a row adds a round trip"
                .to_owned(),
            format!(
                "both have the limits of callers, which cannot be turned off: `auth_parts` has their \
                 share; counts are means of {COUNTED} requests"
            ),
        ],
    };
    Ok(vec![requests, parts::measure(&scene).await?])
}

/// How many claims over HTTP are under way at once.
const CALLERS: [usize; 2] = [1, 16];

/// Measures claims over HTTP on loopback, of two processes in turn: one that is open, and one whose
/// callers sign.
///
/// # Errors
/// [`BenchError`].
pub async fn over_http(each: Duration) -> Result<Table, BenchError> {
    let mut crowds = Vec::new();
    for mode in Mode::ALL {
        let server = Server::start_as(None, mode == Mode::Signed).await?;
        let crowd = Crowd::gather(server.client.clone()).await?;
        crowds.push((mode, server, crowd));
    }
    let mut rows = Vec::new();
    for callers in CALLERS {
        for (mode, _, crowd) in &mut crowds {
            let row = crowd.claims(HOT_SHARES, 1, callers, Until::Time(each)).await?;
            let name = format!("{callers} callers, {}", mode.name());
            let cells = [row.rate().round(), row.ms(0.5), row.ms(0.99)];
            rows.push((name, cells.into_iter().map(Cell::of).collect()));
        }
    }
    Ok(Table {
        name: "auth_http",
        title: "Auth: claims over HTTP on this machine".to_owned(),
        columns: vec!["claims_per_s", "p50_ms", "p99_ms"],
        rows,
        notes: vec![
            "callers, who sign, and servers, who check, share this machine's processors; in memory, \
             limits out of reach"
                .to_owned(),
        ],
    })
}

type Rows = Vec<(String, Vec<Cell>)>;

async fn measured(
    scene: &mut Scene,
    kind: Kind,
    is_cold: bool,
    each: Duration,
) -> Result<Rows, BenchError> {
    let mut counts = Mode::ALL.map(|_| Vec::new());
    for _ in 0..COUNTED {
        for (mode, counts) in Mode::ALL.into_iter().zip(&mut counts) {
            let (process, request) = scene.prepare(kind, mode, is_cold).await?;
            let (answer, count) = meter::count(&scene.lab.world, process.answer(request)).await;
            kind.check(answer?)?;
            counts.push(count);
        }
    }
    let mut times = Times::of(Mode::ALL.len())?;
    let (began, mut timed) = (started(), 0);
    while timed < TIMED_MAX && began.elapsed() < each {
        for (place, mode) in Mode::ALL.into_iter().enumerate() {
            let (process, request) = scene.prepare(kind, mode, is_cold).await?;
            let begins = started();
            let answer = process.answer(request).await;
            times.record(place, begins.elapsed());
            kind.check(answer?)?;
        }
        timed = timed.saturating_add(1);
    }
    let how = if is_cold { "cold" } else { "warm" };
    let named = Mode::ALL.into_iter().enumerate().zip(&counts);
    Ok(named
        .map(|((place, mode), counts)| {
            let name = format!("{}, {how}, {}", kind.name(), mode.name());
            (name, cells(summary(counts), times.cells(place)))
        })
        .collect())
}

fn cells(count: Count, times: [Cell; 2]) -> Vec<Cell> {
    let counted = [count.calls, count.rounds, count.read, count.write];
    counted.into_iter().map(Cell::of).chain(times).collect()
}

/// How long things of several kinds took.
struct Times(Vec<Histogram<u64>>);

impl Times {
    fn of(kinds: usize) -> Result<Self, BenchError> {
        let one = || Histogram::new_with_max(TIME_NS_MAX, 3).map_err(super::broken);
        Ok(Self((0..kinds).map(|_| one()).collect::<Result<_, _>>()?))
    }

    fn record(&mut self, kind: usize, took: Duration) {
        if let Some(times) = self.0.get_mut(kind) {
            times.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// The median and the 99th percentile, in microseconds.
    fn cells(&self, kind: usize) -> [Cell; 2] {
        [0.5, 0.99].map(|quantile| {
            let times = self.0.get(kind).filter(|times| !times.is_empty());
            let us = |times: &Histogram<u64>| figure(times.value_at_quantile(quantile)) / 1e3;
            times.map_or(Cell::Empty, |times| Cell::of(us(times)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The figures of a row: calls, calls in a row, read units, write units.
    fn figures(table: &Table, name: &str) -> [f64; 4] {
        let row = table.rows.iter().find(|(found, _)| found == name);
        let cells = &row.unwrap_or_else(|| panic!("no row {name}")).1;
        [0, 1, 2, 3].map(|column| match &cells[column] {
            Cell::Figure(figure, _) => *figure,
            other => panic!("{name} has {other:?}"),
        })
    }

    /// The clock stands still: what a process keeps for a second is kept on a slow machine, too.
    #[tokio::test(start_paused = true)]
    async fn a_signed_request_costs_a_write_and_the_first_of_a_process_a_read_too() {
        let tables = measure(Duration::ZERO).await.unwrap();
        let [requests, parts] = &tables[..] else { panic!("{tables:?}") };
        for kind in Kind::ALL {
            let of = |how: &str, mode: Mode| {
                figures(requests, &format!("{}, {how}, {}", kind.name(), mode.name()))
            };
            for (how, more) in [("cold", [2.0, 2.0, 1.0, 1.0]), ("warm", [1.0, 1.0, 0.0, 1.0])] {
                let (open, signed) = (of(how, Mode::Open), of(how, Mode::Signed));
                let added = [0, 1, 2, 3].map(|column| signed[column] - open[column]);
                assert_eq!(added, more, "{} {how}", kind.name());
            }
        }
        for (name, expected) in [
            ("key, first of a process", [1.0, 1.0, 1.0, 0.0]),
            ("key, known to the process", [0.0, 0.0, 0.0, 0.0]),
            ("signature, no body", [0.0, 0.0, 0.0, 0.0]),
            ("nonce", [1.0, 1.0, 0.0, 1.0]),
            ("key, its use, once an hour", [1.0, 1.0, 0.0, 1.0]),
            ("limits: the same behind the filter", [0.0, 0.0, 0.0, 0.0]),
            ("limits: missed tokens, read", [1.0, 1.0, 3.0, 0.0]),
            ("limits: missed tokens, the member's alone, read", [1.0, 1.0, 1.0, 0.0]),
            ("limits: a missed token, counted", [3.0, 2.0, 0.0, 3.0]),
            ("limits: a creation, first of a process", [2.0, 2.0, 0.0, 2.0]),
        ] {
            assert_eq!(figures(parts, name), expected, "{name}");
        }
    }
}
