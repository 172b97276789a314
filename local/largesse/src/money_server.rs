//! `largesse money-server`: a reference of the HTTP money API, until Ctrl-C.

use std::sync::Arc;

use clap::Args;
use largesse_aws::production::SystemClock;
use largesse_money_server::{FaultShare, Faults, RetryAfter, Server, Settings, Verb};

use crate::serve::StartError;
use crate::up::{say, signal_to_stop};

/// Why the server could not run.
#[derive(Debug, thiserror::Error)]
pub enum MoneyServerError {
    /// It did not start.
    #[error(transparent)]
    Start(#[from] largesse_money_server::StartError),
    /// The process cannot listen for signals.
    #[error(transparent)]
    Signals(#[from] StartError),
}

/// How the server starts. Shares are thousandths of the calls.
#[derive(Debug, Args)]
pub struct MoneyServerArgs {
    /// The port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, default_value_t = 3200)]
    port: u16,
    /// The bearer secret that callers must give; without it, they need none.
    #[arg(long, value_name = "TEXT")]
    secret: Option<String>,
    /// Decides which calls meet which faults: the same calls meet the same ones again.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A fault and its share, as `refuse=200`; may be given more than once. Faults: refuse, pend,
    /// wrong_amount, wrong_member, throttle, deny, fail, fail_after, stall, reset_before,
    /// reset_after, trickle, malformed, oversized.
    #[arg(long = "fault", value_name = "NAME=SHARE")]
    faults: Vec<FaultShare>,
    /// Which calls those shares are of: pay, look_up or reverse; without it, all.
    #[arg(long, value_name = "CALL")]
    only: Option<Verb>,
    /// Requests in any sliding second; above it 429. 0 is no limit.
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u32,
    /// How a 429 says when to come back: seconds, date or none.
    #[arg(long, value_name = "FORM", default_value = "seconds")]
    retry_after: RetryAfter,
    /// How long every answer takes.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// For so many seconds from the start, every call is answered 503.
    #[arg(long, value_name = "S", default_value_t = 0)]
    outage_s: u32,
    /// The code of a refusal.
    #[arg(long, value_name = "CODE", default_value = "refused")]
    refusal_code: String,
    /// A member whose payments are always refused; may be given more than once.
    #[arg(long, value_name = "MEMBER")]
    closed: Vec<String>,
    /// When the answer of `stall` comes.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    stall_ms: u64,
    /// The time between two bytes of `trickle`.
    #[arg(long, value_name = "MS", default_value_t = 500)]
    trickle_ms: u64,
    /// When a transfer of `pend` is decided; without it, by hand only.
    #[arg(long, value_name = "MS")]
    verdict_after_ms: Option<u64>,
    /// The share of those verdicts that are refusals.
    #[arg(long, value_name = "SHARE", default_value_t = 0)]
    verdict_refused: u16,
    /// The share of bursts of 5xx among blocks of calls.
    #[arg(long, value_name = "SHARE", default_value_t = 0)]
    burst: u16,
    /// How many calls a burst holds.
    #[arg(long, value_name = "N", default_value_t = 10)]
    burst_calls: u32,
}

impl From<MoneyServerArgs> for Settings {
    fn from(args: MoneyServerArgs) -> Self {
        let faults = Faults {
            limit_per_s: args.limit,
            retry_after: args.retry_after,
            latency_ms: args.latency_ms,
            outage_ms: u64::from(args.outage_s).saturating_mul(1_000),
            shares: args.faults.iter().map(|share| (share.0, share.1)).collect(),
            only: args.only,
            refusal_code: args.refusal_code,
            closed: args.closed.into_iter().collect(),
            stall_ms: args.stall_ms,
            trickle_ms: args.trickle_ms,
            verdict_after_ms: args.verdict_after_ms,
            verdict_refused: args.verdict_refused,
            burst: args.burst,
            burst_calls: args.burst_calls,
        };
        Self { port: args.port, secret: args.secret, seed: args.seed, faults }
    }
}

/// Runs the server until Ctrl-C or SIGTERM.
///
/// # Errors
/// [`MoneyServerError`].
pub async fn run(args: MoneyServerArgs) -> Result<(), MoneyServerError> {
    let has_secret = args.secret.is_some();
    let server = Server::start(args.into(), Arc::new(SystemClock)).await?;
    // Before the banner: a signal after it stops the process in order.
    let stopping = signal_to_stop()?;
    say(&banner(&server.url(), has_secret));
    stopping.await;
    let report = server.report();
    let (calls, sum) = (report.calls, report.paid_sum);
    let paid = report.paid.saturating_add(report.reversed);
    say(&format!("\nStopped after {calls} calls: {paid} paid, {sum} in all. Nothing is kept."));
    Ok(())
}

fn banner(url: &str, has_secret: bool) -> String {
    let secret = if has_secret { " -H \"Authorization: Bearer $SECRET\"" } else { "" };
    format!(
        r#"A reference of the HTTP money API is up. Its books are in memory only.

  api      {url}/transfers (docs/money.md, docs/money-openapi.json)
  control  {url}/control/faults, /control/books, /control/verdicts
  stop     Ctrl-C

Try it, from another terminal: pay alice 500 twice, look it up, take it back, read the books.

  API={url} JSON='content-type: application/json' ID=01ARZ3NDEKTSV4RRFFQ69G5FAV
  ORDER='{{"id":"'$ID'","member":"alice","amount":500,"reason":"share","source":"test"}}'
  curl -si $API/transfers{secret} -H "Idempotency-Key: $ID" -H "$JSON" -d "$ORDER"
  curl -si $API/transfers{secret} -H "Idempotency-Key: $ID" -H "$JSON" -d "$ORDER"
  curl -s $API/transfers/$ID{secret}
  curl -s -X POST $API/transfers/$ID/reversal{secret}
  curl -s $API/control/books

One payment in five is refused, one in twenty answered too late:

  curl -s -X PUT $API/control/faults -d '{{"shares": {{"refuse": 200, "stall": 50}}}}'
"#
    )
}
