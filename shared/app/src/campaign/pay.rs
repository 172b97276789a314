//! Pays the rows of a chunk, each exactly once.
//!
//! # How a row is paid once
//! Its id is permanent, so the money service itself pays it once. What is decided here is what the
//! record says: the chunk is leased before anything is sent, a row that may have been sent without a
//! known answer is looked up before it is sent again, and only a refusal counts as a failure.
//!
//! # What is left
//! Rows that were refused come back after the policy's delay, beside their lane, so that a lane never
//! waits for them. Rows of which the outcome is not known do too. When the money service or the store
//! does not work, the lane waits: no other row of it could be paid either. A row that the money service
//! contradicts is set aside: the others go on, the campaign does not complete, and the dead-letter
//! queue alarms. A chunk that cannot be used is told to the campaign and left out: the others go on, and
//! then the campaign ends FAILED ([`super::watch`]).
//!
//! # Guarantees
//! * A worker that is killed at any await leaves each row paid once, the counters exact, and a campaign
//!   that completes: `a_worker_killed_at_any_await_pays_each_row_once`.
//! * So does the whole chain, from the request that makes a campaign to its end:
//!   `a_campaign_whose_functions_are_killed_at_any_await_pays_each_row_once_and_completes`.
//! * Through a storm of the money service each row is paid once or failed, and the books of both sides
//!   agree: `after_a_storm_of_the_money_server_each_row_is_paid_once_or_failed_and_the_books_agree`.
//! * Two workers on one chunk pay each row once: `two_workers_on_one_chunk_pay_each_row_once`.
//! * A refused row comes back after the delay and fails after its retries, beside its lane:
//!   `a_refused_row_fails_after_its_retries_and_slows_no_other`.
//! * A row of unknown outcome is looked up before it is sent:
//!   `a_row_of_unknown_outcome_is_looked_up_before_it_is_sent`.
//! * A campaign that is stopped sends nothing later than two seconds after:
//!   `a_stopped_campaign_sends_nothing_later_than_two_seconds_after`; nor does a slow ledger pay later:
//!   `a_slow_ledger_pays_nothing_five_seconds_after_a_stop`.
//! * A retry pays the failed rows alone: `a_retry_pays_exactly_the_failed_rows`.
//! * A row that the money service contradicts holds up no other:
//!   `a_row_that_is_contradicted_holds_up_no_other`,
//!   `a_row_that_is_contradicted_holds_up_no_lane_when_all_others_are_paid`,
//!   `a_wallet_that_cannot_be_read_holds_up_no_other_row`.
//! * A record from before a retry pays nobody again:
//!   `a_result_from_before_a_retry_pays_nobody_again`.
//! * A chunk that cannot be used holds up no other, and counts nothing as failed:
//!   `a_chunk_that_cannot_be_used_fails_the_campaign_after_all_others_are_paid`.

use largesse_domain::campaign::{ChunkRecord, Failure, RowState, Said};
use largesse_domain::grant::RetryPolicy;
use largesse_domain::time::Timestamp;

use super::PayPorts;
use super::act::{self, ActError};
use super::progress::{end_if_done, snapshot};
use super::session::{ChunkOutcome, ROUND_MS, Session, allowed, load};
use crate::invocation::permits_before;
use crate::ports::{ChunkMessage, Money, Payment, PortError, PortErrorKind, PortResult, Written};

/// The longest wait for the money service within one invocation: a permit or an answer is near.
const WAIT_MS_MAX: u64 = 2_000;
/// The shortest wait after a round in which nothing was paid.
const WAIT_MS_MIN: u32 = 50;
/// Seconds until a chunk that another worker has comes back.
pub(super) const BUSY_DELAY_S: u32 = 3;

/// What workers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaySettings {
    /// How often and how fast a refused row is retried.
    pub policy: RetryPolicy,
    /// A snapshot of the progress is kept for each so many seconds.
    pub snapshot_s: u32,
}

/// Pays what is due of a chunk until `stop_at`.
pub async fn pay_chunk<M: Money, D: PayPorts>(
    money: &M,
    deps: &D,
    message: &ChunkMessage,
    settings: PaySettings,
    stop_at: Timestamp,
) -> ChunkOutcome {
    match pay(money, deps, message, settings, stop_at).await {
        Ok(outcome) => outcome,
        Err(cause) if cause.kind == PortErrorKind::Corrupt => damaged(deps, message, cause).await,
        Err(cause) => ChunkOutcome::of_error(cause),
    }
}

/// Tells the campaign that the chunk cannot be used. Its message is then done, and its rows stay as
/// they are: the watch ends the campaign when nothing else of it moves.
async fn damaged<D: PayPorts>(deps: &D, message: &ChunkMessage, cause: PortError) -> ChunkOutcome {
    let (campaign, chunk) = (message.campaign, message.chunk.0);
    let problem = format!("chunk {chunk} cannot be used ({})", cause.operation);
    match act::damaged(deps, campaign, message.fence, problem).await {
        Ok(_) => {
            let (cause, why) = (cause.causes(), "the chunk cannot be used: an operator must look");
            let trace = message.trace_id();
            tracing::error!(campaign.id = %campaign, chunk, trace.id = trace, error.cause = cause, "{why}");
            ChunkOutcome::Done
        }
        Err(ActError::Refused(_)) => ChunkOutcome::Dropped,
        Err(ActError::Busy) => ChunkOutcome::of_error(PortError::contended("report damage")),
        // The campaign itself cannot be read, or the store does not work.
        Err(ActError::Port(error)) => ChunkOutcome::of_error(error),
        Err(ActError::NotFound | ActError::AgendaFull(_)) => ChunkOutcome::SetAside(cause),
    }
}

async fn pay<M: Money, D: PayPorts>(
    money: &M,
    deps: &D,
    message: &ChunkMessage,
    settings: PaySettings,
    stop_at: Timestamp,
) -> PortResult<ChunkOutcome> {
    let policy = settings.policy;
    let Some(campaign) = allowed(deps, message).await? else { return Ok(ChunkOutcome::Dropped) };
    let loaded = load(deps, campaign.value, message.chunk, policy.retries_max).await?;
    let now = deps.now();
    if loaded.is_leased(now) {
        return Ok(ChunkOutcome::Retry { delay_s: BUSY_DELAY_S });
    }
    let is_idle = loaded.record.lease.is_none() && !has_work(&loaded.record, policy, now);
    if is_idle {
        return rest(deps, message, &loaded.record, policy).await;
    }
    let Some(mut session) = loaded.begin(money, deps, message).await? else {
        return Ok(ChunkOutcome::Retry { delay_s: BUSY_DELAY_S });
    };
    run(&mut session, policy, stop_at).await;
    if session.commit(false).await? == Written::Changed {
        return Ok(ChunkOutcome::Retry { delay_s: BUSY_DELAY_S });
    }
    snapshot(deps, message.campaign, settings.snapshot_s).await;
    if session.is_gone {
        return Ok(ChunkOutcome::Dropped);
    }
    if let Some((retry_after_ms, cause)) = session.held {
        return Ok(ChunkOutcome::Later { retry_after_ms, cause });
    }
    if let Some(cause) = session.aside {
        return Ok(ChunkOutcome::SetAside(cause));
    }
    rest(deps, message, &session.record, policy).await
}

/// Until when a pending row may not be sent, if it was refused.
fn due_at(record: &ChunkRecord, position: usize, policy: RetryPolicy) -> Option<Timestamp> {
    let refused_at = record.rows.get(position)?.refused_at?;
    Some(refused_at.plus_ms(u64::from(policy.delay_s).saturating_mul(1_000)))
}

fn is_due(record: &ChunkRecord, at: usize, policy: RetryPolicy, now: Timestamp) -> bool {
    due_at(record, at, policy).is_none_or(|due| due <= now)
}

/// Whether a row is to be sent or looked up now.
fn has_work(record: &ChunkRecord, policy: RetryPolicy, now: Timestamp) -> bool {
    (0..record.rows.len()).any(|position| match record.state(position) {
        Some(RowState::Unknown) => true,
        Some(RowState::Pending) => is_due(record, position, policy, now),
        _ => false,
    })
}

/// What is left of a chunk that nothing is done with now.
async fn rest<D: PayPorts>(
    deps: &D,
    message: &ChunkMessage,
    record: &ChunkRecord,
    policy: RetryPolicy,
) -> PortResult<ChunkOutcome> {
    let states = (0..record.rows.len()).filter_map(|at| Some((at, record.state(at)?)));
    let (mut has_unknown, mut wait_ms) = (false, None);
    let now = deps.now();
    for (position, state) in states {
        match state {
            RowState::Unknown => has_unknown = true,
            RowState::Pending => {
                let due = due_at(record, position, policy).unwrap_or(now);
                let wait = due.ms_since(now);
                wait_ms = Some(wait_ms.map_or(wait, |least: u64| least.min(wait)));
            }
            _ => {}
        }
    }
    match (wait_ms, has_unknown) {
        (Some(wait_ms), _) => {
            let delay_s = u32::try_from(wait_ms.div_ceil(1_000)).unwrap_or(u32::MAX);
            Ok(ChunkOutcome::Retry { delay_s })
        }
        (None, true) => Ok(ChunkOutcome::Unresolved),
        (None, false) => {
            end_if_done(deps, message).await?;
            Ok(ChunkOutcome::Done)
        }
    }
}

/// Pays in rounds, until nothing is due or the money service does not work.
async fn run<M: Money, D: PayPorts>(
    session: &mut Session<'_, M, D>,
    policy: RetryPolicy,
    stop_at: Timestamp,
) {
    let mut has_answers = false;
    while let Some(until) = session.round(stop_at).await {
        session.held = None;
        session.look_up(until).await;
        let now = session.deps.now();
        let record = &session.record;
        let due = session.open(|position, state| {
            matches!(state, RowState::Pending) && is_due(record, position, policy, now)
        });
        if due.is_empty() && session.held.is_none() {
            return;
        }
        // Look-ups may have used up the round.
        let is_over = now >= until;
        let answered = if is_over { 1 } else { send(session, &due, until, has_answers).await };
        has_answers |= answered > 0;
        let Some((retry_after_ms, cause)) = &session.held else { continue };
        // Nothing was paid: a permit may be near. What is farther comes back with the message.
        let wait_ms = retry_after_ms.unwrap_or(0);
        let can_wait = cause.is_retryable() && wait_ms <= WAIT_MS_MAX;
        if answered == 0 {
            if !can_wait || session.deps.now().plus_ms(wait_ms) >= stop_at {
                return;
            }
            let jitter = u64::from(session.deps.below(WAIT_MS_MIN));
            let least = u64::from(WAIT_MS_MIN);
            session.deps.pause_ms(wait_ms.max(least).saturating_add(jitter)).await;
        }
    }
}

/// Sends rows, and takes the answers: how many there were.
async fn send<M: Money, D: PayPorts>(
    session: &mut Session<'_, M, D>,
    due: &[usize],
    until: Timestamp,
    has_answers: bool,
) -> usize {
    let grants = session.grants(due);
    let payments = permits_before(until, session.money.pay(&grants)).await;
    let now = session.deps.now();
    let (mut answered, mut refused_calls) = (0_usize, Vec::new());
    for (position, payment) in due.iter().copied().zip(payments) {
        match payment {
            Payment::Paid | Payment::AlreadyPaid => session.settle(position, Said::Paid),
            Payment::Refused(refusal) => {
                session.settle(position, Said::Refused(Failure::new(&refusal.to_string())));
                if let Some(row) = session.record.rows.get_mut(position) {
                    row.refused_at = Some(now);
                }
            }
            Payment::Unknown(_) | Payment::Pending => session.settle(position, Said::Unknown),
            Payment::Voided => {
                session.set_aside(position, PortError::corrupt("the row is voided"));
            }
            Payment::NotNow { retry_after_ms, cause } if cause.is_retryable() => {
                session.hold(retry_after_ms, cause);
                continue;
            }
            // What lies under the row's id contradicts it, whatever the service says of other rows.
            Payment::NotNow { cause, .. } if cause.kind == PortErrorKind::Corrupt => {
                session.set_aside(position, cause);
                continue;
            }
            Payment::NotNow { cause, .. } => {
                refused_calls.push((position, cause));
                continue;
            }
        }
        answered = answered.saturating_add(1);
    }
    // A call that is refused for good is the row's fault when other rows of the chunk were answered,
    // and else the service's: then the lane waits.
    for (position, cause) in refused_calls {
        if answered > 0 || has_answers {
            session.set_aside(position, cause);
        } else {
            session.hold(None, cause);
        }
    }
    answered
}

const _: () = assert!(WAIT_MS_MAX <= ROUND_MS);
