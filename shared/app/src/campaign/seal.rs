//! A campaign is sealed: its staged rows become chunks, and a hash fixes what they are.
//!
//! The seal goes over the staged rows in passes. Each pass reads all of them, keeps those of a range
//! of chunks, and so holds a bounded number of rows however many there are. Its record says that its
//! chunks are written, so a run that is killed costs at most one pass, and the next one goes on
//! behind the last record. What a pass writes follows from the staged rows alone: two workers at
//! once write the same.
//!
//! The rows are refused, and the campaign takes parts again, when the policy on duplicates refuses
//! them, a member's sum is too large, no row is there, or too many members share a chunk in every
//! layout. The problem names part and line.
//!
//! # Guarantees
//! * The number of passes changes nothing: `a_seal_in_many_passes_equals_a_seal_in_one`.
//! * A run that is killed at any call is finished by the next delivery, with the same hash:
//!   `a_seal_killed_at_any_call_is_finished_by_its_redelivery`.
//! * Two workers at once seal once: `two_workers_seal_at_once_and_once`.
//! * A run ends in time and says that more is to do: `a_run_stops_in_time_and_the_next_one_goes_on`.
//! * A worker of an earlier attempt changes nothing: `a_worker_of_an_earlier_attempt_stops`.
//! * A member is paid once, and its other rows are listed by part and line:
//!   `a_member_named_again_is_kept_once_and_listed_by_line`.
//! * The policy `refuse` names the duplicates: `refuse_names_the_duplicates_by_part_and_line`.
//! * Rows that are lost between upload and seal are a fault, and nothing is sealed:
//!   `rows_that_are_lost_are_a_fault_and_seal_nothing`.
//! * The memory of a pass is that of its share of the rows, and a member named a million times takes
//!   no more than once: `a_pass_holds_its_share_of_the_rows_and_no_more`,
//!   `the_memory_of_a_seal_does_not_grow_with_duplicates`.

use largesse_domain::campaign::{
    Campaign, ChunkTooLarge, Duplicate, Duplicates, Hash, Layout, Part, Refused, Seal, SealError,
    Sealed, State, Sum, Tally, Totals, content_hash, rows_hash,
};
use largesse_domain::id::CampaignId;
use largesse_domain::time::Timestamp;
use largesse_input::IdWidths;

use self::pass::{Pass, PassEnd};
use super::ActPorts;
use super::act::{self, ActError};
use super::duplicates::DuplicateList;
use crate::ports::{
    COUNT_SHARDS, CampaignRows, ChunkRange, ChunkSet, PassRecord, PortError, PortResult,
};

mod pass;

/// The chunks of a pass in the first layout, 125,000 rows in the mean; in a later one, of more and
/// smaller chunks, the same rows. The rows of a pass take some 30 MB with members of 36 characters
/// and short reasons, and 130 MB where every row is as long as one can be
/// (`a_pass_holds_its_share_of_the_rows_and_no_more` counts the rows): the function has 512 MB.
pub const PASS_CHUNKS: u32 = 1_250;
/// How many duplicates the problem of a refused campaign names. All are counted.
const DUPLICATES_NAMED_MAX: u32 = 20;

/// A run of the seal.
#[derive(Clone, Copy, Debug)]
pub struct SealRun {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Which seal.
    pub attempt: u32,
    /// The chunks of a pass in the first layout: [`PASS_CHUNKS`].
    pub pass_chunks: u32,
    /// When it stops, whatever is left.
    pub stop_at: Timestamp,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealProgress {
    /// Time ran out: another run goes on.
    HasMore,
    /// The campaign is sealed.
    Sealed(Sealed),
    /// The rows are refused, with the problem.
    Refused(String),
    /// The campaign is not being sealed under this attempt: there is nothing to do.
    Stale,
}

/// Why a run failed. Another run goes on.
#[derive(Debug, thiserror::Error)]
pub enum SealRunError {
    /// The campaign was not changed.
    #[error(transparent)]
    Act(#[from] ActError),
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// What all passes of a layout made.
#[derive(Default)]
struct Chunks {
    hashes: Vec<Hash>,
    totals: Totals,
    shards: Vec<Tally>,
    widths: IdWidths,
    passes: Vec<ChunkRange>,
}

/// How the passes of a layout ended.
enum Laid {
    Whole(Chunks),
    HasMore,
    TooLarge,
    Refused(String),
}

/// Goes on with a seal until `stop_at`.
///
/// # Errors
/// [`SealRunError`].
pub async fn run<D>(deps: &D, run: &SealRun) -> Result<SealProgress, SealRunError>
where
    D: ActPorts + CampaignRows,
{
    let read = deps.campaign(run.campaign).await?;
    let is_sealing =
        |c: &Campaign| c.life.state == State::Sealing && c.life.seal_attempt == run.attempt;
    let Some(campaign) = read.map(|read| read.value).filter(is_sealing) else {
        return Ok(SealProgress::Stale);
    };
    let parts = deps.parts(run.campaign).await?;
    let Some(mut layout) = Layout::new(campaign.parts.rows) else {
        return refuse(deps, run, SealError::Empty.to_string()).await;
    };
    loop {
        match lay(deps, run, &campaign, &parts, layout).await? {
            Laid::Whole(chunks) => return finish(deps, run, &campaign, layout, chunks).await,
            Laid::HasMore => return Ok(SealProgress::HasMore),
            Laid::Refused(problem) => return refuse(deps, run, problem).await,
            Laid::TooLarge => match layout.next() {
                Ok(next) => layout = next,
                Err(ChunkTooLarge) => return refuse(deps, run, ChunkTooLarge.to_string()).await,
            },
        }
    }
}

/// Takes the passes of a layout that are not done.
async fn lay<D: ActPorts + CampaignRows>(
    deps: &D,
    run: &SealRun,
    campaign: &Campaign,
    parts: &[Part],
    layout: Layout,
) -> PortResult<Laid> {
    let set = chunk_set(run, layout);
    let mut chunks = Chunks::default();
    let mut first = 0;
    while first < layout.chunks() {
        // A record says itself how many chunks it has, so a version with larger passes goes on
        // where one with smaller ones stopped.
        let record = match deps.pass(&set, first).await? {
            Some(record) => record,
            None => {
                let count = run.pass_chunks.max(1) << layout.round();
                let pass = Pass { set, layout, first, count, policy: campaign.terms.duplicates };
                match pass.run(deps, parts, run.stop_at).await? {
                    PassEnd::Done(record) => record,
                    PassEnd::OutOfTime => return Ok(Laid::HasMore),
                    PassEnd::ChunkTooLarge => return Ok(Laid::TooLarge),
                    PassEnd::SumTooLarge(sum) => {
                        let problem = format!("{sum}: {}", place_of(&sum.0));
                        return Ok(Laid::Refused(problem));
                    }
                }
            }
        };
        first = chunks.add(first, record)?;
    }
    Ok(Laid::Whole(chunks))
}

fn chunk_set(run: &SealRun, layout: Layout) -> ChunkSet {
    ChunkSet { campaign: run.campaign, attempt: run.attempt, round: layout.round() }
}

impl Chunks {
    /// Adds a pass, and gives the first chunk of the next one.
    fn add(&mut self, first: u32, record: PassRecord) -> PortResult<u32> {
        let PassRecord { chunks, totals, shards, widths } = record;
        let corrupt = || PortError::corrupt("seal: a pass cannot be");
        if chunks.is_empty() || u32::try_from(shards.len()) != Ok(COUNT_SHARDS) {
            return Err(corrupt());
        }
        let count = u32::try_from(chunks.len()).map_err(|_| corrupt())?;
        self.passes.push(ChunkRange { first, count });
        self.hashes.extend(chunks);
        self.totals = self.totals.merge(totals).map_err(|_| corrupt())?;
        self.widths.merge(&widths);
        self.shards.resize(shards.len(), Tally::default());
        for (tally, Sum { rows, amount }) in self.shards.iter_mut().zip(shards) {
            let pending = &mut tally.pending;
            pending.rows = pending.rows.saturating_add(rows);
            pending.amount = pending.amount.saturating_add(amount);
        }
        Ok(first.saturating_add(count))
    }
}

/// All passes are done: the campaign is sealed, or its rows are refused.
async fn finish<D: ActPorts + CampaignRows>(
    deps: &D,
    run: &SealRun,
    campaign: &Campaign,
    layout: Layout,
    chunks: Chunks,
) -> Result<SealProgress, SealRunError> {
    let totals = Totals { refused: campaign.parts.refused, ..chunks.totals };
    if let Err(error) = totals.check(&campaign.parts) {
        // The rows are not those that were uploaded: a table was restored or edited.
        tracing::error!(campaign.id = %run.campaign, %error, "the seal found other rows");
        return refuse(deps, run, format!("fault of the system: {error}")).await;
    }
    if campaign.terms.duplicates == Duplicates::Refuse && totals.duplicates > 0 {
        let list = DuplicateList { set: chunk_set(run, layout), passes: chunks.passes };
        let named = list.page(deps, None, DUPLICATES_NAMED_MAX).await?.rows;
        return refuse(deps, run, duplicates_problem(totals.duplicates, &named)).await;
    }
    let rows = rows_hash(layout, &chunks.hashes);
    let first = deps.first_with_rows(rows, run.campaign).await?;
    let seal = Seal {
        layout,
        rows,
        at: deps.now(),
        same_as: (first != run.campaign).then_some(first),
        widths_differ: chunks.widths.odd() > 0,
    };
    let sealed = Sealed { hash: content_hash(&campaign.terms, rows, totals), totals };
    let done = act::sealed(deps, run.campaign, run.attempt, sealed, seal, chunks.shards).await;
    unless_stale(done.map(|_| SealProgress::Sealed(sealed)))
}

async fn refuse<D: ActPorts>(
    deps: &D,
    run: &SealRun,
    problem: String,
) -> Result<SealProgress, SealRunError> {
    let done = act::seal_failed(deps, run.campaign, run.attempt, problem.clone()).await;
    unless_stale(done.map(|_| SealProgress::Refused(problem)))
}

/// Another worker has ended the seal meanwhile.
fn unless_stale(done: Result<SealProgress, ActError>) -> Result<SealProgress, SealRunError> {
    match done {
        Err(ActError::Refused(Refused::State(_) | Refused::SealAttempt { .. })) => {
            Ok(SealProgress::Stale)
        }
        done => Ok(done?),
    }
}

fn place_of(duplicate: &Duplicate) -> String {
    let Duplicate { place, row, first } = duplicate;
    format!(
        "part {} line {} names {} again, after part {} line {}",
        place.part.get(),
        place.line,
        row.member,
        first.part.get(),
        first.line
    )
}

fn duplicates_problem(count: u64, first: &[Duplicate]) -> String {
    let places: Vec<String> = first.iter().map(place_of).collect();
    let is_all = u64::try_from(places.len()) == Ok(count);
    let more = if is_all { "" } else { "; and more" };
    format!("rows that name a member again: {count}. {}{more}", places.join("; "))
}
