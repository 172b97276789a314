//! What each operation costs: calls, rounds, capacity units, dollars. Exact, and the same on every
//! machine: the emulator counts the calls of real SDK clients.

use largesse_app::spray::refund;
use largesse_domain::spray::Spray;

use super::BenchError;
use super::lab::{Ask, Lab, MemberIds, OPEN_S, Process, claim};
use super::meter::{self, Count, POOLS, summary};
use super::prices;
use super::report::{Cell, Mark, Table};

/// Claims of one spray that are measured, cold and warm; the others only fill it.
const SAMPLES: u32 = 10;
/// Requests to the payment queue that Lambda's mapping makes for a batch: it receives it, and it
/// deletes it. The emulator does not count them, AWS does. Empty polls are not counted.
const MAPPING_REQUESTS: f64 = 2.0;
/// Payments of one batch: what a mapping hands to grant-pay at most (template.yaml).
const BATCH: u32 = 10;

const COLUMNS: [&str; 7] = [
    "calls",
    "calls_in_a_row",
    "read_units",
    "write_units",
    "bucket_write_units_max",
    "sqs_requests",
    "dollars_per_million",
];

/// Marks of one row (performance.md).
#[derive(Clone, Copy, Default)]
struct Marks {
    calls: Option<f64>,
    rounds: Option<f64>,
    write: Option<f64>,
    dollars: Option<f64>,
}

const NO_MARKS: Marks = Marks { calls: None, rounds: None, write: None, dollars: None };
/// A claim: at most two round trips one after another, one with warm caches, for any number of
/// parts; 2.5 dollars a million.
const COLD: Marks = Marks { rounds: Some(2.0), dollars: Some(2.5), ..NO_MARKS };
const WARM: Marks = Marks { rounds: Some(1.0), ..COLD };
/// The payment of a claim: two calls, four write units, 3.5 dollars a million. The outbox calls no
/// table, so all calls are those of grant-pay.
const PAYMENT: Marks = Marks { calls: Some(2.0), write: Some(4.0), dollars: Some(3.5), ..NO_MARKS };
/// A claim that comes too late, and this process knows it.
const TOO_LATE: Marks = Marks { write: Some(0.0), ..NO_MARKS };

fn row(name: impl Into<String>, count: Count, marks: Marks) -> (String, Vec<Cell>) {
    let marked = |value, limit: Option<f64>| Cell::Figure(value, limit.map(Mark::AtMost));
    let cells = vec![
        marked(count.calls, marks.calls),
        marked(count.rounds, marks.rounds),
        Cell::of(count.read),
        marked(count.write, marks.write),
        Cell::of(count.bucket),
        Cell::of(count.sqs),
        marked(count.dollars(), marks.dollars),
    ];
    (name.into(), cells)
}

/// Measures all operations, with member ids of each length.
///
/// # Errors
/// [`BenchError`].
pub async fn measure() -> Result<Vec<Table>, BenchError> {
    let mut tables = Vec::new();
    for (ids, name) in MemberIds::ALL.into_iter().zip(["counts", "counts_long_ids"]) {
        let mut table = Table {
            name,
            title: format!(
                "Counts: calls, capacity units and dollars of each operation; {}",
                ids.name()
            ),
            columns: COLUMNS.to_vec(),
            notes: notes(),
            ..Table::default()
        };
        let bench = Bench::new(ids)?;
        table.rows.extend(bench.wallet_and_create().await?);
        for people in [20, 100, 1_000] {
            table.rows.extend(bench.claims(people).await?);
        }
        table.rows.extend(bench.refusals().await?);
        table.rows.extend(bench.paying().await?);
        table.rows.extend(bench.refund_and_read().await?);
        tables.push(table);
    }
    Ok(tables)
}

fn notes() -> Vec<String> {
    vec![
        "calls: to DynamoDB; calls in a row: rounds, where calls at the same time count once; the \
         worst of those measured"
            .to_owned(),
        format!(
            "a claim meets a full bucket when its process does not know yet that the bucket is full: it \
             then reads the other buckets once and draws again; write units include failed \
             conditions; bucket: table {POOLS} with its index, the worst \
             measured; the first claim of a bucket also enters it in the index `sweep`"
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
            "assumed: {} ms an invocation and {} ms a call in a row, {} GB, {MAPPING_REQUESTS} \
             requests of Lambda's mapping for each batch of payments",
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
    fn new(ids: MemberIds) -> Result<Self, BenchError> {
        let lab = Lab::new(ids)?;
        lab.attach()?;
        lab.world.recorder().measure_units(true);
        lab.world.recorder().keep_calls(true);
        Ok(Self { lab })
    }

    /// One request, which must get that status.
    async fn request(
        &self,
        process: &Process,
        ask: &Ask<'_>,
        expected: u16,
    ) -> Result<Count, BenchError> {
        let (answer, count) = meter::count(&self.lab.world, process.send(ask)).await;
        let (status, body) = answer?;
        if status != expected {
            return Err(BenchError::Broken(format!("{} was answered {status}: {body}", ask.path)));
        }
        Ok(Count { http: 1.0, invocations: 1.0, ..count })
    }

    async fn wallet_and_create(&self) -> Result<Rows, BenchError> {
        let room = self.lab.room(0).await?;
        let sender = self.lab.sender.as_str();
        let deposit = Ask {
            method: "POST",
            path: format!("/api/v2/wallets/{sender}/deposits"),
            user: sender,
            room: None,
            body: r#"{"amount":1000000}"#,
        };
        let process = self.lab.process()?;
        let mut rows = vec![row("deposit", self.request(&process, &deposit, 201).await?, NO_MARKS)];
        for people in [20, 1_000] {
            let body = format!(
                r#"{{"amount":1000,"recipients":{people},"split":"random","expires_in_s":600}}"#
            );
            let (path, room) = ("/api/v2/sprays".to_owned(), Some(room));
            let spray = Ask { method: "POST", path, user: sender, room, body: &body };
            let process = self.lab.process()?.with_key(format!("spray-{people}"));
            let made = self.request(&process, &spray, 201).await?;
            rows.push(row(format!("spray create, {people} shares"), made, NO_MARKS));
        }
        Ok(rows)
    }

    /// Every claim of a spray wins; some are measured, in processes that know nothing and in one
    /// that knows token and member.
    async fn claims(&self, people: u32) -> Result<Rows, BenchError> {
        let room = self.lab.room(people).await?;
        let (spray, primer) = (self.lab.spray(room, people).await?, self.lab.spray(room, 1).await?);
        let filler = self.lab.process()?;
        self.win(&filler, &primer, &self.lab.member(0)).await?;
        // Refused, since it is the sender's own spray; but the process knows the token from now on.
        filler.send(&claim(&spray, &self.lab.sender)).await?;
        let member = self.lab.member(0);
        let first = self.request(&self.lab.process()?, &claim(&spray, &member), 201).await?;
        let every = people.checked_div(SAMPLES).unwrap_or(1).max(2);
        let (mut cold, mut warm) = (Vec::new(), Vec::new());
        for n in 1..people {
            let user = self.lab.member(n);
            let ask = claim(&spray, &user);
            match n.checked_rem(every) {
                Some(1) => {
                    let process = self.lab.process()?;
                    cold.push(self.claim_counted(&process, &spray, &ask, 201).await?);
                }
                Some(0) => {
                    // A claim of another spray makes the process remember the member for a second.
                    filler.send(&claim(&primer, &user)).await?;
                    warm.push(self.claim_counted(&filler, &spray, &ask, 201).await?);
                }
                _ => self.win(&filler, &spray, &user).await?,
            }
        }
        // Payments are counted elsewhere.
        self.lab.world.settle().await;
        let mut rows = vec![row(format!("claim of {people}, the first, cold"), first, COLD)];
        for (how, counts, marks) in [("cold", cold, COLD), ("warm", warm, WARM)] {
            let has_room = |count: &Count| count.refused == 0.0;
            let (room, full): (Vec<Count>, Vec<Count>) = counts.into_iter().partition(has_room);
            for (counts, met) in [(room, ""), (full, ", meets a full bucket")] {
                let name = format!("claim of {people}, {how}{met}");
                rows.push(match counts.len() {
                    0 => (name, vec![Cell::Empty; COLUMNS.len()]),
                    _ => row(name, summary(&counts), marks),
                });
            }
        }
        Ok(rows)
    }

    /// A claim, with the units of the writes that full buckets refused. What such a write costs is
    /// asked for after the claim, so that caches of a second stay warm.
    async fn claim_counted(
        &self,
        process: &Process,
        spray: &Spray,
        ask: &Ask<'_>,
        expected: u16,
    ) -> Result<Count, BenchError> {
        let count = self.request(process, ask, expected).await?;
        if count.refused == 0.0 {
            return Ok(count);
        }
        let full = self.lab.full_units(spray.pool(), spray.recipients).await?;
        let more = count.refused * (full - 1.0);
        Ok(Count { write: count.write + more, bucket: count.bucket + more, ..count })
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
            self.win(&filler, &spray, &self.lab.member(n)).await?;
        }
        let (twice, late) = (self.lab.member(0), [20, 21].map(|n| self.lab.member(n)));
        let again =
            self.claim_counted(&self.lab.process()?, &spray, &claim(&spray, &twice), 409).await?;
        let process = self.lab.process()?;
        let first = self.claim_counted(&process, &spray, &claim(&spray, &late[0]), 409).await?;
        let next = self.claim_counted(&process, &spray, &claim(&spray, &late[1]), 409).await?;
        Ok(vec![
            row("claim again by the same member", again, NO_MARKS),
            row("claim, all taken, first of a process", first, NO_MARKS),
            row("claim, all taken, known to the process", next, TOO_LATE),
        ])
    }

    /// The outbox and grant-pay: for one claim, and for ten that come together.
    async fn paying(&self) -> Result<Rows, BenchError> {
        let room = self.lab.room(BATCH.saturating_add(2)).await?;
        let spray = self.lab.spray(room, BATCH.saturating_add(2)).await?;
        // The member's wallet exists, as that of most members does.
        let process = self.lab.process()?;
        self.win(&process, &spray, &self.lab.member(0)).await?;
        self.lab.world.settle().await;
        self.win(&process, &spray, &self.lab.member(1)).await?;
        let single = self.pay(1).await?;
        for n in 2..BATCH.saturating_add(2) {
            self.win(&process, &spray, &self.lab.member(n)).await?;
        }
        let together = self.pay(BATCH).await?;
        Ok(vec![
            row("payment of a claim (outbox, grant-pay)", single, PAYMENT),
            row(format!("payment, {BATCH} claims together, for each"), together, PAYMENT),
        ])
    }

    /// Pays what was claimed, in one batch of the stream and one of the queue.
    async fn pay(&self, claims: u32) -> Result<Count, BenchError> {
        let before = self.lab.store.books().await?.unpaid().len();
        let ((), paid) = meter::count(&self.lab.world, self.lab.world.settle()).await;
        let after = self.lab.store.books().await?.unpaid().len();
        if (u32::try_from(before), after) != (Ok(claims), 0) {
            return Err(BenchError::Broken(format!("{before} were to be paid, {after} are left")));
        }
        let whole = Count { sqs: paid.sqs + MAPPING_REQUESTS, invocations: 2.0, ..paid };
        Ok(whole.each_of(f64::from(claims)))
    }

    async fn refund_and_read(&self) -> Result<Rows, BenchError> {
        let room = self.lab.room(20).await?;
        let spray = self.lab.spray(room, 20).await?;
        let filler = self.lab.process()?;
        for n in 0..10 {
            self.win(&filler, &spray, &self.lab.member(n)).await?;
        }
        self.lab.world.settle().await;
        let path = format!("/api/v2/sprays/{}", spray.token);
        let user = self.lab.sender.as_str();
        let look = Ask { method: "GET", path, user, room: Some(room), body: "" };
        let looked = self.request(&self.lab.process()?, &look, 200).await?;
        let large = self.lab.spray(room, 1_000).await?;
        let after_ms = i64::try_from(OPEN_S.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.lab.world.clock().set_skew_ms(after_ms);
        let mut rows = vec![row("read by token, 10 of 20 claimed", looked, NO_MARKS)];
        for (name, spray, left) in [
            ("refund of a spray, 10 of 20 claimed", &spray, 10),
            ("refund of a spray, 0 of 1,000 claimed", &large, 1_000),
        ] {
            let refund = refund::refund(&*self.lab.store, spray.id);
            let (refunded, count) = meter::count(&self.lab.world, refund).await;
            let refunded = refunded?;
            if refunded != (refund::Refunded::Now { amount: left }) {
                return Err(BenchError::Broken(format!("the refund came to {refunded:?}")));
            }
            rows.push(row(name, count, NO_MARKS));
        }
        Ok(rows)
    }
}
