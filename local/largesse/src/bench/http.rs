//! One process over real HTTP on loopback: its start, claims a second, its memory.
//!
//! The server is a process of its own; the callers are in this one and take their part of the same
//! processors. Payments run meanwhile, as they do for anybody.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::StreamExt;

use super::process::Watched;
use super::report::{Cell, Mark, Table, figure};
use super::{BenchError, process};
use crate::client::Client;

/// How many requests are under way at once.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// Shares of a hot spray.
const HOT_SHARES: u32 = 1_000;
/// Sprays that are claimed at the same time, and shares of each.
const DISTINCT: u32 = 200;
const DISTINCT_SHARES: u32 = 20;
/// What the FastAPI system does: claims a second on one spray, and on many (docs/limits.md).
const FASTAPI_HOT: f64 = 34.0;
const FASTAPI_DISTINCT: f64 = 62.0;
/// How many times that is the mark.
const RATIO: f64 = 50.0;
/// The mark of the server's memory, in which all tables are: looked at after so many claims, since
/// it grows with what is stored.
const MEMORY_MIB: f64 = 90.0;
const MEMORY_AFTER: u64 = 10_000;
/// Who sprays.
const GIVER: &str = "giver";
/// Starts that are measured; the median counts.
const STARTS: usize = 5;
/// What stands before the address in the banner of `up`.
const BANNER: &str = "open   http://";

/// Measures for about `each` per row of claims.
///
/// # Errors
/// [`BenchError`].
pub async fn measure(each: Duration) -> Result<Vec<Table>, BenchError> {
    let mut starts = Vec::new();
    for _ in 1..STARTS {
        let (_server, _, ms) = start().await?;
        starts.push(ms);
    }
    let (server, address, ms) = start().await?;
    starts.push(ms);
    starts.sort_by(f64::total_cmp);
    let idle_mib = server.memory_mib("VmHWM")?;
    let crowd = Crowd::gather(Client::new(format!("http://{address}"))).await?;
    let (mut rows, mut claims) = (Vec::new(), 0_u64);
    let mut early = None;
    for (name, shares, sprays, fastapi) in [
        ("hot spray", HOT_SHARES, 1, FASTAPI_HOT),
        ("many sprays", DISTINCT_SHARES, DISTINCT, FASTAPI_DISTINCT),
    ] {
        for clients in CLIENTS {
            let rate = crowd.claims(shares, sprays, clients, each, &mut claims).await?;
            rows.push((format!("{name}, {clients} clients"), rated(rate, fastapi, clients)));
            if early.is_none() && claims >= MEMORY_AFTER {
                early = Some((claims, server.memory_mib("VmHWM")?));
            }
        }
    }
    let peak = (claims, server.memory_mib("VmHWM")?);
    let early = early.unwrap_or(peak);
    let claimed = Table {
        name: "claims",
        title: "HTTP: claims a second of one process on this machine".to_owned(),
        columns: vec!["claims_per_s", "times_the_fastapi_system"],
        rows,
        notes: vec![
            format!(
                "a hot spray has {HOT_SHARES} shares; many are {DISTINCT} of {DISTINCT_SHARES}"
            ),
            format!(
                "FastAPI system: {FASTAPI_HOT} a second on one spray, {FASTAPI_DISTINCT} on many"
            ),
            "callers, server and payments share this machine's processors".to_owned(),
        ],
    };
    let median = starts.get(STARTS.div_euclid(2)).copied().unwrap_or(f64::NAN);
    let after = |(claims, _): (u64, f64)| format!("peak memory after {claims} claims, MiB");
    let mark = (early.0 >= MEMORY_AFTER).then_some(Mark::AtMost(MEMORY_MIB));
    let server = Table {
        name: "server",
        title: "HTTP: the server's process".to_owned(),
        columns: vec!["value"],
        rows: vec![
            ("start to first answer, ms".to_owned(), vec![Cell::of(median)]),
            ("peak memory before the first claim, MiB".to_owned(), vec![Cell::of(idle_mib)]),
            (after(early), vec![Cell::Figure(early.1, mark)]),
            (after(peak), vec![Cell::of(peak.1)]),
        ],
        notes: vec![
            "in memory: tables, queues and streams of all those claims are in it".to_owned(),
        ],
    };
    Ok(vec![claimed, server])
}

/// The mark is for 16 to 64 clients; a lone client waits for each answer.
fn rated(rate: f64, fastapi: f64, clients: usize) -> Vec<Cell> {
    let mark = (clients > 1).then_some(Mark::AtLeast(RATIO));
    vec![Cell::of(rate.round()), Cell::Figure((rate / fastapi).round(), mark)]
}

/// Starts this very binary and waits for its first answer; says how many milliseconds that took.
async fn start() -> Result<(Watched, String, f64), BenchError> {
    let own = std::env::current_exe().map_err(|source| process("who am I", source))?;
    let mut command = Command::new(own);
    command.args(["up", "--listen", "127.0.0.1:0"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let began = super::started();
    let mut server = Watched::start(&mut command)?;
    let out = server.child().stdout.take();
    let banner = tokio::task::spawn_blocking(move || {
        let lines = out.map(|out| BufReader::new(out).lines().map_while(Result::ok));
        let address = |line: String| {
            let rest = line.split_once(BANNER)?.1;
            Some(rest.split_once('/')?.0.to_owned())
        };
        lines.into_iter().flatten().find_map(address)
    });
    let address = banner.await.ok().flatten();
    let address = address.ok_or_else(|| BenchError::Broken("the server is not up".to_owned()))?;
    let client = Client::new(format!("http://{address}"));
    let health =
        client.send(reqwest::Method::GET, "/api/v2/health", GIVER, None, None, None).await?;
    if health.status != 200 {
        return Err(BenchError::Broken(format!("health was answered {}", health.status)));
    }
    Ok((server, address, (began.elapsed().as_secs_f64() * 1e4).round() / 10.0))
}

/// A room of members who claim.
struct Crowd {
    client: Client,
    room: String,
}

impl Crowd {
    async fn gather(client: Client) -> Result<Self, BenchError> {
        let room = client.room(GIVER).await?;
        let joins = futures::stream::iter(0..HOT_SHARES).map(|n| {
            let (client, room) = (client.clone(), room.clone());
            async move { client.join(&room, GIVER, &format!("member-{n}")).await }
        });
        let mut joins = joins.buffer_unordered(16);
        while let Some(joined) = joins.next().await {
            joined?;
        }
        drop(joins);
        client.deposit(GIVER, 1_000_000_000_000).await?;
        Ok(Self { client, room })
    }

    /// Claims all shares of so many sprays, again and again until the time is up; claims a second.
    async fn claims(
        &self,
        shares: u32,
        sprays: u32,
        clients: usize,
        each: Duration,
        claimed: &mut u64,
    ) -> Result<f64, BenchError> {
        let (mut took, mut done) = (Duration::ZERO, 0_u64);
        while took < each {
            let mut tokens = Vec::new();
            for n in 0..sprays {
                let key = format!("{shares}-{clients}-{done}-{n}");
                let amount = u64::from(shares);
                tokens.push(self.client.spray(&self.room, GIVER, &key, amount, shares).await?);
            }
            let started = super::started();
            let won = self.round(&tokens, shares, clients).await?;
            took = took.saturating_add(started.elapsed());
            done = done.saturating_add(won);
        }
        *claimed = claimed.saturating_add(done);
        Ok(figure(done) / took.as_secs_f64())
    }

    /// Every share of every spray is claimed; neighbours in the queue are of different sprays.
    async fn round(
        &self,
        tokens: &[String],
        shares: u32,
        clients: usize,
    ) -> Result<u64, BenchError> {
        let wishes = (0..shares).flat_map(|n| tokens.iter().map(move |token| (n, token)));
        let claims = futures::stream::iter(wishes).map(|(n, token)| async move {
            self.client.claim(&self.room, &format!("member-{n}"), token).await
        });
        let mut claims = claims.buffer_unordered(clients);
        let mut won = 0_u64;
        while let Some(reply) = claims.next().await {
            let reply = reply?;
            if reply.status != 201 {
                let what = format!("a claim was answered {}: {}", reply.status, reply.body);
                return Err(BenchError::Broken(what));
            }
            won = won.saturating_add(1);
        }
        Ok(won)
    }
}
