//! What was drawn from a pool, and where its payments stand.

use std::collections::BTreeMap;

use futures::StreamExt;
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{GrantId, PoolId};
use largesse_domain::pool::{Bucket, bucket_count};

use crate::ports::{Grants, Money, Pools, PortError, PortErrorKind, PortResult, Standing};

/// Failed grants read at a time. A page of a query holds 1 MB (docs/limits.md).
const FAILED_STEP: u32 = 1_000;
/// Buckets of one batch of reads: it holds 100 keys (Amazon DynamoDB Developer Guide,
/// `BatchGetItem`).
const READ_BATCH: usize = 100;
/// Batches read at the same time.
const READS_AT_ONCE: usize = 8;

/// All buckets of a pool of `parts` parts, in the order of their numbers.
///
/// # Errors
/// [`PortError`]; corrupt when a bucket is missing.
pub async fn buckets<D: Pools>(deps: &D, pool: PoolId, parts: u32) -> PortResult<Vec<Bucket>> {
    let numbers: Vec<u32> = (0..bucket_count(parts)).collect();
    let reads: Vec<_> = numbers.chunks(READ_BATCH).map(|some| deps.buckets(pool, some)).collect();
    let reads: Vec<PortResult<Vec<Bucket>>> =
        futures::stream::iter(reads).buffered(READS_AT_ONCE).collect().await;
    let buckets: Vec<Vec<Bucket>> = reads.into_iter().collect::<PortResult<_>>()?;
    let mut buckets = buckets.concat();
    buckets.sort_by_key(|bucket| bucket.id.number);
    if buckets.len() == numbers.len() {
        Ok(buckets)
    } else {
        Err(PortError::corrupt("read pool: a bucket is missing"))
    }
}

/// Where each grant stands, in their order. The money service has the last word; what it does not
/// know is failed or pending. `None`: the grant was refused, and its item cannot be read, so whether
/// it was given up is not known.
///
/// # Errors
/// [`PortError`].
pub async fn statuses<D: Money + Grants>(
    deps: &D,
    source: PoolId,
    grants: &[Grant],
) -> PortResult<Vec<Option<GrantStatus>>> {
    let standings = deps.lookup(grants).await?;
    let unpaid = grants.iter().zip(&standings).filter(|(_, s)| **s == Standing::NotPaid);
    let unpaid: Vec<&Grant> = unpaid.map(|(grant, _)| grant).collect();
    let failed = match source {
        _ if unpaid.is_empty() => BTreeMap::new(),
        // A drop may have thousands of failed grants, and few of them are asked for here.
        PoolId::Drop(_) => failed_among(deps, &unpaid).await?,
        _ => failed_by_member(deps, source).await?,
    };
    let status = |(grant, standing): (&Grant, Standing)| match standing {
        Standing::Paid => Some(GrantStatus::Success),
        Standing::Voided => Some(GrantStatus::Voided),
        // Sent again under the same id, it finds out.
        Standing::Unknown => Some(GrantStatus::Pending),
        Standing::NotPaid => match failed.get(grant.member.as_str()) {
            Some(None) => None,
            Some(Some((id, status))) if *id == grant.id => Some(*status),
            // An item of another grant: the pool was restored, and the member drew again.
            Some(Some(_)) | None => Some(GrantStatus::Pending),
        },
    };
    Ok(grants.iter().zip(standings).map(status).collect())
}

type FailedByMember = BTreeMap<String, Option<(GrantId, GrantStatus)>>;

async fn failed_among<D: Grants>(deps: &D, grants: &[&Grant]) -> PortResult<FailedByMember> {
    let mut statuses = BTreeMap::new();
    let reads: Vec<_> = grants.iter().map(|g| deps.failed_grant(g.source, &g.member)).collect();
    let reads: Vec<_> = futures::stream::iter(reads).buffered(READS_AT_ONCE).collect().await;
    for (grant, read) in grants.iter().zip(reads) {
        let status = match read {
            Ok(None) => continue,
            Ok(Some(failed)) => Some((failed.grant.id, failed.status)),
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                tracing::error!(pool.id = %grant.source, "a failed grant cannot be read");
                None
            }
            Err(error) => return Err(error),
        };
        statuses.insert(grant.member.to_string(), status);
    }
    Ok(statuses)
}

async fn failed_by_member<D: Grants>(deps: &D, source: PoolId) -> PortResult<FailedByMember> {
    let mut statuses = BTreeMap::new();
    let mut after = None;
    loop {
        let page = deps.failed_grants(source, after, FAILED_STEP).await?;
        let rows = page.rows.iter();
        statuses.extend(rows.map(|f| (f.grant.member.to_string(), Some((f.grant.id, f.status)))));
        if !page.unreadable.is_empty() {
            let (pool, count) = (source.to_string(), page.unreadable.len());
            tracing::error!(pool.id = pool, grants.unreadable = count, "failed grants unread");
        }
        statuses.extend(page.unreadable.into_iter().map(|member| (member, None)));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(statuses),
        }
    }
}
