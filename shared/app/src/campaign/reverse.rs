//! Takes the payments of a chunk back, each once.
//!
//! Each open row of a chunk that was ever leased is looked up first, also when an earlier look-up found
//! it not paid: its call may have had its effect later. A row that turns out to be paid is taken back,
//! one that is not stays pending and is never sent. What a member has spent already is recorded as a
//! shortfall.
//!
//! A chunk is **closed** by the commit after which no row is paid or unknown, and counted once. The
//! rollback ends when all chunks are closed. The counters alone would not do: rows that a killed
//! worker paid are still counted as pending.
//!
//! # Guarantees
//! * A rollback that is killed at any await takes each payment back once, and records what it could
//!   not: `a_rollback_killed_at_any_await_takes_each_payment_back_once`.
//! * So does the whole chain:
//!   `a_retry_and_a_rollback_whose_functions_are_killed_at_any_await_reverse_each_row_once`,
//!   `a_rollback_through_a_storm_takes_each_payment_back_once`.
//! * What a killed worker paid is taken back too: `a_rollback_finds_what_a_killed_worker_paid`; so is
//!   what was paid after a look-up found nothing:
//!   `a_rollback_takes_back_what_was_paid_after_a_look_up_found_nothing`.

use futures::future::join_all;
use largesse_domain::campaign::{RowState, Said};
use largesse_domain::money::Amount;
use largesse_domain::time::Timestamp;

use super::PayPorts;
use super::pay::BUSY_DELAY_S;
use super::progress::roll_back_if_done;
use super::session::{ChunkOutcome, Session, allowed, load};
use crate::invocation::permits_before;
use crate::ports::{ChunkMessage, Money, PortError, PortResult, Reversal, Written};

/// Takes back what is paid of a chunk until `stop_at`.
pub async fn reverse_chunk<M: Money, D: PayPorts>(
    money: &M,
    deps: &D,
    message: &ChunkMessage,
    stop_at: Timestamp,
) -> ChunkOutcome {
    let reversed = reverse(money, deps, message, stop_at).await;
    reversed.unwrap_or_else(ChunkOutcome::of_error)
}

async fn reverse<M: Money, D: PayPorts>(
    money: &M,
    deps: &D,
    message: &ChunkMessage,
    stop_at: Timestamp,
) -> PortResult<ChunkOutcome> {
    let Some(campaign) = allowed(deps, message).await? else { return Ok(ChunkOutcome::Dropped) };
    // No row is refused here: the retries of a chunk that was never paid do not matter.
    let loaded = load(deps, campaign.value, message.chunk, 0).await?;
    if loaded.record.is_closed {
        roll_back_if_done(deps, message).await?;
        return Ok(ChunkOutcome::Done);
    }
    if loaded.is_leased(deps.now()) {
        return Ok(ChunkOutcome::Retry { delay_s: BUSY_DELAY_S });
    }
    let Some(mut session) = loaded.begin(money, deps, message).await? else {
        return Ok(ChunkOutcome::Retry { delay_s: BUSY_DELAY_S });
    };
    // The last word about each row: nothing looks it up after the rollback.
    session.doubt()?;
    run(&mut session, stop_at).await;
    let is_closed = (0..session.rows.len()).all(|position| {
        !matches!(session.record.state(position), Some(RowState::Success | RowState::Unknown))
    });
    if session.commit(is_closed).await? == Written::Changed {
        return Ok(ChunkOutcome::Retry { delay_s: BUSY_DELAY_S });
    }
    if is_closed {
        roll_back_if_done(deps, message).await?;
        return Ok(ChunkOutcome::Done);
    }
    if session.is_gone {
        return Ok(ChunkOutcome::Dropped);
    }
    if let Some((retry_after_ms, cause)) = session.held {
        return Ok(ChunkOutcome::Later { retry_after_ms, cause });
    }
    Ok(session.aside.map_or(ChunkOutcome::Unresolved, ChunkOutcome::SetAside))
}

/// Looks up and takes back in rounds, until every row has an answer or the service does not work.
async fn run<M: Money, D: PayPorts>(session: &mut Session<'_, M, D>, stop_at: Timestamp) {
    while let Some(until) = session.round(stop_at).await {
        session.held = None;
        session.look_up(until).await;
        let paid = session.open(|_, state| matches!(state, RowState::Success));
        if paid.is_empty() || session.deps.now() >= until && session.held.is_some() {
            return;
        }
        let grants = session.grants(&paid);
        let calls = join_all(grants.iter().map(|grant| session.money.reverse(grant)));
        let answers = permits_before(until, calls).await;
        let mut answered = 0_usize;
        for ((position, grant), answer) in paid.into_iter().zip(&grants).zip(answers) {
            let said = match answer {
                Ok(Reversal::Reversed | Reversal::AlreadyReversed) => Ok(Said::Reversed),
                Ok(Reversal::Shortfall { amount }) => Amount::new(amount)
                    .ok()
                    .filter(|missing| *missing <= grant.amount)
                    .map(Said::Shortfall)
                    .ok_or(PortError::corrupt("more is missing than was paid")),
                Ok(Reversal::NotPaid) => Err(PortError::corrupt("a paid row is not paid")),
                Err(cause) => Err(cause),
            };
            match said {
                Ok(said) => session.settle(position, said),
                Err(cause) if cause.is_retryable() => {
                    session.hold(None, cause);
                    continue;
                }
                Err(cause) => session.set_aside(position, cause),
            }
            answered = answered.saturating_add(1);
        }
        if answered == 0 {
            return;
        }
    }
}
