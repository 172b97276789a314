//! Wallets and their transfers.

use std::future::Future;

use largesse_domain::id::{TransferId, UserId};
use largesse_domain::ledger::{PostRefused, Transfer, TransferKind, TransferOrder, Wallet};
use largesse_domain::time::Timestamp;

use super::PortResult;
use crate::page::Page;

/// A write under a permanent identity, and whether this call did it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// Done by this call.
    Now(T),
    /// Done before, with this outcome.
    Before(T),
}

impl<T> Once<T> {
    /// The outcome, of this call or an earlier one.
    pub fn into_inner(self) -> T {
        match self {
            Self::Now(outcome) | Self::Before(outcome) => outcome,
        }
    }
}

/// Which transfers of a wallet are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Only of these kinds; of all when empty.
    pub kinds: Vec<TransferKind>,
    /// Only decided at or after.
    pub from: Option<Timestamp>,
    /// Only decided before.
    pub to: Option<Timestamp>,
}

/// Some transfers of a history, counted from its newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many there are, up to as many as were wanted.
    pub rows: u64,
    /// Where the history goes on after them; `None` at its end.
    pub next: Option<TransferId>,
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

    /// One transfer of the wallet. Strongly consistent.
    fn transfer(
        &self,
        user: &UserId,
        id: TransferId,
    ) -> impl Future<Output = PortResult<Option<Transfer>>> + Send;

    /// The wallet's transfers, newest first by the time of decision. Its work is bounded: a page with
    /// a next one may have fewer rows than `limit`, or none, where the filter matches few.
    fn history(
        &self,
        user: &UserId,
        filter: &HistoryFilter,
        after: Option<TransferId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Transfer, TransferId>>> + Send;

    /// Counts the first `rows` transfers of [`Wallets::history`] without reading what is in them.
    fn count(
        &self,
        user: &UserId,
        filter: &HistoryFilter,
        rows: u64,
    ) -> impl Future<Output = PortResult<Counted>> + Send;
}

/// What wallets hold, many at once.
pub trait Balances: Send + Sync {
    /// The wallets of these users that had a transfer, in any order. Each is strongly consistent;
    /// together they are no snapshot. No user may be named twice.
    fn wallets(&self, users: &[UserId]) -> impl Future<Output = PortResult<Vec<Wallet>>> + Send;
}
