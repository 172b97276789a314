//! Products, investments in them, and how they end.

use std::fmt;
use std::future::Future;
use std::str::FromStr;

use largesse_domain::id::{InvestmentId, ProductId, UserId};
use largesse_domain::ledger::PostRefused;
use largesse_domain::money::Amount;
use largesse_domain::product::{Investment, Product, Refusal, Settled, Shard};
use largesse_domain::time::Timestamp;

use super::{Once, PortResult};
use crate::page::{DueKey, DuePage, Page};

/// A request to invest, under the id that makes it happen once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvestOrder {
    /// The investment's id.
    pub id: InvestmentId,
    /// Who invests.
    pub investor: UserId,
    /// How much.
    pub amount: Amount,
}

/// Why nothing was invested, in order of precedence. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotInvested {
    /// The product refuses.
    Product(Refusal),
    /// The wallet refuses.
    Wallet(PostRefused),
}

/// Where a product stands in the list of those that recruit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Closing {
    /// When it closes.
    pub at: Timestamp,
    /// Which product.
    pub product: ProductId,
}

impl fmt::Display for Closing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.ms(), self.product)
    }
}

/// A text that names no such place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("MILLISECONDS.ULID")]
pub struct NoClosing;

impl FromStr for Closing {
    type Err = NoClosing;

    fn from_str(text: &str) -> Result<Self, NoClosing> {
        let (ms, product) = text.split_once('.').ok_or(NoClosing)?;
        let at = ms.parse().map(Timestamp::from_ms).map_err(|_| NoClosing)?;
        Ok(Self { at, product: product.parse().map_err(|_| NoClosing)? })
    }
}

/// Products and what members invest in them.
pub trait Products: Send + Sync {
    /// Makes a product with the shards of its capacity: all or nothing, at most once for its id.
    fn create_product(
        &self,
        product: &Product,
    ) -> impl Future<Output = PortResult<Once<Product>>> + Send;

    /// The product of that id. Strongly consistent.
    fn product(&self, id: ProductId) -> impl Future<Output = PortResult<Option<Product>>> + Send;

    /// The product of that id. Its terms never change, so a process may remember it for ever; that it
    /// is sold out or settled may be missing.
    fn known_product(
        &self,
        id: ProductId,
    ) -> impl Future<Output = PortResult<Option<Product>>> + Send;

    /// All shards, in their order, each strongly consistent. They are read one after the other; since
    /// capacity only falls, at the end of the read no more remains than they say.
    fn shards(&self, product: &Product) -> impl Future<Output = PortResult<Vec<Shard>>> + Send;

    /// The same, at most one second old. No less remains than they say, since nothing is taken from
    /// them that they have already.
    fn recent_shards(
        &self,
        product: &Product,
    ) -> impl Future<Output = PortResult<Vec<Shard>>> + Send;

    /// Takes capacity, debits the wallet, writes the transfer and the investment with the terms as they
    /// are: all or nothing, at most once for the order's id, for ever. A refusal for want of
    /// capacity is true.
    ///
    /// # Errors
    /// `Contended` when others won as often as the adapter tries. Nothing happened.
    fn invest(
        &self,
        product: &Product,
        order: &InvestOrder,
    ) -> impl Future<Output = PortResult<Result<Once<Investment>, NotInvested>>> + Send;

    /// Marks a product as sold out, once: it leaves the list of those that recruit and is due to be
    /// settled. Does nothing when it is marked, or is not there.
    fn mark_sold_out(
        &self,
        id: ProductId,
        at: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;

    /// Products that are neither sold out nor settled and close after `now`, the first to close first;
    /// some may not be open yet. May lag behind by a second.
    fn closing_products(
        &self,
        now: Timestamp,
        after: Option<Closing>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Closing, Closing>>> + Send;

    /// The member's investments, newest first. A new one may be missing for a second; whether each is
    /// refunded is strongly consistent.
    fn investments_by(
        &self,
        investor: &UserId,
        after: Option<InvestmentId>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Investment, InvestmentId>>> + Send;
}

/// A product in the index of what is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueProduct {
    /// Which.
    pub id: ProductId,
    /// Since when.
    pub due: Timestamp,
}

/// What became of a settlement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleOutcome {
    /// Done by this call.
    Done,
    /// The product or a shard is no longer as it was read: read again.
    Changed,
    /// The ledger has the payout's transfer, though the product is not settled: one table was
    /// restored without the other. Nothing has changed.
    AlreadyPosted,
    /// The issuer's wallet would hold more than a wallet may. Nothing has changed.
    WalletFull,
}

/// What became of the refund of an investment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvestmentRefund {
    /// Done by this call.
    Done,
    /// Done before.
    Before,
    /// The ledger has the transfer, though the investment is not refunded: one table was restored
    /// without the other. Nothing has changed.
    AlreadyPosted,
    /// The investor's wallet would hold more than a wallet may. Nothing has changed.
    WalletFull,
}

/// An investment's place among those of its part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartKey {
    /// Whose.
    pub investor: UserId,
    /// Its number among the investor's in this product.
    pub count: u64,
}

/// How products end.
pub trait Settlements: Send + Sync {
    /// Products of one shard of the index that are due at `now`, the oldest first. May lag behind by
    /// a second, and so name some that are settled.
    fn due_products(
        &self,
        shard: u32,
        now: Timestamp,
        after: Option<DueKey>,
        limit: u32,
    ) -> impl Future<Output = PortResult<DuePage<DueProduct>>> + Send;

    /// Closes all shards, records the settlement and pays out what it pays: all or nothing, only if
    /// the product is not settled and its shards are as they were read. A product that refunds stays in
    /// the index.
    fn settle_product(
        &self,
        product: &Product,
        as_read: &[Shard],
        settled: &Settled,
    ) -> impl Future<Output = PortResult<SettleOutcome>> + Send;

    /// Investments of one part of a product ([`Product::part_of`]), by investor. Strongly consistent.
    fn investments_in(
        &self,
        product: &Product,
        part: u32,
        after: Option<PartKey>,
        limit: u32,
    ) -> impl Future<Output = PortResult<Page<Investment, PartKey>>> + Send;

    /// Credits the investor, writes the transfer and marks the investment as refunded: all or nothing,
    /// once.
    fn refund_investment(
        &self,
        product: &Product,
        investment: &Investment,
    ) -> impl Future<Output = PortResult<InvestmentRefund>> + Send;

    /// Records that every investment is refunded, and takes the product out of the index. Does nothing
    /// when it is recorded.
    fn finish_refunds(&self, id: ProductId) -> impl Future<Output = PortResult<()>> + Send;

    /// Records that a wallet is too full for what the product owes it, and moves the product to a later
    /// time in the index. The time of the first refusal stays. Does nothing when nothing is due.
    fn defer_product(
        &self,
        id: ProductId,
        since: Timestamp,
        until: Timestamp,
    ) -> impl Future<Output = PortResult<()>> + Send;
}
