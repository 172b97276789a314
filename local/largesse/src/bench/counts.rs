//! What each operation costs: calls, rounds, capacity units, dollars. Exact, and the same on every
//! machine: a world in memory counts what real SDK clients ask of it.

use largesse_app::spray::refund;
use largesse_domain::id::RoomId;
use largesse_domain::spray::Spray;

use super::BenchError;
use super::lab::{Ask, GIVER, Lab, OPEN_S, Process, claim, member};
use super::meter::{self, Count, POOLS, summary};
use super::prices;
use super::report::{Cell, Mark, Table};

/// Claims of one spray that are measured, each way; the others only fill it.
const SAMPLES: u32 = 10;
/// Requests to the payment queue that Lambda's mapping makes for a lone message: it receives it, it
/// deletes it. The world does not count them, AWS does. Empty polls are not in it.
const MAPPING_REQUESTS: f64 = 2.0;

/// Marks of one row; what is `None` has none.
#[derive(Clone, Copy, Default)]
struct Marks {
    rounds: Option<f64>,
    write: Option<f64>,
    head: Option<f64>,
    dollars: Option<f64>,
}

fn row(name: impl Into<String>, count: Count, marks: Marks) -> (String, Vec<Cell>) {
    let marked = |value, limit: Option<f64>| Cell::Figure(value, limit.map(Mark::AtMost));
    let cells = vec![
        Cell::of(count.calls),
        marked(count.rounds, marks.rounds),
        Cell::of(count.read),
        marked(count.write, marks.write),
        marked(count.head, marks.head),
        Cell::of(count.sqs),
        marked(count.dollars(), marks.dollars),
    ];
    (name.into(), cells)
}

/// Measures all operations.
///
/// # Errors
/// [`BenchError`].
pub async fn measure() -> Result<Vec<Table>, BenchError> {
    let mut table = Table {
        name: "counts",
        title: "Counts: calls to AWS, capacity units and dollars for each operation".to_owned(),
        columns: vec![
            "calls",
            "calls_in_a_row",
            "read_units",
            "write_units",
            "head_write_units_max",
            "sqs_requests",
            "dollars_per_million",
        ],
        notes: notes(),
        ..Table::default()
    };
    let lab = Bench::new()?;
    table.rows.extend(lab.wallet_and_create().await?);
    for people in [20, 100, 1_000] {
        table.rows.extend(lab.claims(people).await?);
    }
    table.rows.extend(lab.refusals().await?);
    table.rows.extend(lab.paying().await?);
    table.rows.extend(lab.refund_and_read().await?);
    Ok(vec![table])
}

fn notes() -> Vec<String> {
    vec![
        "calls in a row: rounds, calls at the same time count once; the worst of those measured"
            .to_owned(),
        format!(
            "write units include failed conditions; head: table {POOLS} with its indexes, the \
             worst measured; a first claim also enters the spray in the index `sweep`, another \
             partition"
        ),
        format!(
            "dollars: us-east-1 list prices of 2025 (write {} and read {} a million units, \
             HTTP API {}, Lambda {} and {} a GB-s arm64, SQS FIFO {})",
            prices::WRITE_UNITS,
            prices::READ_UNITS,
            prices::HTTP_REQUESTS,
            prices::INVOCATIONS,
            prices::GB_SECOND,
            prices::FIFO_REQUESTS
        ),
        format!(
            "assumed: {} ms an invocation and {} ms a call in a row, {} GB, payments unbatched \
             with {MAPPING_REQUESTS} requests of Lambda's mapping each",
            prices::OWN_MS,
            prices::ROUND_MS,
            prices::MEMORY_GB
        ),
    ]
}

type Rows = Vec<(String, Vec<Cell>)>;

struct Bench {
    lab: Lab,
}

impl Bench {
    fn new() -> Result<Self, BenchError> {
        let lab = Lab::new()?;
        lab.attach()?;
        lab.world.recorder().measure_units(true);
        lab.world.recorder().keep_calls(true);
        Ok(Self { lab })
    }

    /// One request that must be answered with that status.
    async fn request(
        &self,
        process: &Process,
        ask: &Ask<'_>,
        expected: u16,
        head_units: f64,
    ) -> Result<Count, BenchError> {
        let (answer, count) = meter::count(&self.lab.world, head_units, process.send(ask)).await;
        let (status, body) = answer?;
        if status != expected {
            return Err(BenchError::Broken(format!("{} was answered {status}: {body}", ask.path)));
        }
        Ok(Count { http: 1.0, invocations: 1.0, ..count })
    }

    async fn wallet_and_create(&self) -> Result<Rows, BenchError> {
        let room = self.lab.room(0).await?;
        let deposit = Ask {
            method: "POST",
            path: format!("/api/v2/wallets/{GIVER}/deposits"),
            user: GIVER,
            room: None,
            body: r#"{"amount":1000000}"#,
        };
        let spray = Ask {
            method: "POST",
            path: "/api/v2/sprays".to_owned(),
            user: GIVER,
            room: Some(room),
            body: r#"{"amount":1000,"recipients":20,"split":"random","expires_in_s":600}"#,
        };
        let process = self.lab.process()?;
        let deposited = self.request(&process, &deposit, 201, 1.0).await?;
        let sprayed = self.request(&self.lab.process()?, &spray, 201, 1.0).await?;
        let none = Marks::default();
        Ok(vec![row("deposit", deposited, none), row("spray create", sprayed, none)])
    }

    /// Every claim of a spray wins; some are measured, in processes that know nothing and in one
    /// that knows token and member.
    async fn claims(&self, people: u32) -> Result<Rows, BenchError> {
        let room = self.lab.room(people).await?;
        let (spray, primer) = (self.lab.spray(room, people).await?, self.lab.spray(room, 1).await?);
        let filler = self.lab.process()?;
        self.win(&filler, &primer, &member(0)).await?;
        // Refused, since one does not claim one's own; but the process knows the token from now on.
        filler.send(&claim(&spray, GIVER)).await?;
        let first =
            self.request(&self.lab.process()?, &claim(&spray, &member(0)), 201, 1.0).await?;
        let every = people.checked_div(SAMPLES).unwrap_or(1).max(2);
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for n in 1..people {
            let user = member(n);
            let ask = claim(&spray, &user);
            match n.checked_rem(every) {
                Some(1) => {
                    cold.push(self.request(&self.lab.process()?, &ask, 201, 1.0).await?);
                }
                Some(0) => {
                    // Any look at the room makes the process remember the member for a second.
                    filler.send(&claim(&primer, &user)).await?;
                    warm.push(self.request(&filler, &ask, 201, 1.0).await?);
                }
                _ => self.win(&filler, &spray, &user).await?,
            }
            // Payments are counted elsewhere, and must not pile up.
            self.lab.world.settle().await;
        }
        let head = match people {
            0..=20 => Some(1.0),
            21..=100 => Some(2.0),
            _ => None,
        };
        let marks = |rounds| Marks { rounds: Some(rounds), head, dollars: Some(4.0), write: None };
        let first_marks = Marks { head: None, ..marks(3.0) };
        Ok(vec![
            row(format!("claim of {people}, the first, cold"), first, first_marks),
            row(format!("claim of {people}, cold"), summary(&cold), marks(3.0)),
            row(format!("claim of {people}, warm"), summary(&warm), marks(2.0)),
        ])
    }

    async fn win(&self, process: &Process, spray: &Spray, user: &str) -> Result<(), BenchError> {
        match process.send(&claim(spray, user)).await? {
            (201, _) => Ok(()),
            (status, body) => Err(BenchError::Broken(format!("{user} got {status}: {body}"))),
        }
    }

    async fn refusals(&self) -> Result<Rows, BenchError> {
        let (room, people) = (self.lab.room(24).await?, 20);
        let spray = self.lab.spray(room, people).await?;
        let filler = self.lab.process()?;
        for n in 0..people {
            self.win(&filler, &spray, &member(n)).await?;
        }
        // The head of twenty stays below 1 KB: a condition that fails on it costs one unit.
        let (twice, late) = (member(0), [member(20), member(21)]);
        let again = self.request(&self.lab.process()?, &claim(&spray, &twice), 409, 1.0).await?;
        let process = self.lab.process()?;
        let first = self.request(&process, &claim(&spray, &late[0]), 409, 1.0).await?;
        let next = self.request(&process, &claim(&spray, &late[1]), 409, 1.0).await?;
        let loser = Marks { write: Some(0.01), ..Marks::default() };
        Ok(vec![
            row("claim again by the same member", again, Marks::default()),
            row("claim, all taken, first to hear", first, Marks::default()),
            row("claim, all taken, remembered", next, loser),
        ])
    }

    async fn paying(&self) -> Result<Rows, BenchError> {
        let room = self.lab.room(2).await?;
        let spray = self.lab.spray(room, 2).await?;
        let mut both = Vec::new();
        for n in 0..2 {
            self.lab.world.settle().await;
            let (process, user) = (self.lab.process()?, member(n));
            let claimed = self.request(&process, &claim(&spray, &user), 201, 1.0).await?;
            let ((), paid) = meter::count(&self.lab.world, 1.0, self.lab.world.settle()).await;
            let sqs = paid.sqs + MAPPING_REQUESTS;
            both.push((claimed, Count { sqs, invocations: 2.0, ..paid }));
        }
        let Some((claimed, paid)) = both.pop() else { return Ok(Vec::new()) };
        let whole = Count {
            calls: claimed.calls + paid.calls,
            rounds: claimed.rounds + paid.rounds,
            read: claimed.read + paid.read,
            write: claimed.write + paid.write,
            head: claimed.head,
            sqs: claimed.sqs + paid.sqs,
            http: 1.0,
            invocations: claimed.invocations + paid.invocations,
        };
        let none = Marks::default();
        Ok(vec![
            row("payment of a grant (outbox, grant-pay)", paid, none),
            row("claim, cold, with its payment", whole, none),
        ])
    }

    async fn refund_and_read(&self) -> Result<Rows, BenchError> {
        let room: RoomId = self.lab.room(20).await?;
        let spray = self.lab.spray(room, 20).await?;
        let filler = self.lab.process()?;
        for n in 0..10 {
            self.win(&filler, &spray, &member(n)).await?;
        }
        self.lab.world.settle().await;
        let path = format!("/api/v2/sprays/{}", spray.token);
        let look = Ask { method: "GET", path, user: GIVER, room: Some(room), body: "" };
        let looked = self.request(&self.lab.process()?, &look, 200, 1.0).await?;
        let after_ms = i64::try_from(OPEN_S.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.lab.world.clock().set_skew_ms(after_ms);
        let (refunded, count) =
            meter::count(&self.lab.world, 1.0, refund::refund(&*self.lab.store, spray.id)).await;
        let refunded = refunded?;
        if !matches!(refunded, refund::Refunded::Now { amount: 10, .. }) {
            return Err(BenchError::Broken(format!("the refund came to {refunded:?}")));
        }
        let none = Marks::default();
        Ok(vec![
            row("read by token, 10 of 20 claimed", looked, none),
            row("refund of a spray, 10 of 20 claimed", count, none),
        ])
    }
}
