//! Sprays, their tokens and their refunds.

use std::future::Future;

use largesse_domain::id::{SprayId, Token, UserId};
use largesse_domain::ledger::{PostRefused, TransferOrder};
use largesse_domain::pool::Bucket;
use largesse_domain::spray::{RefusedRefund, Spray, TokenEntry};
use largesse_domain::time::Timestamp;

use super::{Once, PortResult};
use crate::page::{DueKey, DuePage, Page};

/// Why a spray was not made, in order of precedence. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SprayNotMade {
    /// A live spray carries the token: try another.
    TokenTaken,
    /// The sender has as many live sprays as a member may have.
    TooManyLive,
    /// The wallet refuses.
    Wallet(PostRefused),
}

/// Sprays and their tokens.
pub trait Sprays: Send + Sync {
    /// What the token stands for. An entry may be cached while its window is open: it cannot change
    /// before.
    fn token_entry(
        &self,
        token: Token,
    ) -> impl Future<Output = PortResult<Option<TokenEntry>>> + Send;

    /// What this process remembers of the token: an entry whose window is open.
    fn known_token(&self, token: Token) -> Option<TokenEntry>;

    /// Takes the token, makes the spray and the buckets of its pool, counts it as live, debits the
    /// wallet, writes the transfer: all or nothing, at most once for the spray's id.
    fn create_spray(
        &self,
        spray: &Spray,
        order: &TransferOrder,
    ) -> impl Future<Output = PortResult<Result<Once<Spray>, SprayNotMade>>> + Send;

    /// The spray of that id. Strongly consistent.
    fn spray(&self, id: SprayId) -> impl Future<Output = PortResult<Option<Spray>>> + Send;

    /// The sprays of those ids, each once, in any order; those that do not exist are left out.
    fn sprays(&self, ids: &[SprayId]) -> impl Future<Output = PortResult<Vec<Spray>>> + Send;

    /// The sender's sprays, newest first. May lag behind by a second.
    fn sprays_by(
        &self,
        sender: &UserId,
        after: Option<SprayId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Spray, SprayId>>> + Send;
}

/// A spray in the index of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueSpray {
    /// Which.
    pub id: SprayId,
    /// Since when.
    pub due: Timestamp,
}

/// What became of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundOutcome {
    /// Done by this call.
    Done,
    /// The spray is no longer as it was read: read it again.
    Changed,
    /// The ledger has the refund's transfer, though the spray is not refunded: one table was restored
    /// without the other. Nothing has changed.
    AlreadyPosted,
    /// The sender's wallet would hold more than a wallet may. Nothing has changed.
    WalletFull,
}

/// Finding what is to be refunded, and the refund itself.
pub trait Refunds: Send + Sync {
    /// Sprays of one shard of the index that are due at `now`, the oldest first. May lag behind by
    /// a second, and so name some that are refunded.
    fn due_sprays(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueKey>,
        limit: u32,
    ) -> impl Future<Output = PortResult<DuePage<DueSpray>>> + Send;

    /// Closes all buckets, frees the token, credits the sender, writes the transfer and counts the
    /// spray as live no longer: all or nothing, only if the spray and its buckets are as they were
    /// read and the window is over.
    fn refund_spray(
        &self,
        spray: &Spray,
        as_read: &[Bucket],
        now: Timestamp,
    ) -> impl Future<Output = PortResult<RefundOutcome>> + Send;

    /// Records on a spray that its sender's wallet refuses the refund, and moves it to a later time
    /// in the index. The time of the first refusal stays. Does nothing when it is refunded.
    fn refuse_refund(
        &self,
        id: SprayId,
        refused: RefusedRefund,
        until: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;
}

/// What a scan of all tokens came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replenished {
    /// These could be taken, and the index holds them now.
    Free(Vec<Token>),
    /// Live sprays carry all tokens, as this scan or one of a moment ago found.
    NoneFree {
        /// When the first token may become free.
        earliest: Timestamp,
    },
    /// Another process is scanning.
    Underway,
}

/// Finding a free token. The answers may be stale: the spray's own transaction decides.
pub trait TokenSpace: Send + Sync {
    /// Those of the tokens that a spray could take at `now`: one read.
    fn free_among(
        &self,
        tokens: [Token; 2],
        now: Timestamp,
    ) -> impl Future<Output = PortResult<Vec<Token>>> + Send;

    /// A free token of one shard of the index, the first at or after `from`, or else the first of
    /// the shard.
    fn indexed_token(
        &self,
        shard: u32,
        from: Token,
    ) -> impl Future<Output = PortResult<Option<Token>>> + Send;

    /// Scans all tokens and adds those that have no item to the index. One process at a time does,
    /// under a lease of a few seconds.
    fn replenish(&self, now: Timestamp) -> impl Future<Output = PortResult<Replenished>> + Send;

    /// When the first token becomes free, if this process learned a moment ago that none is.
    fn known_full(&self, now: Timestamp) -> Option<Timestamp>;

    /// Remembers for a few seconds that no token is free.
    fn remember_full(&self, now: Timestamp, earliest: Timestamp);
}

/// How many shards the index of free tokens has (architecture.md 5.2).
pub const TOKEN_SHARDS: u32 = 16;
