//! The same arrivals at several designs, and what each answered and kept.
//!
//! # Guarantees
//! * What was given wrongly is counted: `each_wrong_result_is_counted`.

use std::collections::BTreeSet;
use std::future::ready;
use std::time::Duration;

use futures::StreamExt;
use hdrhistogram::Histogram;
use largesse_emulator::{Recorder, Service};

use super::report::{Cell, Mark, figure};
use super::{BenchError, started};

/// How many callers there are at once.
pub(super) const CALLERS: [usize; 4] = [1, 16, 64, 256];
/// How many processes these have at most.
pub(super) const PROCESSES_MAX: usize = 16;
/// Every so many, a member asks twice at once.
const TWICE_EVERY: u32 = 10;
/// After so long, nobody arrives any more: a design that is too slow does not fill anything.
const ARRIVE_FOR: Duration = Duration::from_secs(10);
/// The longest latency that is told apart, in microseconds: a minute.
const LATENCY_US_MAX: u64 = 60_000_000;

/// A member who asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) member: u32,
    pub(super) amount: u64,
}

/// What a member was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Got {
        number: u64,
    },
    Already,
    Full,
    /// The design gave up.
    Unanswered,
}

/// What a design has stored in the end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stored {
    /// What its counters say was taken.
    pub(super) taken: u64,
    /// What the rows of its members sum to.
    pub(super) given: u64,
}

/// What the calls of a filling came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    units: f64,
    /// Failed writes of one item, and failed transactions.
    single: f64,
    transactions: f64,
}

impl Spent {
    pub(super) fn read(recorder: &Recorder) -> Self {
        let failures = |name| figure(recorder.operation(Service::DynamoDb, name).failed);
        let single = failures("UpdateItem") + failures("PutItem");
        let transactions = failures("TransactWriteItems");
        Self { units: recorder.total().write, single, transactions }
    }

    /// With the units of writes whose condition failed: the engine does not say them.
    pub(super) fn with_failed(self, single: f64, transaction: f64) -> f64 {
        self.units + self.single * single + self.transactions * transaction
    }
}

/// All members in turn, of whom every tenth asks twice at once.
pub(super) fn arrivals(people: u32, amount: fn(u32) -> u64) -> Vec<Arrival> {
    let times = |n: u32| if n.checked_rem(TWICE_EVERY) == Some(0) { 2 } else { 1 };
    let arrive = |n: u32| std::iter::repeat_n(Arrival { member: n, amount: amount(n) }, times(n));
    (0..people).flat_map(arrive).collect()
}

/// How designs are compared.
pub(super) fn notes() -> Vec<String> {
    vec![
        format!(
            "every {TWICE_EVERY}th member asks twice at once; Largesse runs in as many processes as \
             there are callers, at most {PROCESSES_MAX}; in memory, without HTTP, on one thread"
        ),
        "the last columns count what went wrong; nothing may with Largesse".to_owned(),
        "on AWS one item takes 1,000 write units a second: a design with one counter gives no more \
         than 500 a second in transactions, here it is not held back"
            .to_owned(),
    ]
}

/// Sums over fillings of one design.
pub(super) struct Sum {
    pub(super) took: Duration,
    latency_us: Histogram<u64>,
    answers: u64,
    units: f64,
    winners: u64,
    wrong: Wrong,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wrong {
    /// Given or promised above the capacity.
    over: u64,
    /// Numbers that more than one answer has.
    duplicates: u64,
    /// Second answers of one member that they won.
    twice: u64,
    /// Taken from the capacity, and given to nobody.
    lost: u64,
    unanswered: u64,
}

impl Wrong {
    fn of(told: &[(Arrival, Taken)], stored: Stored, capacity: u64) -> Self {
        let won = told.iter().filter_map(|(arrival, taken)| match taken {
            Taken::Got { number } => Some((arrival, *number)),
            Taken::Already | Taken::Full | Taken::Unanswered => None,
        });
        let (mut members, mut numbers) = (BTreeSet::new(), BTreeSet::new());
        let (mut wins, mut promised) = (0_u64, 0_u64);
        for (arrival, number) in won {
            wins = wins.saturating_add(1);
            numbers.insert(number);
            if members.insert(arrival.member) {
                promised = promised.saturating_add(arrival.amount);
            }
        }
        let many = |len: usize| u64::try_from(len).unwrap_or(u64::MAX);
        let unanswered = told.iter().filter(|(_, taken)| *taken == Taken::Unanswered).count();
        Self {
            over: promised.max(stored.given).saturating_sub(capacity),
            duplicates: wins.saturating_sub(many(numbers.len())),
            twice: wins.saturating_sub(many(members.len())),
            lost: stored.taken.saturating_sub(stored.given),
            unanswered: many(unanswered),
        }
    }

    const fn plus(self, other: Self) -> Self {
        Self {
            over: self.over.saturating_add(other.over),
            duplicates: self.duplicates.saturating_add(other.duplicates),
            twice: self.twice.saturating_add(other.twice),
            lost: self.lost.saturating_add(other.lost),
            unanswered: self.unanswered.saturating_add(other.unanswered),
        }
    }
}

impl Sum {
    pub(super) fn new() -> Result<Self, BenchError> {
        let latency_us = Histogram::new_with_max(LATENCY_US_MAX, 3);
        let latency_us = latency_us.map_err(|error| BenchError::Broken(error.to_string()))?;
        let (took, wrong) = (Duration::ZERO, Wrong::default());
        Ok(Self { took, latency_us, answers: 0, units: 0.0, winners: 0, wrong })
    }

    /// All arrivals ask, so many at once.
    pub(super) async fn fill<R>(
        &mut self,
        arrivals: &[Arrival],
        callers: usize,
        take: impl Fn(usize, Arrival) -> R,
    ) -> Result<Vec<(Arrival, Taken)>, BenchError>
    where
        R: Future<Output = Result<Taken, BenchError>>,
    {
        let began = started();
        let arriving = futures::stream::iter(arrivals.iter().copied().enumerate());
        let arriving = arriving.take_while(|_| ready(began.elapsed() < ARRIVE_FOR));
        let asked = arriving.map(|(at, arrival)| {
            let take = take(at, arrival);
            async move {
                let began = started();
                Ok::<_, BenchError>((arrival, take.await?, began.elapsed()))
            }
        });
        let mut asked = std::pin::pin!(asked.buffer_unordered(callers));
        let mut told = Vec::with_capacity(arrivals.len());
        while let Some(one) = asked.next().await {
            let (arrival, taken, took) = one?;
            let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.latency_us.saturating_record(took);
            self.answers = self.answers.saturating_add(u64::from(taken != Taken::Unanswered));
            self.winners =
                self.winners.saturating_add(u64::from(matches!(taken, Taken::Got { .. })));
            told.push((arrival, taken));
        }
        self.took = self.took.saturating_add(began.elapsed());
        Ok(told)
    }

    /// Counts what the filling cost, and compares what was told with what is stored.
    pub(super) fn check(
        &mut self,
        units: f64,
        told: &[(Arrival, Taken)],
        stored: Stored,
        capacity: u64,
    ) {
        self.units += units;
        self.wrong = self.wrong.plus(Wrong::of(told, stored, capacity));
    }

    /// Of a drop: rate, latencies, units, and what went wrong. `must`: nothing may.
    pub(super) fn drop_cells(&self, must: bool) -> Vec<Cell> {
        let Wrong { over, duplicates, twice, lost, unanswered } = self.wrong;
        self.cells([over, duplicates, twice, lost, unanswered], must)
    }

    /// The same of a product, whose investments have no numbers, and may be answered twice.
    pub(super) fn product_cells(&self, must: bool) -> Vec<Cell> {
        let Wrong { over, lost, unanswered, .. } = self.wrong;
        self.cells([over, lost, unanswered], must)
    }

    fn cells<const N: usize>(&self, wrong: [u64; N], must: bool) -> Vec<Cell> {
        let ms = |quantile| figure(self.latency_us.value_at_quantile(quantile)) / 1e3;
        let each = self.units / figure(self.winners).max(1.0);
        let mut cells = vec![
            Cell::of((figure(self.answers) / self.took.as_secs_f64().max(1e-6)).round()),
            Cell::of(ms(0.5)),
            Cell::of(ms(0.99)),
            Cell::of((each * 1e3).round() / 1e3),
        ];
        let mark = must.then_some(Mark::AtMost(0.0));
        cells.extend(wrong.map(|count| Cell::Figure(figure(count), mark)));
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wrong_result_is_counted() {
        let told = |wins: &[(u32, u64)]| -> Vec<(Arrival, Taken)> {
            let win = |(member, number): &(u32, u64)| {
                (Arrival { member: *member, amount: 1 }, Taken::Got { number: *number })
            };
            wins.iter().map(win).collect()
        };
        let right = Stored { taken: 2, given: 2 };
        let of = |wins: &[(u32, u64)], stored| Wrong::of(&told(wins), stored, 2);
        assert_eq!(of(&[(1, 1), (2, 2)], right), Wrong::default());
        assert_eq!(of(&[(1, 1), (2, 1)], right), Wrong { duplicates: 1, ..Wrong::default() });
        assert_eq!(of(&[(1, 1), (1, 2)], right), Wrong { twice: 1, ..Wrong::default() });
        let over = of(&[(1, 1), (2, 2), (3, 3)], right);
        assert_eq!(over, Wrong { over: 1, ..Wrong::default() });
        let stored = of(&[(1, 1), (2, 2)], Stored { taken: 3, given: 3 });
        assert_eq!(stored, Wrong { over: 1, ..Wrong::default() });
        let lost = of(&[(1, 1)], Stored { taken: 2, given: 1 });
        assert_eq!(lost, Wrong { lost: 1, ..Wrong::default() });
        let silent = [(Arrival { member: 1, amount: 1 }, Taken::Unanswered)];
        let silent = Wrong::of(&silent, Stored::default(), 2);
        assert_eq!(silent, Wrong { unanswered: 1, ..Wrong::default() });
    }

    #[test]
    fn every_tenth_member_asks_twice_at_once() {
        let members: Vec<u32> = arrivals(12, |_| 1).iter().map(|one| one.member).collect();
        assert_eq!(members, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 11]);
    }
}
