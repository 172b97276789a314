//! How much of the limit of a money service workers use, over sockets; and a plain loop beside it.

use std::sync::Arc;
use std::time::Duration;

use largesse_app::money::governed::CALLS_MAX;
use largesse_app::money::service::MoneyService;
use largesse_app::ports::{Money, Payment};
use largesse_aws::production::SystemClock;
use largesse_domain::campaign::ROWS_MAX;
use largesse_domain::grant::{Grant, Reason};
use largesse_domain::id::{GrantId, PoolId, SprayId, Ulid};
use largesse_domain::money::Amount;
use largesse_domain::rate::{Rate, Tolerance};
use largesse_money::{HttpMoney, Settings};
use largesse_money_server::{Faults, Report};
use procfs::process::Process;

use super::super::lab::user_id;
use super::super::report::{Cell, Mark, Table, figure};
use super::super::{BenchError, process, started};
use super::sent::{Sent, Timed};
use super::{Lab, Worker, rate};
use crate::beside::{Beside, MoneyBeside};
use crate::campaign::trial::{self, Silent, Trial};

/// The limits, in calls a second.
const LIMITS: [u32; 2] = [1_000, 5_000];
/// The workers that share one.
const WORKERS: [usize; 3] = [1, 4, 16];
/// The name of the money service.
const SERVICE: &str = "money";
/// Chunks that all workers together work on at once: the lanes of a campaign.
const AT_ONCE: usize = 16;
/// How long the money service takes for each call.
const LATENCY_MS: u64 = 20;
/// What is left out at the beginning: connections are made, the first permits are leased.
const WARM: Duration = Duration::from_secs(2);
/// Seconds of rows beyond those that are measured, so that there are some until the end.
const SPARE_S: u32 = 5;
/// How often the money service is looked at until its first call.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// The mark of the share, in per cent (performance.md).
const SHARE_MIN: f64 = 97.0;
/// A worker that makes no call in this time does not work.
const CALLS_WITHIN: Duration = Duration::from_secs(60);

/// Measures each limit with each number of workers, so many seconds each.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(seconds: u32) -> Result<Table, BenchError> {
    let mut rows = Vec::new();
    for limit in LIMITS {
        for workers in WORKERS {
            let shared = Shared::measure(limit, workers, seconds).await?;
            let name = format!("{limit} calls a second; workers: {workers}");
            rows.push((name, shared.cells(limit)));
        }
    }
    rows.push(("a plain loop, one call after another".to_owned(), plain_loop(seconds).await?));
    Ok(Table {
        name: "campaign_share",
        title: format!("Campaign: the limit of a money service that takes {LATENCY_MS} ms a call"),
        columns: vec![
            "calls_per_s",
            "share_percent",
            "sent_peak_per_s",
            "violations",
            "peak_per_s",
            "took_ms_p50",
            "took_ms_p99",
            "cpu_us_per_call",
        ],
        rows,
        notes: vec![
            "the reference money server on a socket and a thread of its own; violations and the \
             peak of any sliding second are its own counts, from the first call on"
                .to_owned(),
            format!(
                "a worker: its own thread, connections, store and lease of the rate; all together \
                 work on {AT_ONCE} chunks at once"
            ),
            format!("each measured over {seconds} s; processor time is that of the whole process"),
            "sent peak: the most calls that workers sent in any sliding second, which the rate \
             bounds; what a busy machine adds until they arrive is seen by the server alone"
                .to_owned(),
        ],
    })
}

/// What workers made of a limit.
struct Shared {
    calls: u64,
    took: Duration,
    books: Report,
    /// Time on a processor of this process meanwhile.
    cpu: Duration,
    sent: Arc<Sent>,
}

impl Shared {
    async fn measure(limit: u32, workers: usize, seconds: u32) -> Result<Self, BenchError> {
        let faults = Faults { limit_per_s: limit, latency_ms: LATENCY_MS, ..Faults::default() };
        let money = MoneyBeside::start(0, faults).await?;
        let lab = Lab::new()?;
        let sent: Arc<Sent> = Arc::default();
        let threads = attach(&lab, &money.server.url(), limit, workers, &sent)?;
        let (_, stage, api) = lab.start().await?;
        let rows = u64::from(limit).saturating_mul(u64::from(seconds.saturating_add(SPARE_S)));
        let file = Trial::generate(rows.min(ROWS_MAX))?;
        let campaign = file.load(&api, &Silent, "benchmark", false).await?;
        trial::start(&api, &campaign).await?;
        let asked = started();
        while money.server.calls() == 0 {
            if asked.elapsed() > CALLS_WITHIN {
                return Err(BenchError::Broken("no row is paid".to_owned()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        tokio::time::sleep(WARM).await;
        let (before, cpu_before, began) = (money.server.calls(), cpu()?, started());
        tokio::time::sleep(Duration::from_secs(u64::from(seconds))).await;
        let (after, took) = (money.server.calls(), began.elapsed());
        let cpu = cpu()?.saturating_sub(cpu_before);
        stage.stop().await;
        drop(threads);
        let (calls, books) = (after.saturating_sub(before), money.server.report());
        Ok(Self { calls, took, cpu, books, sent })
    }

    fn cells(&self, limit: u32) -> Vec<Cell> {
        let per_s = rate(figure(self.calls), self.took);
        let share = (per_s / f64::from(limit) * 1e4).round() / 100.0;
        let books = &self.books;
        vec![
            Cell::of(per_s),
            Cell::Figure(share, Some(Mark::AtLeast(SHARE_MIN))),
            Cell::Figure(figure(self.sent.peak_per_s()), Some(Mark::AtMost(f64::from(limit)))),
            Cell::Figure(figure(books.limit_violations), Some(Mark::AtMost(0.0))),
            Cell::Figure(figure(books.peak_per_s), Some(Mark::AtMost(f64::from(limit)))),
            Cell::of(figure(self.sent.took_ms(500))),
            Cell::of(figure(self.sent.took_ms(990))),
            Cell::of((self.cpu.as_secs_f64() * 1e6 / figure(self.calls).max(1.0)).round()),
        ]
    }
}

/// Attaches workers, each on a thread of its own.
fn attach(
    lab: &Lab,
    url: &str,
    limit: u32,
    workers: usize,
    sent: &Arc<Sent>,
) -> Result<Vec<Beside>, BenchError> {
    let at_once = Some(AT_ONCE.checked_div(workers).unwrap_or(1));
    let rate = Rate::new(limit, Tolerance::default());
    let rate = rate.ok_or_else(|| BenchError::Broken(format!("{limit} is no limit")))?;
    let mut threads = Vec::new();
    for number in 0..workers {
        let thread = Beside::start(&format!("worker-{number}"));
        let thread = thread.map_err(|source| process("cannot start a thread", source))?;
        let store = lab.another_store()?;
        // As `MoneySettings` makes it, and the moment of each call is kept.
        let base = url.parse().map_err(broken)?;
        let settings = Settings { concurrency_max: CALLS_MAX, ..Settings::new(base) };
        let inner = HttpMoney::new(settings, store.clone()).map_err(broken)?;
        let timed = Timed { inner, clock: store.clone(), sent: sent.clone() };
        let name = SERVICE.parse().map_err(broken)?;
        let money = Arc::new(MoneyService::governed(store.clone(), timed, name, rate));
        lab.attach(&Worker { money, store, handle: thread.handle().clone(), at_once })?;
        threads.push(thread);
    }
    Ok(threads)
}

/// Time on a processor of this process so far.
fn cpu() -> Result<Duration, BenchError> {
    let stat = Process::myself().and_then(|own| own.stat()).map_err(broken)?;
    let ticks = stat.utime.saturating_add(stat.stime);
    let ms = ticks.saturating_mul(1_000).checked_div(procfs::ticks_per_second()).unwrap_or(0);
    Ok(Duration::from_millis(ms))
}

fn broken(error: impl std::error::Error) -> BenchError {
    BenchError::Broken(largesse_app::ports::causes_of(&error))
}

/// The rows of a file, one call after another.
async fn plain_loop(seconds: u32) -> Result<Vec<Cell>, BenchError> {
    let faults = Faults { latency_ms: LATENCY_MS, ..Faults::default() };
    let server = MoneyBeside::start(0, faults).await?;
    let base = server.server.url().parse().map_err(broken)?;
    let money = HttpMoney::new(Settings::new(base), Arc::new(SystemClock)).map_err(broken)?;
    let (began, mut paid) = (started(), 0_u32);
    while began.elapsed() < Duration::from_secs(u64::from(seconds)) {
        let outcome = money.pay(&[grant(paid)?]).await.pop();
        if !matches!(outcome, Some(Payment::Paid)) {
            return Err(BenchError::Broken(format!("a payment came to {outcome:?}")));
        }
        paid = paid.saturating_add(1);
    }
    let took = began.elapsed();
    Ok(vec![
        Cell::of(rate(f64::from(paid), took)),
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::of(figure(server.server.report().peak_per_s)),
        Cell::of((took.as_secs_f64() * 1e3 / f64::from(paid.max(1))).round()),
        Cell::Empty,
        Cell::Empty,
    ])
}

fn grant(number: u32) -> Result<Grant, BenchError> {
    let id = Ulid::from_parts(1_767_225_600_000, u128::from(number));
    Ok(Grant {
        id: GrantId(id),
        source: PoolId::Spray(SprayId(id)),
        member: user_id("member")?,
        amount: Amount::new(1).map_err(broken)?,
        reason: Reason::Campaign,
        funder: user_id("operator")?,
        memo: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How late a call arrives depends on the machine, so nothing is claimed about the limit here.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn several_workers_share_a_limit_and_pay_each_row_once() {
        let shared = Shared::measure(100, 4, 1).await.unwrap();
        let books = &shared.books;
        assert!(shared.calls > 0 && books.paid >= shared.calls, "{books:?}");
        assert!(shared.sent.peak_per_s() >= 1);
        assert_eq!((books.paid_twice, books.duplicates, books.wrong_amounts), (0, 0, 0));
    }

    #[tokio::test]
    async fn a_plain_loop_has_one_call_under_way() {
        let cells = plain_loop(1).await.unwrap();
        assert!(matches!(cells[0], Cell::Figure(paid, None) if paid >= 1.0), "{cells:?}");
    }
}
