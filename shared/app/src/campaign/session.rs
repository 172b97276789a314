//! A worker's time with one chunk: begun by a lease, ended by a commit.
//!
//! Work goes in rounds. A round begins with a strongly consistent read of the campaign's life, and
//! takes no permit of the money service later than [`ROUND_MS`] after it; so a campaign that is
//! stopped sends nothing after that time, plus the one call that a permit was taken for.

use futures::future::join_all;
use largesse_domain::campaign::{
    Campaign, ChunkNumber, ChunkRecord, ChunkResult, Lease, Row, RowKey, RowState, Said,
};
use largesse_domain::grant::Grant;
use largesse_domain::time::Timestamp;

use super::PayPorts;
use super::attempt::pause;
use crate::invocation::permits_before;
use crate::ports::{
    Campaigns, ChunkMessage, ChunkSet, ChunkWork, Commit, Money, PortError, PortErrorKind,
    PortResult, Standing, Versioned, Written,
};

/// How long after the campaign's life was read a call to the money service may be begun.
pub(super) const ROUND_MS: u64 = 2_000;
/// How long a lease lasts: longer than an invocation of a worker (60 s) and the calls that it had on
/// the wire when it was killed. Until then no other worker asks or sends, so no answer of an earlier
/// send comes after a look-up found nothing.
const LEASE_MS: u64 = 90_000;
/// How often a commit is tried.
const COMMIT_TRIES_MAX: u32 = 6;

/// What became of a message.
#[derive(Debug)]
pub enum ChunkOutcome {
    /// Nothing is left to do, or what is left cannot be done and the campaign says so: the message is
    /// done.
    Done,
    /// Its start or rollback is over: the message is done.
    Dropped,
    /// Rows were refused, or another worker has the chunk: it comes back beside its lane.
    Retry {
        /// After so many seconds.
        delay_s: u32,
    },
    /// The outcomes of some rows are not known yet, and nothing else is left: it comes back beside its
    /// lane, later each time.
    Unresolved,
    /// A row is contradicted, or what a rollback needs cannot be read. It comes back beside its lane,
    /// later each time, until an operator looks.
    SetAside(PortError),
    /// The money service or the store does not work now, or time ran out: the lane waits.
    Later {
        /// When to try again, where the money service says so.
        retry_after_ms: Option<u64>,
        /// What went wrong.
        cause: PortError,
    },
}

impl ChunkOutcome {
    pub(super) fn of_error(cause: PortError) -> Self {
        if cause.is_retryable() || cause.kind == PortErrorKind::Rejected {
            Self::Later { retry_after_ms: None, cause }
        } else {
            Self::SetAside(cause)
        }
    }
}

/// The campaign, while it may be worked on under the message's fence.
pub(super) async fn allowed<D: Campaigns>(
    deps: &D,
    message: &ChunkMessage,
) -> PortResult<Option<Versioned<Campaign>>> {
    let Some(campaign) = deps.campaign(message.campaign).await? else { return Ok(None) };
    let life = &campaign.value.life;
    let may = match message.work {
        ChunkWork::Pay => life.may_pay(message.fence),
        ChunkWork::Reverse => life.may_reverse(message.fence),
    };
    Ok(may.then_some(campaign))
}

/// A chunk as it is stored, and as the campaign has it.
pub(super) struct Loaded {
    pub campaign: Campaign,
    pub set: ChunkSet,
    pub chunk: ChunkNumber,
    pub rows: Vec<Row>,
    /// As it is stored.
    pub stored: Option<ChunkRecord>,
    /// In the campaign's generation.
    pub record: ChunkRecord,
}

/// Reads a chunk. `retries_max` is the setting, for a generation that begins.
pub(super) async fn load<D: PayPorts>(
    deps: &D,
    campaign: Campaign,
    chunk: ChunkNumber,
    retries_max: u32,
) -> PortResult<Loaded> {
    let set = ChunkSet::of(&campaign).ok_or(PortError::corrupt("the campaign is not sealed"))?;
    let found = deps.stored_chunk(&set, chunk).await?;
    let found = found.ok_or(PortError::corrupt("the chunk is not there"))?;
    let mut record = found.record.clone();
    if let Some(record) = &mut record
        && record.revision == 0
    {
        record.retries_max = retries_max;
    }
    let record = record.unwrap_or_else(|| ChunkRecord::new(&found.rows, retries_max));
    // A retry is taken when no row is open, so such a record was put back from before it. Its rows may
    // have been paid since under other ids.
    if record.generation < campaign.life.generation && record.has_open() {
        return Err(PortError::corrupt("the chunk has open rows of before a retry"));
    }
    let record = record.in_generation(campaign.life.generation, retries_max);
    Ok(Loaded { campaign, set, chunk, rows: found.rows, stored: found.record, record })
}

impl Loaded {
    /// Whether another worker has the chunk.
    pub(super) fn is_leased(&self, now: Timestamp) -> bool {
        self.record.lease.is_some_and(|lease| lease.until > now)
    }

    /// Begins the work; `None` when another worker was faster.
    pub(super) async fn begin<'a, M: Money, D: PayPorts>(
        self,
        money: &'a M,
        deps: &'a D,
        message: &'a ChunkMessage,
    ) -> PortResult<Option<Session<'a, M, D>>> {
        let now = deps.now();
        let lease = Lease { owner: deps.ulid(), until: now.plus_ms(LEASE_MS) };
        let Self { campaign, set, chunk, rows, stored, mut record } = self;
        let before = ChunkResult {
            chunk,
            generation: record.generation,
            revision: record.revision,
            tally: record.tally().ok_or(PortError::corrupt("the chunk does not sum up"))?,
        };
        match deps.lease_chunk(&set, chunk, stored.as_ref(), lease, now).await? {
            Written::Done => {}
            Written::Changed => return Ok(None),
        }
        record.begin(lease).map_err(|_| PortError::corrupt("the chunk is contradicted"))?;
        let settled = vec![false; rows.len()];
        Ok(Some(Session {
            money,
            deps,
            message,
            campaign,
            set,
            rows,
            record,
            before,
            lease,
            settled,
            is_gone: false,
            held: None,
            aside: None,
        }))
    }
}

/// The work on a leased chunk.
pub(super) struct Session<'a, M, D> {
    pub money: &'a M,
    pub deps: &'a D,
    pub message: &'a ChunkMessage,
    pub campaign: Campaign,
    pub set: ChunkSet,
    pub rows: Vec<Row>,
    pub record: ChunkRecord,
    before: ChunkResult,
    lease: Lease,
    /// The rows that this lease has nothing more to do with: each gets one answer at most.
    settled: Vec<bool>,
    /// Whether the start or rollback is over.
    pub is_gone: bool,
    /// Why some row was not worked on now, if so.
    pub held: Option<(Option<u64>, PortError)>,
    /// Why some row never will be without an operator, if so.
    pub aside: Option<PortError>,
}

impl<M: Money, D: PayPorts> Session<'_, M, D> {
    /// Begins a round: the moment up to which permits may be taken, or `None` when there is no more.
    pub(super) async fn round(&mut self, stop_at: Timestamp) -> Option<Timestamp> {
        let began = self.deps.now();
        if began >= stop_at {
            let cause = PortError::contended("work on a chunk: out of time");
            self.hold(None, cause);
            return None;
        }
        match allowed(self.deps, self.message).await {
            Ok(Some(_)) => Some(began.plus_ms(ROUND_MS)),
            Ok(None) => {
                self.is_gone = true;
                None
            }
            Err(cause) => {
                self.hold(None, cause);
                None
            }
        }
    }

    /// The rows with work to do that stand as `wanted` says.
    pub(super) fn open(&self, wanted: impl Fn(usize, &RowState) -> bool) -> Vec<usize> {
        let is_open = |position: &usize| {
            let is_settled = self.settled.get(*position).copied().unwrap_or(true);
            let state = self.record.state(*position);
            !is_settled && state.is_some_and(|state| wanted(*position, &state))
        };
        (0..self.rows.len()).filter(is_open).collect()
    }

    /// The duty to pay a row, under the generation of its outcome.
    pub(super) fn grant(&self, position: usize) -> Option<Grant> {
        let row = self.rows.get(position)?;
        let generation = self.record.rows.get(position)?.outcome.generation();
        let (campaign, member) = (self.campaign.id, row.member.clone());
        let key = RowKey { campaign, member, generation };
        Some(key.grant_of(row, &self.campaign.life.creator))
    }

    pub(super) fn grants(&self, positions: &[usize]) -> Vec<Grant> {
        positions.iter().filter_map(|position| self.grant(*position)).collect()
    }

    /// Takes an answer to this lease's send, the last one for the row.
    pub(super) fn settle(&mut self, position: usize, said: Said) {
        self.answer(position, self.record.sends, said);
        self.leave(position);
    }

    fn answer(&mut self, position: usize, send: u32, said: Said) {
        if let Err(error) = self.record.take(position, send, said) {
            let (campaign, chunk) = (self.campaign.id, self.message.chunk.0);
            tracing::error!(
                campaign.id = %campaign, chunk, row = position, trace.id = self.message.trace_id(), %error,
                "an answer of the money service is contradicted"
            );
            self.set_aside(position, PortError::corrupt("an answer is contradicted"));
        }
    }

    fn leave(&mut self, position: usize) {
        if let Some(settled) = self.settled.get_mut(position) {
            *settled = true;
        }
    }

    /// Leaves a row as it is: it holds up no other, and an operator looks.
    pub(super) fn set_aside(&mut self, position: usize, cause: PortError) {
        // The place of the row, since no log names a member.
        let (campaign, chunk) = (self.campaign.id, self.message.chunk.0);
        tracing::error!(
            campaign.id = %campaign, chunk, row = position, trace.id = self.message.trace_id(),
            error.cause = cause.causes(),
            "the row is set aside: an operator must look"
        );
        self.aside = Some(cause);
        self.leave(position);
    }

    /// Keeps the longest wait, and the last cause.
    pub(super) fn hold(&mut self, retry_after_ms: Option<u64>, cause: PortError) {
        let earlier = self.held.take().and_then(|(wait, _)| wait);
        self.held = Some((retry_after_ms.max(earlier), cause));
    }

    /// Has every open row looked up, if the chunk was leased before this lease.
    pub(super) fn doubt(&mut self) -> PortResult<()> {
        let earlier = self.record.sends.saturating_sub(1);
        let doubted = self.record.doubt(earlier);
        doubted.map_err(|_| PortError::corrupt("the chunk is contradicted"))
    }

    /// Looks up the rows of which a send has no known answer. A send of this lease that was not
    /// answered is not among them: it is looked up under the next.
    pub(super) async fn look_up(&mut self, until: Timestamp) {
        let unknown = self.open(|_, state| matches!(state, RowState::Unknown));
        let grants = self.grants(&unknown);
        // One by one: a row that cannot be looked up holds up no other.
        let look_up = |grant| self.money.lookup(std::slice::from_ref(grant));
        let found = permits_before(until, join_all(grants.iter().map(look_up))).await;
        let earlier = self.record.sends.saturating_sub(1);
        for (position, found) in unknown.into_iter().zip(found) {
            match found.map(|standings| standings.first().copied()) {
                Ok(Some(Standing::Paid)) => self.answer(position, earlier, Said::Paid),
                // It may be sent by this lease.
                Ok(Some(Standing::NotPaid)) => self.answer(position, earlier, Said::NotPaid),
                Ok(Some(Standing::Unknown) | None) => self.leave(position),
                Ok(Some(Standing::Voided)) => {
                    self.set_aside(position, PortError::corrupt("the row is voided"));
                }
                Err(cause) if cause.is_retryable() => self.hold(None, cause),
                Err(cause) => self.set_aside(position, cause),
            }
        }
    }

    /// Commits what is known. `closes` when a rollback is done with the chunk.
    pub(super) async fn commit(&mut self, closes: bool) -> PortResult<Written> {
        let corrupt = PortError::corrupt("the chunk does not sum up");
        let tally = self.record.tally().ok_or(corrupt.clone())?;
        let delta = self.before.delta(tally).map_err(|_| corrupt)?;
        let mut record = self.record.clone();
        record.revision = delta.revision().saturating_add(1);
        (record.lease, record.is_closed) = (None, record.is_closed || closes);
        let commit = Commit {
            set: &self.set,
            chunk: self.message.chunk,
            owner: self.lease.owner,
            record: &record,
            delta: &delta,
            closes,
        };
        let mut tried = 0;
        // What is not committed has to be looked up again, so it is tried for a while.
        loop {
            match self.deps.commit_chunk(&commit).await {
                Err(error) if error.is_retryable() && tried < COMMIT_TRIES_MAX => {
                    tried = tried.saturating_add(1);
                    pause(self.deps, tried).await;
                }
                written => return written,
            }
        }
    }
}
