//! The watch over the work of campaigns: what is lost is sent again, and what cannot be done ends.
//!
//! A campaign that is sealed, pays or takes back moves by messages alone. When they are lost (a queue
//! was purged, a message outlived its queue, a dead letter was deleted, a stream was stopped for
//! days), nothing moves it. campaign-start calls the watch every minute.
//!
//! # When work is lost
//! A run compares how far a campaign has come with what the run before saw, and counts the messages
//! in the queues that its work passes through. Only when nothing moved and no message was there in
//! every run for [`STILL_MS`], the job is sent again, from its first chunk. A message that waits for a
//! breaker, a permit or an undecided row is in a queue, so an outage of any length sends nothing.
//!
//! | lost | comes back by |
//! | --- | --- |
//! | the job of a seal | the same job: the seal goes on behind its last pass |
//! | the job of a start or rollback, or of its rest | the same job from chunk 0 |
//! | a chunk in a lane | the job from chunk 0: chunks that are done are dropped |
//! | a chunk that came back (a refused row is due, an outcome is not known) | the same: the record of the chunk knows what is due |
//! | an audit entry that the outbox never sent | the job that would have followed from it |
//!
//! The queues are shared, so work that is lost beside another campaign's waits until these are empty.
//!
//! # When a campaign fails
//! A chunk that cannot be used is told to its campaign ([`super::act::damaged`]) and left out, so that
//! all others are paid. When nothing moves any more, the job is sent once more: a restored chunk, or
//! a newer version of the worker, then goes on. When that moved nothing either, the campaign ends
//! FAILED with that problem, so that the next one runs. Without such a problem no campaign is ended
//! here, however long nothing moves.
//!
//! # Guarantees
//! * Lost work of every kind comes back, and each row is paid once:
//!   `chunks_that_are_lost_come_back_and_each_row_is_paid_once`,
//!   `a_lost_job_of_a_seal_a_start_or_a_rollback_comes_back`,
//!   `a_refused_row_whose_message_is_lost_comes_back`.
//! * Nothing is sent again while messages wait: `nothing_is_sent_again_while_messages_wait`.
//! * A watch that is killed at any await costs nothing but another job:
//!   `a_watch_killed_at_any_await_loses_nothing`.
//! * A chunk that cannot be used ends its campaign after all others are paid:
//!   `a_chunk_that_cannot_be_used_fails_the_campaign_after_all_others_are_paid`.
//! * Infrastructure ends no campaign: `an_outage_ends_no_campaign_with_a_damaged_chunk`.

use largesse_domain::campaign::{Campaign, Counts, State};
use largesse_domain::id::CampaignId;

use super::ActPorts;
use super::act::{self, ActError};
use crate::ports::{
    Backlog, CampaignJob, CampaignJobs, CampaignMarks, CampaignResults, Mark, PortError,
    PortErrorKind, PortResult,
};

/// What the watch needs.
pub trait WatchPorts: ActPorts + CampaignResults + CampaignJobs + CampaignMarks + Backlog {}

impl<T: ActPorts + CampaignResults + CampaignJobs + CampaignMarks + Backlog> WatchPorts for T {}

/// How long nothing moves and no message is seen before work counts as lost: ten minutes.
///
/// Work that is not lost always has a message somewhere, but for the seconds between an action and
/// its job (the stream of the table). The numbers of messages are exact a minute after the last was
/// sent (Amazon SQS API Reference, `GetQueueAttributes`).
pub const STILL_MS: u64 = 600_000;
/// A FIFO queue drops what was sent under the same id in the last five minutes (Amazon SQS API
/// Reference, `SendMessage`). A job that is sent again sends its chunks under the same ids, so it may
/// not come earlier; one whose chunks were dropped all the same is sent again after the next wait.
const DEDUPLICATION_MS: u64 = 300_000;
const _: () = assert!(STILL_MS >= 2 * DEDUPLICATION_MS);
/// The wait before each further job doubles until it is this many times as long: some ten hours.
const LONGER_MAX: u64 = 64;

/// What a run of the watch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// The campaigns whose job it sent again.
    pub resent: Vec<CampaignId>,
    /// The campaigns that it ended.
    pub failed: Vec<CampaignId>,
    /// The campaigns that cannot be read.
    pub unreadable: Vec<CampaignId>,
}

/// Inspects every campaign that is being sealed, pays or takes back.
///
/// # Errors
/// [`PortError`]; what was done until then is done.
pub async fn watch<D: WatchPorts>(deps: &D) -> PortResult<Watched> {
    let agenda = deps.agenda().await?.value;
    let running = agenda.running.iter().map(|running| running.id);
    let ids = agenda.sealing.iter().copied().chain(running);
    let mut watched = Watched::default();
    for id in ids.chain(agenda.rolling_back.iter().copied()) {
        match inspect(deps, id).await {
            Ok(Found::Nothing) => {}
            Ok(Found::Lost) => watched.resent.push(id),
            Ok(Found::Failed) => watched.failed.push(id),
            // It holds up no other.
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                let why = "not watched: the campaign cannot be read";
                tracing::error!(campaign.id = %id, error.cause = error.causes(), "{why}");
                watched.unreadable.push(id);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(watched)
}

/// What was found of a campaign.
enum Found {
    /// It goes on, or it is not known yet that it does not.
    Nothing,
    /// Its work was lost and is sent again.
    Lost,
    /// It cannot go on, and is ended.
    Failed,
}

async fn inspect<D: WatchPorts>(deps: &D, id: CampaignId) -> PortResult<Found> {
    let Some(campaign) = deps.campaign(id).await?.map(|read| read.value) else {
        return Err(PortError::corrupt("watch: the campaign is not there"));
    };
    let Some(job) = job_of(&campaign) else { return Ok(Found::Nothing) };
    if campaign.seal.is_none() && matches!(job, CampaignJob::Pay { .. }) {
        return fail(deps, &campaign, "its seal is not there".to_owned()).await;
    }
    let (now, stands) = (deps.now(), stands(deps, &job).await?);
    let seen = deps.mark(id).await?.filter(|mark| mark.stands == stands);
    let Some(mark) = seen else {
        deps.put_mark(id, &Mark { stands, since: now, resends: 0 }).await?;
        return Ok(Found::Nothing);
    };
    if deps.backlog(&job).await? > 0 {
        deps.put_mark(id, &Mark { since: now, ..mark }).await?;
        return Ok(Found::Nothing);
    }
    let still_ms = now.ms_since(mark.since);
    if let Some(problem) = campaign.problem.clone()
        && matches!(job, CampaignJob::Pay { .. })
        && mark.resends > 0
        && still_ms >= STILL_MS
    {
        return fail(deps, &campaign, problem).await;
    }
    let longer = 1_u64.checked_shl(mark.resends).unwrap_or(LONGER_MAX).min(LONGER_MAX);
    if still_ms < STILL_MS.saturating_mul(longer) {
        return Ok(Found::Nothing);
    }
    // The mark comes after the job: a watch that is killed between them sends it twice, and not never.
    deps.send_job(&job).await?;
    let resends = mark.resends.saturating_add(1);
    deps.put_mark(id, &Mark { stands, since: now, resends }).await?;
    Ok(Found::Lost)
}

/// The job that a campaign's present work began with.
const fn job_of(campaign: &Campaign) -> Option<CampaignJob> {
    let (campaign, life) = (campaign.id, &campaign.life);
    let (attempt, fence) = (life.seal_attempt, life.fence);
    match life.state {
        State::Sealing => Some(CampaignJob::Seal { campaign, attempt }),
        State::Running => Some(CampaignJob::Pay { campaign, fence, from: 0 }),
        State::RollingBack => Some(CampaignJob::Reverse { campaign, fence, from: 0 }),
        State::Draft
        | State::Waiting
        | State::Completed
        | State::Failed
        | State::Stopped
        | State::RolledBack => None,
    }
}

/// How far a work has come. Of a seal only which one: while it goes on, its message is in flight.
async fn stands<D: WatchPorts>(deps: &D, job: &CampaignJob) -> PortResult<String> {
    let (work, fence, campaign) = match *job {
        CampaignJob::Seal { attempt, .. } => return Ok(format!("seal {attempt}")),
        CampaignJob::Pay { campaign, fence, .. } => ("pay", fence, campaign),
        CampaignJob::Reverse { campaign, fence, .. } => ("reverse", fence, campaign),
    };
    let counts = readable(deps.counts(campaign).await)?;
    let Some(Counts { tally }) = counts.and_then(|shards| Counts::of_shards(&shards)) else {
        return Ok(format!("{work} {fence}: the counters cannot be read"));
    };
    let rows = [tally.pending, tally.unknown, tally.success, tally.failed];
    let rows = rows.into_iter().chain([tally.reversed, tally.shortfall]);
    let rows: Vec<String> = rows.map(|sum| sum.rows.to_string()).collect();
    // A rollback closes chunks without payments too.
    let closed = match job {
        CampaignJob::Reverse { .. } => deps.closed_chunks(campaign).await?,
        _ => 0,
    };
    Ok(format!("{work} {fence}: {} rows, {closed} chunks", rows.join("/")))
}

/// `None` for what is damaged: a campaign whose counters are damaged fails as any other.
fn readable<T>(read: PortResult<T>) -> PortResult<Option<T>> {
    match read {
        Err(error) if error.kind == PortErrorKind::Corrupt => Ok(None),
        read => read.map(Some),
    }
}

async fn fail<D: WatchPorts>(deps: &D, campaign: &Campaign, why: String) -> PortResult<Found> {
    match act::fail(deps, campaign.id, campaign.life.fence, why).await {
        Ok(_) => Ok(Found::Failed),
        // It ended or was stopped meanwhile.
        Err(ActError::Refused(_)) => Ok(Found::Nothing),
        Err(ActError::Port(error)) => Err(error),
        Err(ActError::Busy) => Err(PortError::contended("fail campaign")),
        Err(ActError::NotFound | ActError::AgendaFull(_)) => {
            Err(PortError::corrupt("fail campaign: it is not there"))
        }
    }
}
