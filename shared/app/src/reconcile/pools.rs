//! A spray or a drop: what was put in is drawn, returned or left, and each entry is paid once,
//! voided, or not paid yet.

use std::collections::BTreeSet;

use futures::StreamExt;
use largesse_domain::audit::{Books, Finding, Record, Subject, audit_pools, orders};
use largesse_domain::drop::{Drop, WaitingList};
use largesse_domain::grant::{FailedGrant, GrantStatus};
use largesse_domain::id::{PoolId, TransferId, UserId};
use largesse_domain::ledger::Posted;
use largesse_domain::pool::{Bucket, PoolKind, bucket_count};
use largesse_domain::stats::{Cell, Feature, Stats};

use super::walk::{Counted, PageDone};
use super::{CONCURRENCY, Reads, pause_after, unless_archived};
use crate::pool::read::buckets;
use crate::ports::{
    Clock, DropReads, Grants, OwnerRow, Pools, PortErrorKind, PortResult, ScanKey, Scans, Segment,
    Sprays,
};

/// Failed grants read at a time. A page of a query holds 1 MB (docs/limits.md).
const FAILED_STEP: u32 = 1_000;
/// Transfers looked up by one call of the port: ten batches.
const KEYS_STEP: usize = 1_000;
/// Buckets of promotions read at a time (Amazon DynamoDB Developer Guide, `BatchGetItem`).
const PROMOTED_STEP: usize = 100;

/// A pool, as it is stored.
pub(super) enum Whole {
    /// What it was made as, and all its buckets: of a drop also those of its waiting list and of
    /// what was passed on.
    Read(Record, Vec<Bucket>),
    /// It was never made.
    Missing,
    /// Something of it is missing or cannot be read.
    Damaged(String),
}

/// Reads a pool.
///
/// # Errors
/// Those that say nothing about the pool.
pub(super) async fn whole<D>(deps: &D, pool: PoolId) -> PortResult<Whole>
where
    D: Sprays + Pools + DropReads,
{
    match read(deps, pool).await {
        Ok(Some((record, buckets))) => Ok(Whole::Read(record, buckets)),
        Ok(None) => Ok(Whole::Missing),
        Err(error) if error.kind == PortErrorKind::Corrupt => Ok(Whole::Damaged(error.causes())),
        Err(error) => Err(error),
    }
}

async fn read<D>(deps: &D, pool: PoolId) -> PortResult<Option<(Record, Vec<Bucket>)>>
where
    D: Sprays + Pools + DropReads,
{
    match pool {
        PoolId::Spray(id) => {
            let Some(spray) = deps.spray(id).await? else { return Ok(None) };
            let buckets = buckets(deps, pool, spray.recipients).await?;
            Ok(Some((Record::Spray(Box::new(spray)), buckets)))
        }
        PoolId::Drop(id) => {
            let Some(record) = deps.drop_record(id).await? else { return Ok(None) };
            let buckets = of_drop(deps, &record.drop).await?;
            Ok(Some((Record::Drop(Box::new(record.drop)), buckets)))
        }
        PoolId::Waiting(_) | PoolId::Lots(_) | PoolId::Campaign(_) | PoolId::Product(_) => Ok(None),
    }
}

/// The slots last: a slot is passed on after its payment failed, and the list says to whom.
async fn of_drop<D: Pools>(deps: &D, drop: &Drop) -> PortResult<Vec<Bucket>> {
    let list = buckets(deps, drop.list(), drop.waiting).await?;
    let behind = bucket_count(drop.slots);
    let part = |part: u64| u32::try_from(part).unwrap_or(u32::MAX);
    let promoted: Vec<u32> = WaitingList::of(&list)
        .promoted()
        .map(|place| behind.saturating_add(part(place.part)))
        .collect();
    let mut all = buckets(deps, drop.pool(), drop.slots).await?;
    for some in promoted.chunks(PROMOTED_STEP) {
        all.extend(deps.buckets(drop.pool(), some).await?);
    }
    all.extend(list);
    Ok(all)
}

/// Proves the pools that are named on a page of their table.
pub(super) async fn page<D: Reads>(
    deps: &D,
    segment: Segment,
    after: Option<ScanKey>,
    counted: Counted,
) -> PortResult<PageDone> {
    let page = deps.scan_pools(segment, after).await?;
    let mut done = PageDone::behind(page.next);
    let mut pools = Vec::new();
    for row in page.rows {
        match row {
            OwnerRow::Whole(pool) => pools.push(pool),
            OwnerRow::Other => {}
            OwnerRow::Unreadable(key) => done.findings.push(unreadable(&key)),
        }
    }
    let proofs: Vec<_> = pools.into_iter().map(|pool| prove(deps, pool, counted)).collect();
    let mut proofs = futures::stream::iter(proofs).buffer_unordered(CONCURRENCY);
    while let Some(found) = proofs.next().await {
        let (found, stats) = found?;
        done.findings.extend(found);
        done.stats.merge(&stats);
        done.counts.pools = done.counts.pools.saturating_add(1);
    }
    Ok(done)
}

/// An item of a pool or a product that cannot be read. Its key names the pool.
pub(super) fn unreadable(key: &str) -> Finding {
    let mut parts = key.split('#');
    let pool = parts.next().zip(parts.next()).map(|(kind, id)| format!("{kind}#{id}"));
    let pool = pool.and_then(|text| text.parse::<PoolId>().ok()).map(|pool| match pool {
        PoolId::Waiting(id) | PoolId::Lots(id) => PoolId::Drop(id),
        pool => pool,
    });
    let subject = pool.map_or_else(|| Subject::Item(key.to_owned()), Subject::Pool);
    Finding { subject, what: format!("the item {key} cannot be read") }
}

/// What is wrong with a pool, also when it is read again.
async fn prove<D: Reads>(
    deps: &D,
    pool: PoolId,
    counted: Counted,
) -> PortResult<(Vec<Finding>, Stats)> {
    let mut tried = 0_u32;
    loop {
        let (wrong, stats) = match prove_once(deps, pool, counted).await {
            Ok(proof) => proof,
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                (vec![error.causes()], Stats::default())
            }
            Err(error) => return Err(error),
        };
        let wrong = unless_archived(deps, pool, wrong).await?;
        if wrong.is_empty() {
            return Ok((Vec::new(), stats));
        }
        let Some(ms) = pause_after(tried) else {
            let found = wrong.into_iter().map(|what| Finding::of_pool(pool, what));
            return Ok((found.collect(), stats));
        };
        deps.pause_ms(ms).await;
        tried = tried.saturating_add(1);
    }
}

async fn prove_once<D>(deps: &D, pool: PoolId, counted: Counted) -> PortResult<(Vec<String>, Stats)>
where
    D: Scans + Sprays + Pools + DropReads + Grants + Clock,
{
    let (books, wrong) = read_books(deps, pool).await?;
    Ok((wrong, figures(&books, counted)))
}

/// The books of a pool, or what in them does not add up.
///
/// # Errors
/// [`crate::ports::PortError`].
pub(crate) async fn books_of<D: Reads>(
    deps: &D,
    pool: PoolId,
) -> PortResult<Result<Books, Vec<String>>> {
    let (books, wrong) = read_books(deps, pool).await?;
    Ok(if wrong.is_empty() { Ok(books) } else { Err(wrong) })
}

async fn read_books<D>(deps: &D, pool: PoolId) -> PortResult<(Books, Vec<String>)>
where
    D: Scans + Sprays + Pools + DropReads + Grants,
{
    // Before the buckets: a grant that was refused has an entry from before.
    let (failed, unreadable) = failed(deps, pool).await?;
    let (record, buckets) = match whole(deps, pool).await? {
        Whole::Read(record, buckets) => (Some(record), buckets),
        // The first bucket of a drop whose creation ended before the drop was paid for.
        Whole::Missing => (None, deps.buckets(pool, &[0]).await?),
        Whole::Damaged(what) => return Ok((Books::default(), vec![what])),
    };
    let mut books = Books { buckets, failed, ..Books::default() };
    if let Some(record) = &record {
        let keys = orders(record, &books.buckets);
        post(deps, &mut books, keys).await?;
        let voided = books.grants().filter(|g| books.voided.contains(&g.id.transfer()));
        let returns = voided.map(|grant| grant.void_return()).map(|order| (order.wallet, order.id));
        let returns: Vec<_> = returns.collect();
        post(deps, &mut books, returns).await?;
        forget_paid(&mut books);
    }
    let mut wrong = audit_pools(&books).err().unwrap_or_default();
    if let Some(record) = record {
        // What a funding or a return moved is decided by the pool. A payment is compared by its
        // entry.
        let pool = record.pool();
        let strange = books.transfers.iter().filter(|t| t.order.pool != Some(pool));
        wrong.extend(strange.map(|t| format!("transfer {} is of another pool", t.order.id)));
    }
    wrong.extend(
        unreadable.into_iter().map(|member| format!("a failed grant of {member} cannot be read")),
    );
    Ok((books, wrong))
}

/// What members drew, and whose payment was given up. Promotions are no draws: they pass one on.
fn figures(books: &Books, counted: Counted) -> Stats {
    let mut stats = Stats::default();
    let buckets = books
        .buckets
        .iter()
        .filter(|bucket| matches!(bucket.kind, PoolKind::Share | PoolKind::Slot));
    for bucket in buckets {
        for entry in bucket.draws.values().filter(|entry| counted.has(entry.at)) {
            let drawn = Cell { drawn: 1, ..Cell::default() };
            stats.add(entry.at, Feature::of(bucket.id.pool), drawn);
        }
    }
    let given_up = books.failed.iter().filter(|failed| failed.status != GrantStatus::Failed);
    for failed in given_up {
        let at = failed.grant.decided_at();
        if counted.has(at) {
            let failed_one = Cell { failed: 1, ..Cell::default() };
            stats.add(at, Feature::of(failed.grant.source), failed_one);
        }
    }
    stats
}

/// A grant that failed and was paid since keeps its item until the message is received again: minutes,
/// where the worker was killed in between. It harms nothing. A voided grant that is paid stays.
fn forget_paid(books: &mut Books) {
    let paid: BTreeSet<TransferId> = books.transfers.iter().map(|t| t.order.id).collect();
    let is_left = |failed: &FailedGrant| {
        failed.status == GrantStatus::Voided || !paid.contains(&failed.grant.id.transfer())
    };
    books.failed.retain(is_left);
}

async fn failed<D: Grants>(deps: &D, pool: PoolId) -> PortResult<(Vec<FailedGrant>, Vec<String>)> {
    let (mut rows, mut unreadable, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = deps.failed_grants(pool, after, FAILED_STEP).await?;
        rows.extend(page.rows);
        unreadable.extend(page.unreadable);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok((rows, unreadable)),
        }
    }
}

/// Adds what lies under those ids to the books.
pub(super) async fn post<D: Scans>(
    deps: &D,
    books: &mut Books,
    keys: Vec<(UserId, TransferId)>,
) -> PortResult<()> {
    // Two entries of one member would lead to one key; the audit of the buckets tells.
    let keys: Vec<_> = keys.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    for some in keys.chunks(KEYS_STEP) {
        for (_, id, posted) in deps.postings(some).await? {
            match posted {
                Posted::Transfer(transfer) => books.transfers.push(transfer),
                Posted::Voided => drop(books.voided.insert(id)),
            }
        }
    }
    Ok(())
}
