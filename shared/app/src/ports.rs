//! All contracts with the outside, in one place.
//!
//! One file although it is long, and mostly documentation: whoever writes an adapter, a stub or a
//! use case sees at once all that the outside is asked for, and splitting it would hide half of
//! that.
//!
//! # Errors
//! Every port method fails with [`PortError`] and nothing else. A [`PortErrorKind::Unknown`]
//! outcome is never a failure: the call may have taken effect. Every write here is therefore
//! idempotent under the identity it carries, and the caller repeats it under the same identity.

use std::collections::BTreeMap;
use std::error::Error;
use std::future::Future;

use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{GrantId, PoolId, RoomId, SprayId, Token, TransferId, Ulid, UserId};
use largesse_domain::ledger::{PostRefused, Transfer, TransferKind, TransferOrder, Wallet};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Draw, DrawRefused, Drawn, Pool};
use largesse_domain::room::RoomName;
use largesse_domain::spray::{Spray, TokenEntry};
use largesse_domain::time::Timestamp;

use crate::page::Page;

/// The cause of a failure, kept for the log and never shown to a caller.
pub type Cause = std::sync::Arc<dyn Error + Send + Sync>;

/// What kind of failure it was; decides whether to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortErrorKind {
    /// Refused for load. Nothing happened.
    Throttled,
    /// Lost against a concurrent writer as often as the adapter tries. Nothing happened.
    Contended,
    /// No answer: it may have happened.
    Unknown,
    /// What is stored cannot be read as what it should be.
    Corrupt,
    /// The request itself was refused: wrong table, missing permission, a defect of ours.
    Rejected,
}

/// A port failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{operation}: {kind:?}")]
pub struct PortError {
    /// What was tried.
    pub operation: &'static str,
    /// How it failed.
    pub kind: PortErrorKind,
    /// Why, as the adapter knows it.
    #[source]
    pub cause: Option<Cause>,
}

impl PortError {
    /// A note of a draw names a part that its pool does not have.
    #[must_use]
    pub const fn unreadable_part() -> Self {
        let operation = "read draw: the pool has no such part";
        Self { operation, kind: PortErrorKind::Corrupt, cause: None }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        match self.kind {
            PortErrorKind::Throttled | PortErrorKind::Contended | PortErrorKind::Unknown => true,
            PortErrorKind::Corrupt | PortErrorKind::Rejected => false,
        }
    }

    /// Why, down to the first cause: for the log, never for a caller.
    #[must_use]
    pub fn causes(&self) -> String {
        causes_of(self)
    }
}

/// An error and its causes, outermost first: for the log, never for a caller.
#[must_use]
pub fn causes_of(error: &dyn Error) -> String {
    let mut texts = vec![error.to_string()];
    let mut source = error.source();
    while let Some(error) = source {
        texts.push(error.to_string());
        source = error.source();
    }
    texts.join(": ")
}

/// A port's answer.
pub type PortResult<T> = Result<T, PortError>;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now. May jump either way; no rule relies on it going forward.
    fn now(&self) -> Timestamp;
}

/// Makes identities.
pub trait Ids: Send + Sync {
    /// A ULID never made before, with the clock's time in it.
    fn ulid(&self) -> Ulid;
}

/// Lets time pass.
pub trait Pause: Send + Sync {
    /// Waits that long, by the clock of whoever runs this: in a test, no real time.
    fn pause_ms(&self, ms: u64) -> impl Future<Output = ()> + Send;
}

/// Makes randomness that nobody can foresee.
pub trait Rng: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);

    /// A number from 0 to `below - 1`, 0 when `below` is 0. Its bias is below 2^-32.
    fn below(&self, below: u32) -> u32 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        let number = u64::from_be_bytes(bytes).checked_rem(u64::from(below)).unwrap_or(0);
        u32::try_from(number).unwrap_or(0)
    }
}

/// A room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: RoomName,
}

/// What became of a change of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MembersChanged {
    /// Done.
    Changed,
    /// It was so already.
    Unchanged,
}

/// Rooms and who is in them.
pub trait Rooms: Send + Sync {
    /// Makes a room with its first members, in one transaction. Repeating it changes nothing.
    fn create_room(
        &self,
        room: &Room,
        members: &[UserId],
        now: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// The room of that id. Strongly consistent.
    fn room(&self, id: RoomId) -> impl Future<Output = PortResult<Option<Room>>> + Send;

    /// Whether the user is in the room. "Yes" may be up to one second old; "no" is never old.
    fn is_member(
        &self,
        room: RoomId,
        user: &UserId,
    ) -> impl Future<Output = PortResult<bool>> + Send;

    /// The members in the order of their ids, `limit` at a time.
    fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<UserId, UserId>>> + Send;

    /// Adds a member. Idempotent. The room exists: the caller has read it.
    fn add_member(
        &self,
        room: RoomId,
        user: &UserId,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<MembersChanged>> + Send;

    /// Removes a member. Idempotent.
    fn remove_member(
        &self,
        room: RoomId,
        user: &UserId,
    ) -> impl Future<Output = PortResult<MembersChanged>> + Send;
}

/// A write under a permanent identity, and whether this call did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// Done by this call.
    Now(T),
    /// Done before, with this outcome.
    Before(T),
}

impl<T> Once<T> {
    /// The outcome, whoever did it.
    pub fn into_inner(self) -> T {
        match self {
            Self::Now(outcome) | Self::Before(outcome) => outcome,
        }
    }
}

/// Which transfers of a wallet are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Only of this kind.
    pub kind: Option<TransferKind>,
    /// Only decided at or after.
    pub from: Option<Timestamp>,
    /// Only decided before.
    pub to: Option<Timestamp>,
}

/// Wallets and their transfers.
pub trait Wallets: Send + Sync {
    /// The wallet; an empty one for a user who never had a transfer. Strongly consistent.
    fn wallet(&self, user: &UserId) -> impl Future<Output = PortResult<Wallet>> + Send;

    /// Carries out an order, at most once for its id, for ever: wallet and transfer in one
    /// transaction.
    fn post(
        &self,
        order: TransferOrder,
    ) -> impl Future<Output = PortResult<Result<Once<Transfer>, PostRefused>>> + Send;

    /// One transfer of the wallet.
    fn transfer(
        &self,
        user: &UserId,
        id: TransferId,
    ) -> impl Future<Output = PortResult<Option<Transfer>>> + Send;

    /// The wallet's transfers, newest first by the time of decision.
    fn history(
        &self,
        user: &UserId,
        filter: &HistoryFilter,
        after: Option<TransferId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Transfer, TransferId>>> + Send;
}

/// What a survey of all tokens found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Survey {
    /// These could be taken.
    Free {
        /// At least one, in no particular order.
        tokens: Vec<Token>,
        /// Until when nobody else surveys: names this survey to [`TokenSpace::end_survey`].
        until: Timestamp,
    },
    /// This survey found that none could be taken, or one did of which that is still true.
    Full {
        /// When the first of them is over.
        earliest: Timestamp,
    },
    /// Somebody is looking; what they will find is not known.
    Underway,
}

/// Finding a free token. Hints only: the spray's own transaction decides.
pub trait TokenSpace: Send + Sync {
    /// Whether a spray could take the token now. May be a second old.
    fn is_free(&self, token: Token) -> impl Future<Output = PortResult<bool>> + Send;

    /// Notes what became of a look at a token at random.
    fn note_look(&self, _is_free: bool) {}

    /// Whether to spare the next look at a token at random, because the last one found it taken.
    /// Asked once: after that one looks again, since refunds free tokens.
    fn spares_look(&self) -> bool {
        false
    }

    /// Takes a token out of one part of the hint, if it holds any. It was free when it was put
    /// there.
    fn pop_hint(&self, part: u32) -> impl Future<Output = PortResult<Option<Token>>> + Send;

    /// Adds free tokens to one part of the hint: all of them or, where there is no room for all,
    /// none; a survey finds them again.
    fn push_hint(&self, part: u32, tokens: &[Token])
    -> impl Future<Output = PortResult<()>> + Send;

    /// Puts free tokens, [`HINT_LEN_MAX`] at most, in the place of all that one part of the hint
    /// holds: for a survey, which knows better than any hint.
    fn renew_hint(
        &self,
        part: u32,
        tokens: &[Token],
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Looks at all tokens. One caller at a time does, for five seconds at most; others are told
    /// that it is under way or, at most five seconds long and only before the first token can
    /// become free, that it found none.
    fn survey(&self, now: Timestamp) -> impl Future<Output = PortResult<Survey>> + Send;

    /// Whether somebody surveys, and it is not known yet what they find.
    fn is_surveyed(&self, now: Timestamp) -> impl Future<Output = PortResult<bool>> + Send;

    /// Lets others survey again. Does nothing when the survey that `until` names is over.
    fn end_survey(&self, until: Timestamp) -> impl Future<Output = PortResult<()>> + Send;
}

/// How many parts the hint of free tokens has: one part takes 1,000 writes a second.
pub const HINT_PARTS: u32 = 16;

/// Tokens in one part of the hint: below 1 KB, so that taking one costs one write unit.
pub const HINT_LEN_MAX: usize = 128;

/// Why a spray was not made. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SprayNotMade {
    /// A live spray carries the token: try another.
    TokenTaken,
    /// The wallet refuses.
    Wallet(PostRefused),
}

/// Sprays and their tokens.
pub trait Sprays: Send + Sync {
    /// What the token stands for. An entry may be cached for as long as its window is open: it
    /// cannot change before.
    fn token_entry(
        &self,
        token: Token,
    ) -> impl Future<Output = PortResult<Option<TokenEntry>>> + Send;

    /// Takes the token, makes the pool, debits the wallet, writes the transfer: all or nothing, at
    /// most once for the spray's id.
    fn create_spray(
        &self,
        spray: &Spray,
        order: &TransferOrder,
    ) -> impl Future<Output = PortResult<Result<Once<Spray>, SprayNotMade>>> + Send;

    /// The spray of that id. Strongly consistent.
    fn spray(&self, id: SprayId) -> impl Future<Output = PortResult<Option<Spray>>> + Send;

    /// What a user sprayed, newest first. May lag behind by a second.
    fn sprays_by(
        &self,
        sender: &UserId,
        after: Option<SprayId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Spray, SprayId>>> + Send;
}

/// What became of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    /// Done by this call.
    Done,
    /// The spray is not any more as it was read: read it again.
    Changed,
}

/// What the refund finds, and the refund itself.
pub trait Refunds: Send + Sync {
    /// Sprays of one part of the index whose window was over at `now`, the oldest first. May lag
    /// behind by a second, and so name some that are refunded.
    fn due_sprays(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueSpray>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<DueSpray, DueSpray>>> + Send;

    /// Closes the pool, gives the token free, credits the sender and writes the transfer: all or
    /// nothing, only if the spray is still as it was read and its window is over.
    fn refund_spray(
        &self,
        as_read: &Spray,
        remainder: u64,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<RefundOutcome>> + Send;
}

/// A spray in the index of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueSpray {
    /// Which.
    pub id: SprayId,
    /// Since when.
    pub due: Timestamp,
}

/// A draw that won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Won {
    /// What was drawn.
    pub drawn: Drawn,
    /// What it is worth.
    pub amount: Amount,
}

impl Won {
    /// A draw, with what its part is worth.
    ///
    /// # Errors
    /// Corrupt, when its part is none of the pool's: money hangs on it, so it is never taken for
    /// something that is not there.
    pub fn of(drawn: Drawn, worth: impl Fn(u64) -> Option<Amount>) -> Result<Self, PortError> {
        let amount = worth(drawn.part).ok_or_else(PortError::unreadable_part)?;
        Ok(Self { drawn, amount })
    }
}

/// Why a draw did not win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWon {
    /// The window has not opened.
    Ahead,
    /// The window is over.
    Over,
    /// The member's earlier draw is pending. The same attempt number: it was this very call.
    Already(Won),
    /// Too many draws await their record.
    Crowded,
    /// Nothing is left now, but a pending draw may yet be given back.
    Unsettled,
    /// Nothing is left, and nothing comes back.
    Exhausted,
    /// Less is left than was asked.
    AboveRemaining {
        /// What could still be drawn.
        remaining: u64,
    },
    /// There is no such pool.
    NoSuchPool,
}

impl NotWon {
    /// The domain's refusal, with what an earlier draw is worth.
    ///
    /// # Errors
    /// Corrupt, when the earlier draw's part is none of the pool's.
    pub fn of(
        refused: &DrawRefused,
        worth: impl Fn(u64) -> Option<Amount>,
    ) -> Result<Self, PortError> {
        Ok(match refused {
            DrawRefused::Ahead => Self::Ahead,
            DrawRefused::Over => Self::Over,
            DrawRefused::Already(drawn) => Self::Already(Won::of(*drawn, worth)?),
            DrawRefused::Crowded => Self::Crowded,
            DrawRefused::Unsettled => Self::Unsettled,
            DrawRefused::Exhausted => Self::Exhausted,
            DrawRefused::AboveRemaining { remaining } => {
                Self::AboveRemaining { remaining: *remaining }
            }
        })
    }
}

/// How many parts the indexes of due and sweepable pools have: one partition takes 1,000 writes a
/// second (Amazon DynamoDB Developer Guide, "Burst and adaptive capacity"), so eight take 8,000 new
/// sprays.
pub const INDEX_SHARDS: u32 = 8;

/// A pool that is to be swept, as the index names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweepable {
    /// Which.
    pub id: PoolId,
    /// Since when.
    pub since: Timestamp,
}

/// Pools, drawn from by one conditional write.
pub trait Pools: Send + Sync {
    /// Draws: one conditional write on the head decides, takes from the supply and notes the draw
    /// as pending. Draws of one pool that wait in the same process share a write.
    ///
    /// A repeat of the same attempt finds its own note and is told [`NotWon::Already`] with its own
    /// attempt number.
    fn draw(
        &self,
        pool: PoolId,
        draw: Draw,
    ) -> impl Future<Output = PortResult<Result<Won, NotWon>>> + Send;

    /// The head. Strongly consistent.
    fn pool(&self, pool: PoolId) -> impl Future<Output = PortResult<Option<Pool>>> + Send;

    /// Notes that the draw is recorded: its note is trimmed with a later draw's write. Forgetting
    /// this loses nothing; the sweep trims then.
    fn trim_later(&self, pool: PoolId, member: &UserId, recorded: Drawn);

    /// Whether a caller that has just drawn is to settle and trim the notes of others: they fill
    /// the head, and whoever left them may never draw again. A hint, given to one in several.
    fn take_turn_to_help(&self, pool: PoolId) -> bool;

    /// Trims notes of recorded draws now, each only while it is that very draw's.
    fn trim(
        &self,
        pool: PoolId,
        recorded: &BTreeMap<UserId, Drawn>,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Pools of one part of the index that were drawn from and not swept since, and whose time to
    /// be swept has come; the longest waiting first. May lag behind by a second.
    fn sweepable(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<Sweepable>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Sweepable, Sweepable>>> + Send;

    /// Notes that the pool, as read, was swept: it is looked at again at `next`, or when it is
    /// drawn from. Does nothing when its notes have changed since.
    fn swept(
        &self,
        as_read: &Pool,
        next: Option<Timestamp>,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Gives back what a draw drew, only while its note stands. Idempotent.
    fn release(
        &self,
        pool: PoolId,
        member: &UserId,
        pending: Drawn,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// What became of putting a grant's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is new.
    New,
    /// It was there: this very draw, recorded before.
    Same(Grant),
    /// Another draw of this member is there.
    Other(Grant),
}

/// Grants: the records of draws.
pub trait Grants: Send + Sync {
    /// The member's grant from the pool. Strongly consistent.
    fn grant(
        &self,
        pool: PoolId,
        member: &UserId,
    ) -> impl Future<Output = PortResult<Option<Grant>>> + Send;

    /// Puts the record if the member has none from this pool. Once put, the outbox will see it.
    fn record(&self, grant: &Grant) -> impl Future<Output = PortResult<Recorded>> + Send;

    /// The pool's grants, in the order of the members' ids. Strongly consistent.
    fn grants_of(
        &self,
        pool: PoolId,
        after: Option<UserId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Grant, UserId>>> + Send;

    /// Notes the outcome of a payment. A grant that is paid stays paid; a number of attempts never
    /// falls. Returns where the grant stands then.
    fn note_outcome(
        &self,
        grant: &Grant,
        outcome: &PayOutcome,
    ) -> impl Future<Output = PortResult<GrantStatus>> + Send;
}

/// How a payment ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayOutcome {
    /// The money moved.
    Paid,
    /// It did not.
    NotPaid {
        /// How many payments have failed by now.
        attempts: u32,
        /// Where the grant stands.
        status: GrantStatus,
        /// Why, in words for the operator.
        failure: String,
    },
}

/// Which grant a queued message is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRef {
    /// The pool it was drawn from.
    pub pool: PoolId,
    /// Who is paid.
    pub member: UserId,
    /// The grant's id.
    pub id: GrantId,
}

/// The queue between recording a grant and paying it: FIFO, one group per member.
pub trait GrantQueue: Send + Sync {
    /// Sends messages; a grant sent twice within five minutes arrives once. Returns the positions
    /// of those that were not taken.
    fn send(&self, grants: &[GrantRef]) -> impl Future<Output = PortResult<Vec<usize>>> + Send;

    /// Makes a received message visible again after `delay_s` seconds.
    fn retry_in(&self, receipt: &str, delay_s: u32) -> impl Future<Output = PortResult<()>> + Send;
}

/// A stream record of a new grant that nobody can read: it can never be sent to be paid as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableRecord {
    /// The attribute that is missing or says nothing.
    pub attribute: &'static str,
    /// The record as the stream gave it, in JSON.
    pub record: String,
}

/// The dead letters of the outbox: what a person has to look at.
pub trait DeadRecords: Send + Sync {
    /// Keeps a record there, at least once: the same record twice is two letters about one grant.
    /// What the queue cannot hold of it is left out; its keys never are.
    fn bury(&self, record: &UnreadableRecord) -> impl Future<Output = PortResult<()>> + Send;
}

/// What others are told about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A grant was given up after its last retry.
    GrantPermanentlyFailed {
        /// The grant.
        grant: Grant,
        /// How many payments failed.
        attempts: u32,
        /// Why the last one failed.
        failure: String,
    },
}

/// The event bus.
pub trait Events: Send + Sync {
    /// Publishes an event, at least once.
    fn publish(&self, event: &Event) -> impl Future<Output = PortResult<()>> + Send;
}

/// A stored answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// What an idempotency key stands for when a request with it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nobody has used it: run, under this operation id.
    Fresh(Ulid),
    /// An earlier run ended without an answer: run again, under the same operation id.
    Resumed(Ulid),
    /// It was answered.
    Done(StoredAnswer),
    /// An earlier request is still running.
    InFlight,
    /// It was used with another payload.
    OtherPayload,
}

/// Remembers requests by their idempotency key, for 24 hours.
pub trait Idempotency: Send + Sync {
    /// Takes the key, or says what it stands for. `key` names the caller too, so that no caller
    /// sees another's answer.
    fn begin(
        &self,
        key: &str,
        payload_hash: &str,
        op: Ulid,
        now: Timestamp,
    ) -> impl Future<Output = PortResult<Begun>> + Send;

    /// Keeps the answer, unless one is kept: a key is answered once.
    fn finish(
        &self,
        key: &str,
        op: Ulid,
        answer: &StoredAnswer,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Lets go of the key's lease, so that the next request with it runs again under the same
    /// operation id: for answers that say "try again".
    fn let_go(&self, key: &str, op: Ulid) -> impl Future<Output = PortResult<()>> + Send;
}
