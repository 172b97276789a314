//! Products that are over or sold out are settled.
//!
//! A settlement is one transaction: all shards are closed as they were read, the outcome is recorded,
//! and the issuer is paid what was raised. It holds only if nothing was invested since the shards were
//! read. Repeating it, or running it twice at once, changes nothing.
//!
//! A product that missed its minimum is refunded investment by investment, each in one transaction under
//! the id that follows from it. A run goes through all investments of the product; those that are
//! refunded cost it a read. When none is left and they sum to what was raised, the product is refunded.
//!
//! A wallet that is too full is an outcome, and no failure: the product records it and is due again in
//! an hour. The money stays in the escrow meanwhile.
//!
//! # Guarantees
//! * Each investment is refunded once, by any number of runs at once:
//!   `a_missed_minimum_is_refunded_once_by_three_runs_at_the_same_time`.
//! * A run that is killed anywhere leaves the rest to the next one:
//!   `a_settlement_that_is_killed_at_any_await_is_finished_by_the_next_run`.
//! * A full wallet holds up no other refund: `a_full_wallet_holds_up_no_other_refund`.

use futures::StreamExt;
use largesse_domain::id::{PoolId, ProductId};
use largesse_domain::product::{Investment, Outcome, Product, Settled, Sums};
use largesse_domain::time::Timestamp;

use super::sold_out;
use crate::due::{DuePlace, DueWalk, PAGE, WALLET_FULL_WAIT_MS};
use crate::ports::{
    Clock, Freezes, InvestmentRefund, PortError, PortResult, Products, Rng, SettleOutcome,
    Settlements,
};

/// How often a product that changes under the settlement is read again. After its window only a
/// process whose clock is behind can invest in it.
const TRIES_MAX: u32 = 16;
/// Investments refunded at the same time by one run.
const CONCURRENCY: usize = 16;
/// Investments read at a time.
pub(super) const INVESTMENTS_PAGE: u32 = 100;
/// How many pages of products one run looks through for those that are sold out and not marked: a
/// thousand products.
const MARK_PAGES_MAX: u32 = 10;

/// What a run of the settlement did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettleReport {
    /// Products settled.
    pub settled: u64,
    /// What issuers were paid, in all.
    pub paid_out: u64,
    /// Investments refunded.
    pub refunded: u64,
    /// What was refunded, in all.
    pub returned: u64,
    /// Products that owe to a wallet that is too full; each is tried again in an hour.
    pub wallet_full: u64,
    /// Products that are frozen, and wait for an operator.
    pub frozen: u64,
    /// Products that could not be settled now, or not even read; the next run tries again.
    pub failed: u64,
    /// Whether time ran out before everything due was settled.
    pub has_more: bool,
}

/// Settles what is due until `stop_at`.
///
/// # Errors
/// [`PortError`] when an index cannot be read; a product that fails is counted.
pub async fn run<D>(deps: &D, stop_at: Timestamp) -> PortResult<SettleReport>
where
    D: Products + Settlements + Freezes + Rng + Clock,
{
    let mut report = SettleReport::default();
    mark_all(deps, stop_at, &mut report).await?;
    let mut walk = DueWalk::until(stop_at, deps);
    while let Some(DuePlace { shard, now, after }) = walk.next(deps) {
        let page = deps.due_products(shard, now, after, PAGE).await?;
        report.failed = report.failed.saturating_add(page.log_unreadable("not settled"));
        for due in &page.rows {
            if deps.is_frozen(PoolId::Product(due.id)).await? {
                report.frozen = report.frozen.saturating_add(1);
                continue;
            }
            // One after the other: a product may have many investments to refund.
            if let Err(error) = settle(deps, due.id, stop_at, &mut report).await {
                let cause = error.causes();
                tracing::warn!(product.id = %due.id, error.cause = cause, "not settled yet");
                report.failed = report.failed.saturating_add(1);
            }
        }
        walk.went_on(page.next);
    }
    report.has_more = report.has_more || walk.has_more();
    Ok(report)
}

/// Marks products that are sold out and were not marked, as after a crash.
async fn mark_all<D>(deps: &D, stop_at: Timestamp, report: &mut SettleReport) -> PortResult<()>
where
    D: Products + Clock,
{
    let now = deps.now();
    let mut after = None;
    for _ in 0..MARK_PAGES_MAX {
        if deps.now() >= stop_at {
            report.has_more = true;
            return Ok(());
        }
        let page = deps.closing_products(now, after, PAGE).await?;
        for closing in &page.rows {
            if let Err(error) = mark(deps, closing.product, now).await {
                let (id, cause) = (closing.product, error.causes());
                tracing::warn!(product.id = %id, error.cause = cause, "not marked yet");
                report.failed = report.failed.saturating_add(1);
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(())
}

async fn mark<D: Products + Clock>(deps: &D, id: ProductId, now: Timestamp) -> PortResult<()> {
    let product = deps.known_product(id).await?;
    match product.filter(|product| !product.terms.window.is_ahead(now)) {
        Some(product) => sold_out::mark(deps, &product).await.map(drop),
        None => Ok(()),
    }
}

/// Settles one product, if it is due, and goes on with its refunds.
///
/// # Errors
/// [`PortError`]; it is still in the index, and the next run tries again.
pub async fn settle<D>(
    deps: &D,
    id: ProductId,
    stop_at: Timestamp,
    report: &mut SettleReport,
) -> PortResult<()>
where
    D: Products + Settlements + Clock,
{
    for _ in 0..TRIES_MAX {
        let Some(product) = deps.product(id).await? else { return Ok(()) };
        if let Some(settled) = product.settled {
            return match settled.outcome {
                Outcome::Refunding => refund_all(deps, &product, settled, stop_at, report).await,
                Outcome::PaidOut | Outcome::Refunded => Ok(()),
            };
        }
        let shards = deps.shards(&product).await?;
        if shards.iter().any(|shard| shard.is_closed) {
            let said = "settle: a shard is closed, but the product is not settled";
            settled_meanwhile(deps, id, said).await?;
            continue;
        }
        let now = deps.now();
        let Some(settled) = product.settlement(&shards, now) else { return Ok(()) };
        // The event comes before the end. The mark also decides the time of the payout.
        if Sums::of(&shards).remaining == 0 && product.sold_out.is_none() {
            deps.mark_sold_out(id, now).await?;
            continue;
        }
        match deps.settle_product(&product, &shards, &settled).await? {
            SettleOutcome::Done => {
                report.settled = report.settled.saturating_add(1);
                if settled.outcome == Outcome::PaidOut {
                    report.paid_out = report.paid_out.saturating_add(settled.raised);
                }
            }
            SettleOutcome::WalletFull => {
                return defer(deps, &product, settled.raised, report).await;
            }
            SettleOutcome::AlreadyPosted => {
                let said = "settle: the ledger has the payout, but the product is not settled";
                settled_meanwhile(deps, id, said).await?;
            }
            SettleOutcome::Changed => {}
        }
    }
    Err(PortError::contended("settle: the product keeps changing"))
}

/// A settlement closes the shards, posts the payout and marks the product in one transaction. So
/// another run did all three since the product was read, or the tables contradict each other, as
/// `said`.
async fn settled_meanwhile<D: Products>(
    deps: &D,
    id: ProductId,
    said: &'static str,
) -> PortResult<()> {
    match deps.product(id).await? {
        Some(product) if product.settled.is_none() => Err(PortError::corrupt(said)),
        _ => Ok(()),
    }
}

/// Records that a wallet is too full for what the product owes.
async fn defer<D>(
    deps: &D,
    product: &Product,
    owed: u64,
    report: &mut SettleReport,
) -> PortResult<()>
where
    D: Settlements + Clock,
{
    if product.refused.is_none() {
        // infra/alarms.yaml counts this line, once for each product. It comes before the record, so a
        // run that is killed in between does not hide it.
        let why = "refund refused: a wallet is full";
        tracing::error!(product.id = %product.id, refund.refused = owed, "{why}");
    }
    report.wallet_full = report.wallet_full.saturating_add(1);
    let now = deps.now();
    deps.defer_product(product.id, now, now.plus_ms(WALLET_FULL_WAIT_MS)).await
}

/// What a pass through the investments of a product came to.
#[derive(Default)]
struct Pass {
    /// The sum of what is refunded now.
    returned: u64,
    /// The sum of what full wallets refuse.
    refused: u64,
    /// The first failure.
    failure: Option<PortError>,
}

/// Refunds what is not refunded yet.
async fn refund_all<D>(
    deps: &D,
    product: &Product,
    settled: Settled,
    stop_at: Timestamp,
    report: &mut SettleReport,
) -> PortResult<()>
where
    D: Settlements + Clock,
{
    let mut pass = Pass::default();
    for part in 0..product.shards {
        let mut after = None;
        loop {
            if deps.now() >= stop_at {
                report.has_more = true;
                return Ok(());
            }
            let page = deps.investments_in(product, part, after, INVESTMENTS_PAGE).await?;
            refund_page(deps, product, &page.rows, &mut pass, report).await;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
    }
    if let Some(failure) = pass.failure {
        return Err(failure);
    }
    if pass.refused > 0 {
        return defer(deps, product, pass.refused, report).await;
    }
    if pass.returned != settled.raised {
        return Err(PortError::corrupt("settle: the refunds are not what was raised"));
    }
    deps.finish_refunds(product.id).await
}

async fn refund_page<D: Settlements>(
    deps: &D,
    product: &Product,
    investments: &[Investment],
    pass: &mut Pass,
    report: &mut SettleReport,
) {
    let refunds: Vec<_> = investments.iter().map(|one| refund(deps, product, one)).collect();
    let mut refunds = futures::stream::iter(refunds).buffer_unordered(CONCURRENCY);
    while let Some((amount, refund)) = refunds.next().await {
        match refund {
            Ok(InvestmentRefund::Done) => {
                pass.returned = pass.returned.saturating_add(amount);
                report.refunded = report.refunded.saturating_add(1);
                report.returned = report.returned.saturating_add(amount);
            }
            Ok(InvestmentRefund::Before) => pass.returned = pass.returned.saturating_add(amount),
            Ok(InvestmentRefund::WalletFull) => {
                pass.refused = pass.refused.saturating_add(amount);
            }
            Ok(InvestmentRefund::AlreadyPosted) => {
                let said = "settle: the ledger has a refund that its investment does not know";
                pass.failure = Some(PortError::corrupt(said));
            }
            Err(error) => pass.failure = Some(error),
        }
    }
}

async fn refund<D: Settlements>(
    deps: &D,
    product: &Product,
    investment: &Investment,
) -> (u64, PortResult<InvestmentRefund>) {
    let refund = if investment.is_refunded {
        Ok(InvestmentRefund::Before)
    } else {
        deps.refund_investment(product, investment).await
    };
    (investment.amount.get(), refund)
}
