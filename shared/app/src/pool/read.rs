//! What was drawn from a pool, and where its payments stand.

use std::collections::BTreeMap;

use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{GrantId, PoolId};
use largesse_domain::pool::{Bucket, bucket_count};

use crate::ports::{Grants, Money, Pools, PortError, PortResult, Standing};

/// Failed grants read at a time. A page of a query holds 1 MB (docs/limits.md).
const FAILED_STEP: u32 = 1_000;

/// All buckets of a pool of `parts` parts, in the order of their numbers.
///
/// # Errors
/// [`PortError`]; corrupt when a bucket is missing.
pub async fn buckets<D: Pools>(deps: &D, pool: PoolId, parts: u32) -> PortResult<Vec<Bucket>> {
    let numbers: Vec<u32> = (0..bucket_count(parts)).collect();
    let mut buckets = deps.buckets(pool, &numbers).await?;
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
    let failed = if standings.contains(&Standing::NotPaid) {
        failed_by_member(deps, source).await?
    } else {
        BTreeMap::new()
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

async fn failed_by_member<D: Grants>(
    deps: &D,
    source: PoolId,
) -> PortResult<BTreeMap<String, Option<(GrantId, GrantStatus)>>> {
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
