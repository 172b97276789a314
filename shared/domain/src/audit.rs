//! The books, checked: whether every won is where it should be.
//!
//! Pure, so that the test environment and the demonstration call the same code.
//!
//! # Guarantees
//! * issued = wallets + held + escrows, and per pool: put in = drawn + remaining. Each planted
//!   error is found: `a_planted_error_is_found`.
//! * What a campaign pays is issued; what is taken back was paid, once and as much:
//!   `a_planted_error_of_a_campaign_is_found`.
//! * The capacity taken from a product, its investments and their transfers are the same sum; a refund
//!   returns one investment once and whole, and a payout is what was raised:
//!   `a_planted_error_of_a_product_is_found`.
//! * A slot of a drop has one owner, whose payment is the only one that is not voided:
//!   `a_planted_error_of_a_drop_is_found`.
//! * A wallet of any number of transfers is proved in one pass with memory of a fixed size:
//!   `a_chain_agrees_with_a_replay_of_all_transfers`.
//! * A run stands for the transfers that are archived:
//!   `a_wallet_with_runs_is_proved_as_one_without`, `a_run_that_is_gone_or_changed_is_found`.
//! * Every transfer between a wallet and a pool is one that the pool leads to:
//!   `a_transfer_without_a_reason_is_found`.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::grant::{FailedGrant, Grant, GrantStatus};
use crate::id::{PoolId, ProductId, TransferId, UserId};
use crate::ledger::{Transfer, TransferKind, Wallet};
use crate::pool::{Bucket, BucketStatus, PoolKind};
use crate::product::{Investment, Product, Shard};

mod campaigns;
mod chain;
mod drops;
mod finding;
mod products;
mod reasons;
mod run;
mod wallets;

pub use chain::{Chain, Chained, Flow, NAMED_MAX, first_break};
pub use finding::{Finding, NoSubject, Subject};
pub use reasons::{Record, explains, orders};
pub use run::{Run, RunSums};

/// Everything that is about money, read while nothing writes.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// All wallets.
    pub wallets: Vec<Wallet>,
    /// All transfers that are not archived.
    pub transfers: Vec<Transfer>,
    /// All runs of archived transfers.
    pub runs: Vec<(UserId, Run)>,
    /// The payments that an operator has voided.
    pub voided: BTreeSet<TransferId>,
    /// All buckets of all pools.
    pub buckets: Vec<Bucket>,
    /// All grants that were refused.
    pub failed: Vec<FailedGrant>,
    /// All products.
    pub products: Vec<Product>,
    /// All shards of their capacity.
    pub shards: Vec<(ProductId, Shard)>,
    /// All investments.
    pub investments: Vec<Investment>,
    /// The things that are archived: they owe nothing, and what is left of them is not looked at.
    pub archived: BTreeSet<PoolId>,
}

impl Books {
    /// The duty to pay of every entry.
    pub fn grants(&self) -> impl Iterator<Item = Grant> {
        let draws = self.buckets.iter().flat_map(|b| b.draws.iter().map(move |draw| (b, draw)));
        draws.filter_map(|(bucket, (member, entry))| bucket.grant(member, *entry))
    }

    /// The books of all pools and products that are not archived, without wallets.
    fn of_live(&self) -> Self {
        let whole = |pool: PoolId| match pool {
            PoolId::Waiting(id) | PoolId::Lots(id) => PoolId::Drop(id),
            pool => pool,
        };
        let is_live = |pool: PoolId| !self.archived.contains(&whole(pool));
        let mut live = Self { wallets: Vec::new(), archived: BTreeSet::new(), ..self.clone() };
        live.transfers.retain(|transfer| transfer.order.pool.is_none_or(is_live));
        live.buckets.retain(|bucket| is_live(bucket.id.pool));
        live.failed.retain(|failed| is_live(failed.grant.source));
        live.products.retain(|product| is_live(product.pool()));
        live.shards.retain(|(id, _)| is_live(PoolId::Product(*id)));
        live.investments.retain(|one| is_live(PoolId::Product(one.product)));
        live
    }

    /// The books without the rows that the archive was about to remove: their runs stand for them.
    fn without_archived(&self) -> Cow<'_, Self> {
        let mut last: BTreeMap<&UserId, TransferId> = BTreeMap::new();
        for (user, run) in &self.runs {
            let last = last.entry(user).or_insert(run.last);
            *last = run.last.max(*last);
        }
        let is_archived = |transfer: &Transfer| {
            last.get(&transfer.order.wallet).is_some_and(|last| transfer.order.id <= *last)
        };
        if !self.transfers.iter().any(is_archived) {
            return Cow::Borrowed(self);
        }
        let mut books = self.clone();
        books.transfers.retain(|transfer| !is_archived(transfer));
        Cow::Owned(books)
    }

    /// The grants that are neither paid nor voided.
    #[must_use]
    pub fn unpaid(&self) -> Vec<Grant> {
        let paid: BTreeSet<TransferId> = self.transfers.iter().map(|t| t.order.id).collect();
        let is_unpaid = |grant: &Grant| {
            let id = grant.id.transfer();
            !paid.contains(&id) && !self.voided.contains(&id)
        };
        self.grants().filter(is_unpaid).collect()
    }
}

/// Where the money is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// What was ever issued, without what campaigns took back.
    pub issued: u64,
    /// What wallets can spend.
    pub wallets: u64,
    /// What wallets have set aside.
    pub held: u64,
    /// What lies in pools, drawn but not yet paid or not drawn, and in the escrows of products.
    pub escrows: u64,
}

/// The books' totals, or every discrepancy found.
///
/// # Errors
/// One sentence for each discrepancy.
pub fn audit(books: &Books) -> Result<Totals, Vec<String>> {
    let books = &*books.without_archived();
    let mut found = Vec::new();
    let mut totals = Totals::default();
    wallets::audit_wallets(books, &mut totals, &mut found);
    let campaigns = campaigns::audit_campaigns(books, &mut found);
    totals.issued = totals.issued.saturating_add(campaigns.paid);
    totals.issued = totals.issued.saturating_sub(campaigns.taken_back);
    totals.escrows = check_pools(books, &mut found);
    let located = totals.wallets.saturating_add(totals.held).saturating_add(totals.escrows);
    if totals.issued != located {
        found.push(format!("issued {} but located {located}: {totals:?}", totals.issued));
    }
    if found.is_empty() { Ok(totals) } else { Err(found) }
}

/// Checks pools and products by books that hold all of each: buckets, failed grants, shards and
/// investments, and every transfer that these lead to. The books may be those of one pool among
/// many: wallets and totals are left out. Returns what lies in the escrows.
///
/// # Errors
/// One sentence for each discrepancy.
pub fn audit_pools(books: &Books) -> Result<u64, Vec<String>> {
    let mut found = Vec::new();
    let escrows = check_pools(books, &mut found);
    if found.is_empty() { Ok(escrows) } else { Err(found) }
}

fn check_pools(books: &Books, found: &mut Vec<String>) -> u64 {
    if !books.archived.is_empty() {
        return check_pools(&books.of_live(), found);
    }
    let mut escrows = products::audit_products(books, found);
    let mut by_pool = Flows::of(books, found);
    let mut pools: BTreeMap<PoolId, Vec<&Bucket>> = BTreeMap::new();
    for bucket in &books.buckets {
        pools.entry(bucket.id.pool).or_default().push(bucket);
    }
    for (pool, buckets) in pools {
        let flows = by_pool.remove(&pool).unwrap_or_default();
        if drops::is_never_made(pool, &buckets, &flows) {
            continue;
        }
        let escrow = audit_pool(pool, &buckets, &flows, &books.voided, found);
        escrows = escrows.saturating_add(escrow);
    }
    for unknown in by_pool.keys() {
        found.push(format!("{unknown}: money moved, but there is no such pool"));
    }
    drops::audit_promotions(books, found);
    audit_failed(books, found);
    escrows
}

/// What went in and out of one pool.
#[derive(Clone, Debug, Default)]
struct Flows {
    put_in: u64,
    taken_back: u64,
    returned: BTreeMap<TransferId, u64>,
    paid: BTreeMap<TransferId, u64>,
}

impl Flows {
    fn of(books: &Books, found: &mut Vec<String>) -> BTreeMap<PoolId, Self> {
        let mut by_pool: BTreeMap<PoolId, Self> = BTreeMap::new();
        for transfer in &books.transfers {
            // A campaign and a product have no buckets: modules of their own read their transfers.
            let Some(pool @ (PoolId::Spray(_) | PoolId::Drop(_))) = transfer.order.pool else {
                continue;
            };
            let flows = by_pool.entry(pool).or_default();
            let (id, amount) = (transfer.order.id, transfer.order.amount.get());
            let before = match transfer.order.kind {
                TransferKind::Refund => flows.returned.insert(id, amount),
                TransferKind::Claim => flows.paid.insert(id, amount),
                TransferKind::Reversal => {
                    flows.taken_back = flows.taken_back.saturating_add(amount);
                    None
                }
                TransferKind::Spray
                | TransferKind::Drop
                | TransferKind::Deposit
                | TransferKind::Campaign
                | TransferKind::Investment
                | TransferKind::Payout => {
                    flows.put_in = flows.put_in.saturating_add(amount);
                    None
                }
            };
            if before.is_some() {
                found.push(format!("{pool}: money moved twice under {id}"));
            }
        }
        by_pool
    }
}

/// Put in = drawn + remaining; each entry is paid once, as drawn, or voided. Returns what still
/// lies in the pool.
fn audit_pool(
    pool: PoolId,
    buckets: &[&Bucket],
    flows: &Flows,
    voided: &BTreeSet<TransferId>,
    found: &mut Vec<String>,
) -> u64 {
    // A promotion moves what was put in for a slot whose payment is voided.
    let is_promotion = |bucket: &Bucket| bucket.kind == PoolKind::Promotion;
    let (mut put_in, mut passed_on) = (0_u64, 0_u64);
    for bucket in buckets {
        let sum = if is_promotion(bucket) { &mut passed_on } else { &mut put_in };
        *sum = sum.saturating_add(bucket.put_in());
    }
    if flows.put_in != put_in {
        found.push(format!("{pool}: holds {put_in}, but {} went in", flows.put_in));
    }
    let mut paid = flows.paid.clone();
    let mut drawn = 0_u64;
    let mut due = 0_u64;
    let mut members = BTreeSet::new();
    for bucket in buckets {
        if let Err(error) = bucket.check() {
            found.push(format!("{pool}, bucket {}: {error}", bucket.id.number));
        }
        if bucket.status == BucketStatus::Closed {
            due = due.saturating_add(bucket.remainder());
        }
        for (member, entry) in &bucket.draws {
            if !members.insert(member) {
                found.push(format!("{pool}: {member} has two entries"));
            }
            let Some(grant) = bucket.grant(member, *entry) else { continue };
            let (id, amount) = (grant.id.transfer(), grant.amount.get());
            if !is_promotion(bucket) {
                drawn = drawn.saturating_add(amount);
            }
            match (paid.remove(&id), voided.contains(&id)) {
                (Some(paid), false) if paid == amount => {}
                (Some(paid), false) => found.push(format!("{pool}: {member} was paid {paid}")),
                (Some(_), true) => found.push(format!("{pool}: {member} is paid and voided")),
                (None, true) => due = due.saturating_add(amount),
                (None, false) => {}
            }
        }
    }
    for (transfer, amount) in paid {
        found.push(format!("{pool}: {amount} was paid under {transfer} without an entry"));
    }
    let remainder =
        buckets.iter().fold(0_u64, |sum, bucket| sum.saturating_add(bucket.remainder()));
    if drawn.saturating_add(remainder) != put_in {
        found.push(format!("{pool}: {drawn} drawn and {remainder} left of {put_in}"));
    }
    let sum = |flow: &BTreeMap<TransferId, u64>| {
        flow.values().fold(0_u64, |sum, amount| sum.saturating_add(*amount))
    };
    let returned = sum(&flows.returned);
    if passed_on > due {
        found.push(format!("{pool}: {passed_on} was passed on, but only {due} was voided"));
    }
    let due = due.saturating_sub(passed_on);
    if returned != due {
        found.push(format!("{pool}: {returned} was returned instead of {due}"));
    }
    let paid = sum(&flows.paid);
    let went_in = flows.put_in.saturating_add(flows.taken_back);
    went_in.saturating_sub(paid).saturating_sub(returned)
}

/// What was refused is an entry's, and not paid; what is voided is never paid.
fn audit_failed(books: &Books, found: &mut Vec<String>) {
    let entries: BTreeMap<_, Grant> = books.grants().map(|grant| (grant.id, grant)).collect();
    let paid: BTreeSet<TransferId> = books.transfers.iter().map(|t| t.order.id).collect();
    for FailedGrant { grant, status, .. } in &books.failed {
        if entries.get(&grant.id) != Some(grant) {
            found.push(format!(
                "{}: a refused grant of {} has no entry",
                grant.source, grant.member
            ));
        }
        let id = grant.id.transfer();
        if (*status == GrantStatus::Voided) != books.voided.contains(&id) || paid.contains(&id) {
            found.push(format!("{}: {} is {}", grant.source, grant.member, status.as_str()));
        }
    }
}

#[cfg(test)]
mod tests;
