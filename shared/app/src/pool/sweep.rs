//! The sweep: the safety net under the outbox.
//!
//! A draw puts its bucket into a sparse index, under the time some minutes later. The sweep looks up
//! the payment of every entry of the bucket and sends again what is neither paid nor given up. So a
//! stream that was stopped or forgotten, a message that was lost, or a table that was restored
//! leaves no member unpaid.
//!
//! # Guarantees
//! * An entry that is paid or given up is not sent again: `the_sweep_sends_only_what_is_unpaid`.
//! * An unpaid entry stays in the index until it is: `an_unpaid_entry_is_sent_again_until_it_is_paid`.
//! * An entry whose failed grant cannot be read may have been given up. It is not sent, stops no other
//!   entry, and is reported until it can be read:
//!   `an_entry_whose_failed_grant_cannot_be_read_is_left_and_stops_no_other`.
//! * An entry that no draw can have written is reported until it is put right:
//!   `an_impossible_entry_is_never_paid_nor_refunded_over_and_stops_no_other_entry`.
//! * A draw after the bucket was read keeps it in the index:
//!   `a_bucket_that_was_drawn_from_meanwhile_stays_in_the_index`.
//! * Of a drop, it counts what was paid and what failed; once all is settled the counts are exact:
//!   `the_figures_of_a_drop_are_exact_once_everything_has_settled`.
//! * A slot that was given up goes to a member who waits, also when grant-pay ended before it could
//!   pass it on, or when the list filled later:
//!   `the_sweep_passes_on_what_was_given_up_before_anybody_waited`. One that cannot be passed on stops
//!   no other entry: `a_list_that_cannot_be_read_keeps_no_other_slot_from_being_paid`.

use futures::StreamExt;
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::pool::{Bucket, BucketId, Entry, PaymentCounts};
use largesse_domain::time::Timestamp;

use super::read;
use crate::drop::promote::{CALLS_END_MS, PassedOn, pass_on};
use crate::due::{DuePlace, DueWalk, PAGE};
use crate::grant::dispatch::dispatch;
use crate::ports::{
    Clock, Drops, GrantMessage, GrantQueue, Grants, Money, Pools, PortError, PortErrorKind,
    PortResult, Promotions, Rng, Sweepable,
};

/// How old an entry is when its payment is looked up for the first time: longer than the outbox
/// and the queue take on any normal day.
pub const SWEEP_AFTER_MS: u64 = 300_000;
/// How old an entry of a drop is when its payment is counted for the first time: its figures are a
/// minute or two old (architecture.md 5.1). It is not sent again before [`SWEEP_AFTER_MS`].
const COUNT_AFTER_MS: u64 = 60_000;
/// How long after a grant was given up the sweep passes its slot on: grant-pay does so at half of it.
const PASS_ON_AFTER_MS: u64 = 2 * CALLS_END_MS;
/// The longest time between two looks at an unpaid entry: six hours.
const SWEEP_AGAIN_MS_MAX: u64 = 21_600_000;
/// Buckets swept at the same time by one run.
const CONCURRENCY: usize = 16;

/// How long after a draw its bucket is to be swept.
#[must_use]
pub const fn sweep_after_ms(pool: PoolId) -> u64 {
    match pool {
        PoolId::Drop(_) => COUNT_AFTER_MS,
        PoolId::Spray(_)
        | PoolId::Campaign(_)
        | PoolId::Product(_)
        | PoolId::Waiting(_)
        | PoolId::Lots(_) => SWEEP_AFTER_MS,
    }
}

/// What a run of the sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// Buckets looked at.
    pub buckets: u64,
    /// Entries that were neither paid nor given up, and were sent again.
    pub resent: u64,
    /// Entries that no draw can have written. They are not paid.
    pub impossible: u64,
    /// Entries whose failed grant cannot be read. They may have been given up, so they are not sent.
    pub unreadable: u64,
    /// Buckets that could not be swept now, or not even read; the next run tries again.
    pub failed: u64,
    /// Whether time ran out before everything was looked at.
    pub has_more: bool,
}

/// Sweeps what is to be swept until `stop_at`, longest waiting first in each shard of the index. It
/// goes on after a bucket that fails.
///
/// # Errors
/// [`PortError`] when the index cannot be read; a bucket that fails is counted.
pub async fn run<D>(deps: &D, stop_at: Timestamp) -> PortResult<SweepReport>
where
    D: Pools + Money + Grants + GrantQueue + Drops + Promotions + Rng + Clock,
{
    let mut report = SweepReport::default();
    let mut walk = DueWalk::until(stop_at, deps);
    while let Some(DuePlace { shard, now, after }) = walk.next(deps) {
        let page = deps.sweepable(shard, now, after, PAGE).await?;
        report.failed = report.failed.saturating_add(page.log_unreadable("not swept"));
        sweep_page(deps, &page.rows, &mut report).await;
        walk.went_on(page.next);
    }
    report.has_more = walk.has_more();
    Ok(report)
}

async fn sweep_page<D>(deps: &D, rows: &[Sweepable], report: &mut SweepReport)
where
    D: Pools + Money + Grants + GrantQueue + Drops + Promotions + Clock,
{
    let sweeps: Vec<_> = rows.iter().map(async |row| (row.id, sweep(deps, row.id).await)).collect();
    let mut sweeps = futures::stream::iter(sweeps).buffer_unordered(CONCURRENCY);
    while let Some((id, result)) = sweeps.next().await {
        report.buckets = report.buckets.saturating_add(1);
        match result {
            Ok(swept) => {
                report.resent = report.resent.saturating_add(swept.resent);
                report.impossible = report.impossible.saturating_add(swept.impossible);
                report.unreadable = report.unreadable.saturating_add(swept.unreadable);
            }
            Err(error) => {
                let (pool, bucket) = (id.pool.to_string(), id.number);
                tracing::error!(pool.id = pool, bucket, error.cause = error.causes(), "not swept");
                report.failed = report.failed.saturating_add(1);
            }
        }
    }
}

/// What sweeping one bucket came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Entries that were sent again.
    pub resent: u64,
    /// Entries that no draw can have written.
    pub impossible: u64,
    /// Entries whose failed grant cannot be read.
    pub unreadable: u64,
}

/// Sweeps one bucket.
///
/// # Errors
/// [`PortError`].
pub async fn sweep<D>(deps: &D, id: BucketId) -> PortResult<Swept>
where
    D: Pools + Money + Grants + GrantQueue + Drops + Promotions + Clock,
{
    let read = deps.buckets(id.pool, &[id.number]).await?;
    let Some(bucket) = read.into_iter().next() else { return Ok(Swept::default()) };
    let now = deps.now();
    let impossible = bucket.impossible_entries();
    let is_possible = |draw: &(&UserId, &Entry)| !impossible.contains(draw.0);
    let entries = || bucket.draws.iter().filter(is_possible);
    let after_ms = sweep_after_ms(id.pool);
    let is_old = |entry: &Entry| now >= entry.at.plus_ms(after_ms);
    // Young entries are looked at when they are old.
    let young = entries().filter(|(_, entry)| !is_old(entry));
    let mut next: Option<Timestamp> = young.map(|(_, e)| e.at.plus_ms(after_ms)).min();
    let old = entries().filter(|(_, entry)| is_old(entry));
    let grants: Vec<Grant> = old.filter_map(|(member, e)| bucket.grant(member, *e)).collect();
    let looked = look(deps, &bucket, grants).await?;
    let Looked { unpaid, unreadable, open_since, counts, failure } = looked;
    if !impossible.is_empty() {
        let (pool, count) = (id.pool.to_string(), impossible.len());
        tracing::error!(
            pool.id = pool,
            bucket = id.number,
            entries.impossible = count,
            "entries that no draw can have written are not paid"
        );
    }
    if let Some(oldest) = open_since {
        let again = look_again_at(oldest, now, after_ms);
        next = Some(next.map_or(again, |next| next.min(again)));
    }
    resend(deps, &unpaid).await?;
    if !impossible.is_empty() || unreadable > 0 || failure.is_some() {
        // It stays in the index, so that the schedule fails until an operator has put it right.
        let again = now.plus_ms(SWEEP_AFTER_MS);
        next = Some(next.map_or(again, |next| next.min(again)));
    }
    deps.swept(&bucket, next, counts).await?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let (resent, impossible) = (count(unpaid.len()), count(impossible.len()));
    Ok(Swept { resent, impossible, unreadable: count(unreadable) })
}

/// When an unpaid entry is looked at again: as much later as it is old now, so that an outage of a
/// day leads to a handful of messages for a grant and not to hundreds.
fn look_again_at(drawn: Timestamp, now: Timestamp, after_ms: u64) -> Timestamp {
    now.plus_ms(now.ms_since(drawn).clamp(after_ms, SWEEP_AGAIN_MS_MAX))
}

/// What a look at the payments of a bucket came to.
#[derive(Default)]
struct Looked {
    /// The messages of those grants that are neither paid nor given up, and are to be sent again.
    unpaid: Vec<GrantMessage>,
    /// Grants of which it is not known whether they were given up.
    unreadable: usize,
    /// When the oldest entry was drawn that is to be looked at again.
    open_since: Option<Timestamp>,
    /// What became of the payments of a drop.
    counts: Option<PaymentCounts>,
    /// Why the slot of an entry was not passed on, and will not be until an operator has put it right.
    failure: Option<PortError>,
}

async fn look<D>(deps: &D, bucket: &Bucket, grants: Vec<Grant>) -> PortResult<Looked>
where
    D: Money + Grants + Drops + Pools + Promotions + Clock,
{
    let mut looked = Looked::default();
    if grants.is_empty() {
        return Ok(looked);
    }
    let (is_drop, now) = (matches!(bucket.id.pool, PoolId::Drop(_)), deps.now());
    let mut counts = PaymentCounts { paid: 0, failed: 0, at: now };
    let statuses = read::statuses(deps, bucket.id.pool, &grants).await?;
    for (grant, status) in grants.into_iter().zip(statuses) {
        let since = grant.decided_at();
        let is_open = match status {
            None => {
                looked.unreadable = looked.unreadable.saturating_add(1);
                false
            }
            // A failed grant is retried by its message, which may be lost just as well.
            Some(GrantStatus::Pending | GrantStatus::Failed) => {
                if now >= since.plus_ms(SWEEP_AFTER_MS) {
                    looked.unpaid.push(GrantMessage::resent(grant));
                }
                true
            }
            Some(GrantStatus::Success) => {
                counts.paid = counts.paid.saturating_add(1);
                false
            }
            // Of a drop, somebody may wait for the slot, or an operator have it paid after all.
            Some(GrantStatus::PermanentlyFailed) if is_drop => {
                counts.failed = counts.failed.saturating_add(1);
                match was_passed_on(deps, &grant).await {
                    Ok(was_passed_on) => !was_passed_on,
                    // All of the bucket is left to the next run.
                    Err(error) if error.is_retryable() => return Err(error),
                    // For instance a list that cannot be read: it stops no other entry.
                    Err(error) => {
                        looked.failure = Some(error);
                        true
                    }
                }
            }
            Some(GrantStatus::PermanentlyFailed | GrantStatus::Voided) => {
                counts.failed = counts.failed.saturating_add(1);
                false
            }
        };
        if is_open {
            looked.open_since = Some(looked.open_since.map_or(since, |open| open.min(since)));
        }
    }
    looked.counts = is_drop.then_some(counts);
    Ok(looked)
}

/// Passes the slot of a grant that was given up on, if somebody waits for it.
async fn was_passed_on<D>(deps: &D, grant: &Grant) -> PortResult<bool>
where
    D: Grants + Drops + Pools + Promotions + Clock,
{
    let given_up = deps.failed_grant(grant.source, &grant.member).await?;
    let given_up = given_up.filter(|failed| failed.grant.id == grant.id);
    let Some(given_up) = given_up else { return Ok(false) };
    // grant-pay comes first: it can look the grant up where another service than the ledger pays.
    if deps.now() < given_up.failed_at.plus_ms(PASS_ON_AFTER_MS) {
        return Ok(false);
    }
    Ok(pass_on(deps, &given_up).await? == PassedOn::Now)
}

async fn resend<D: GrantQueue>(deps: &D, unpaid: &[GrantMessage]) -> PortResult<()> {
    for GrantMessage { grant, .. } in unpaid {
        tracing::warn!(grant.id = %grant.id.0, "unpaid minutes after its draw: sent again");
    }
    match dispatch(deps, unpaid).await {
        None => Ok(()),
        Some(_) => {
            let (operation, kind) = ("resend grants: not all were taken", PortErrorKind::Throttled);
            Err(PortError { operation, kind, cause: None })
        }
    }
}

#[cfg(test)]
mod tests;
