//! One process over real HTTP on loopback: its start, claims a second, latencies, its memory.
//!
//! The server is a process of its own, in memory or with `--data`. The callers are in this process
//! and share the same processors. Payments run meanwhile.

use std::path::Path;
use std::time::Duration;

use futures::StreamExt;
use hdrhistogram::Histogram;

use super::lab::MemberIds;
use super::report::{Cell, Mark, Table, figure};
use super::server::Server;
use super::{BenchError, started};
use crate::client::{Client, ClientError};

/// How many requests are under way at once.
const CALLERS: [usize; 3] = [1, 16, 64];
/// Shares of a hot spray.
pub(super) const HOT_SHARES: u32 = 1_000;
/// Sprays that are claimed at the same time, and shares of each.
const DISTINCT: u32 = 200;
const DISTINCT_SHARES: u32 = 20;
/// What the FastAPI system of `/api/v1` did: claims a second on one spray (500 in 14.5 s) and on
/// many (api.md).
const FASTAPI_HOT: f64 = 34.0;
const FASTAPI_DISTINCT: f64 = 62.0;
/// The mark, on disk and with 64 callers: how many times that, and the 99th percentile
/// (performance.md).
const RATIO: f64 = 100.0;
const P99_MS: f64 = 50.0;
/// The mark of the server's memory after so many claims, on disk.
const MEMORY_MIB: f64 = 64.0;
const MEMORY_AFTER: u64 = 10_000;
/// And how much it has after so many more.
const MEMORY_LATER: u64 = 60_000;
/// Sprays of one sender: a sender may have 1,000 live ones.
const SPRAYS_OF_A_SENDER: u32 = 900;
/// Starts that are measured; the median counts.
const STARTS: usize = 5;
/// The longest latency that is told apart, in microseconds: a minute.
const LATENCY_US_MAX: u64 = 60_000_000;

/// Measures for about `each` per row of claims; `is_long`: also the memory after 60,000 claims.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(each: Duration, is_long: bool) -> Result<Vec<Table>, BenchError> {
    let mut claims = Table {
        name: "claims",
        title: "HTTP: claims of one process on this machine".to_owned(),
        columns: vec!["claims_per_s", "times_the_fastapi_system", "p50_ms", "p99_ms"],
        notes: claim_notes(),
        ..Table::default()
    };
    let mut servers = Table {
        name: "server",
        title: "HTTP: the server's process".to_owned(),
        columns: vec!["value"],
        notes: vec!["MiB; in memory, all tables, queues and streams are in it".to_owned()],
        ..Table::default()
    };
    servers.rows.push(("start to the first answer, ms".to_owned(), vec![start_ms().await?]));
    let folder = std::env::temp_dir().join(format!("largesse-bench-{}", std::process::id()));
    for data in [None, Some(folder.as_path())] {
        let measured = one_server(data, each, is_long, &mut claims, &mut servers).await;
        if let Some(data) = data {
            // What is left of the folder costs disk space only.
            let _ = std::fs::remove_dir_all(data);
        }
        measured?;
    }
    Ok(vec![claims, servers])
}

fn claim_notes() -> Vec<String> {
    vec![
        format!(
            "a hot spray has {HOT_SHARES} shares; distinct are {DISTINCT} sprays of \
             {DISTINCT_SHARES}; member ids are UUIDs"
        ),
        format!(
            "FastAPI system (MySQL, Redis, RabbitMQ, Celery; 14 processes): {FASTAPI_HOT} a second \
             on one spray and {FASTAPI_DISTINCT} on many, measured another day on a 2-core machine \
             like the one of the marks, busy with other work; not in this run"
        ),
        "callers, server and payments share this machine's processors".to_owned(),
    ]
}

async fn start_ms() -> Result<Cell, BenchError> {
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        starts.push(Server::start(None).await?.started_ms);
    }
    starts.sort_by(f64::total_cmp);
    Ok(Cell::of(starts.get(STARTS.div_euclid(2)).copied().unwrap_or(f64::NAN)))
}

async fn one_server(
    data: Option<&Path>,
    each: Duration,
    is_long: bool,
    claims: &mut Table,
    servers: &mut Table,
) -> Result<(), BenchError> {
    let place = if data.is_some() { "--data" } else { "in memory" };
    let server = Server::start(data).await?;
    let mut memory = |name: String, mark: Option<Mark>| {
        let (peak, now) = server.watched.memory_mib()?;
        servers.rows.push((format!("{place}: peak, {name}"), vec![Cell::Figure(peak, mark)]));
        servers.rows.push((format!("{place}: resident, {name}"), vec![Cell::of(now)]));
        Ok::<_, BenchError>(())
    };
    memory("before the first claim".to_owned(), None)?;
    let mut crowd = Crowd::gather(server.client.clone()).await?;
    for (name, shares, sprays, fastapi) in [
        ("hot", HOT_SHARES, 1, FASTAPI_HOT),
        ("distinct", DISTINCT_SHARES, DISTINCT, FASTAPI_DISTINCT),
    ] {
        for callers in CALLERS {
            let before = crowd.claimed;
            let row = crowd.claims(shares, sprays, callers, Until::Time(each)).await?;
            let has_mark = data.is_some() && callers == 64;
            claims.rows.push((
                format!("{place}, {name}, {callers} callers"),
                row.cells(fastapi, has_mark),
            ));
            if before < MEMORY_AFTER && crowd.claimed >= MEMORY_AFTER {
                let mark = data.is_some().then_some(Mark::AtMost(MEMORY_MIB));
                memory(format!("after {} claims", crowd.claimed), mark)?;
            }
        }
    }
    if crowd.claimed < MEMORY_AFTER {
        let left = MEMORY_AFTER.saturating_sub(crowd.claimed);
        crowd.claims(DISTINCT_SHARES, DISTINCT, 64, Until::Claims(left)).await?;
        let mark = data.is_some().then_some(Mark::AtMost(MEMORY_MIB));
        memory(format!("after {} claims", crowd.claimed), mark)?;
    }
    if is_long {
        let left = MEMORY_LATER.saturating_sub(crowd.claimed);
        crowd.claims(DISTINCT_SHARES, DISTINCT, 64, Until::Claims(left)).await?;
    }
    memory(format!("after {} claims, the last", crowd.claimed), None)
}

/// When a row is done.
#[derive(Clone, Copy)]
pub(super) enum Until {
    Time(Duration),
    Claims(u64),
}

/// What one row measured.
pub(super) struct Row {
    claims: u64,
    took: Duration,
    latency_us: Histogram<u64>,
}

impl Row {
    /// Claims a second.
    pub(super) fn rate(&self) -> f64 {
        figure(self.claims) / self.took.as_secs_f64()
    }

    /// The latency of so many of them, in milliseconds.
    pub(super) fn ms(&self, quantile: f64) -> f64 {
        figure(self.latency_us.value_at_quantile(quantile)) / 1e3
    }

    fn cells(&self, fastapi: f64, has_mark: bool) -> Vec<Cell> {
        let rate = self.rate();
        let marked = |value: f64, mark| Cell::Figure(value, has_mark.then_some(mark));
        vec![
            Cell::of(rate.round()),
            marked((rate / fastapi).round(), Mark::AtLeast(RATIO)),
            Cell::of(self.ms(0.5)),
            marked(self.ms(0.99), Mark::AtMost(P99_MS)),
        ]
    }
}

/// A room of members who claim, and senders who spray.
pub(super) struct Crowd {
    client: Client,
    room: String,
    owner: String,
    members: Vec<String>,
    sprays: u32,
    claimed: u64,
}

impl Crowd {
    pub(super) async fn gather(client: Client) -> Result<Self, BenchError> {
        let owner = MemberIds::Uuid.sender(0);
        let room = client.room(&owner).await?;
        let members: Vec<String> = (0..HOT_SHARES).map(|n| MemberIds::Uuid.member(n)).collect();
        let joins = futures::stream::iter(members.clone()).map(|member| {
            let (client, room, owner) = (client.clone(), room.clone(), owner.clone());
            async move { client.join(&room, &owner, &member).await }
        });
        let mut joins = joins.buffer_unordered(16);
        while let Some(joined) = joins.next().await {
            joined?;
        }
        drop(joins);
        Ok(Self { client, room, owner, members, sprays: 0, claimed: 0 })
    }

    /// Makes sprays and claims all their shares, again and again until the row is done.
    pub(super) async fn claims(
        &mut self,
        shares: u32,
        sprays: u32,
        callers: usize,
        until: Until,
    ) -> Result<Row, BenchError> {
        let latency_us = Histogram::new_with_max(LATENCY_US_MAX, 3);
        let latency_us = latency_us.map_err(|error| BenchError::Broken(error.to_string()))?;
        let mut row = Row { claims: 0, took: Duration::ZERO, latency_us };
        loop {
            let is_done = match until {
                Until::Time(each) => row.took >= each,
                Until::Claims(count) => row.claims >= count,
            };
            if is_done {
                return Ok(row);
            }
            let mut tokens = Vec::new();
            for _ in 0..sprays {
                tokens.push(self.spray(shares).await?);
            }
            let began = started();
            let won = self.round(&tokens, shares, callers, &mut row.latency_us).await?;
            row.took = row.took.saturating_add(began.elapsed());
            row.claims = row.claims.saturating_add(won);
            self.claimed = self.claimed.saturating_add(won);
        }
    }

    async fn spray(&mut self, shares: u32) -> Result<String, BenchError> {
        let sender = self.sprays.div_euclid(SPRAYS_OF_A_SENDER);
        let sender_id = MemberIds::Uuid.sender(sender.saturating_add(1));
        if self.sprays.checked_rem(SPRAYS_OF_A_SENDER) == Some(0) {
            self.client.join(&self.room, &self.owner, &sender_id).await?;
            self.client.deposit(&sender_id, 1_000_000_000_000).await?;
        }
        let key = format!("spray-{}", self.sprays);
        self.sprays = self.sprays.saturating_add(1);
        let amount = u64::from(shares);
        Ok(self.client.spray(&self.room, &sender_id, &key, amount, shares).await?)
    }

    /// Every share of every spray is claimed; one after another, claims are of different sprays.
    async fn round(
        &self,
        tokens: &[String],
        shares: u32,
        callers: usize,
        latency_us: &mut Histogram<u64>,
    ) -> Result<u64, BenchError> {
        let members = self.members.iter().take(usize::try_from(shares).unwrap_or(usize::MAX));
        let claims = members.flat_map(|member| tokens.iter().map(move |token| (member, token)));
        let claims = futures::stream::iter(claims).map(|(member, token)| async move {
            let began = started();
            let reply = self.client.claim(&self.room, member, token).await?;
            Ok::<_, ClientError>((reply, began.elapsed()))
        });
        let mut claims = claims.buffer_unordered(callers);
        let mut won = 0_u64;
        while let Some(claim) = claims.next().await {
            let (reply, took) = claim?;
            if reply.status != 201 {
                let what = format!("a claim was answered {}: {}", reply.status, reply.body);
                return Err(BenchError::Broken(what));
            }
            latency_us.saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
            won = won.saturating_add(1);
        }
        Ok(won)
    }
}
