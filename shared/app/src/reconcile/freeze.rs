//! A pool that does not add up is frozen: nothing is drawn, paid, refunded or settled from it until
//! an operator lifts it. All other pools go on.
//!
//! The mark comes first, then each open bucket is held; lifting goes the other way round. So a
//! freeze that is cut off is finished by the next one, and a pool without a mark has no bucket that
//! is held for ever. The lots of a drop are held too, so that they are not drawn. ADR 0017 says why
//! draws go by the buckets and everything else by the mark.

use futures::StreamExt;
use largesse_domain::id::PoolId;
use largesse_domain::pool::{BucketId, bucket_count};

use crate::ports::{Clock, DropReads, Freezes, FrozenPool, PortErrorKind, PortResult, Sprays};

/// Buckets held at the same time.
const CONCURRENCY: usize = 32;

/// Freezes a pool. Whether it was not frozen before.
///
/// # Errors
/// [`crate::ports::PortError`]; a repeat finishes it.
pub async fn freeze<D>(deps: &D, pool: PoolId, why: &str) -> PortResult<bool>
where
    D: Freezes + Sprays + DropReads + Clock,
{
    let frozen = FrozenPool { pool, since: deps.now(), why: why.to_owned() };
    let is_new = deps.mark_frozen(&frozen).await?;
    hold(deps, pool, true).await?;
    Ok(is_new)
}

/// Lifts the freeze of a pool. Whether it was frozen.
///
/// # Errors
/// [`crate::ports::PortError`]; a repeat finishes it.
pub async fn unfreeze<D>(deps: &D, pool: PoolId) -> PortResult<bool>
where
    D: Freezes + Sprays + DropReads,
{
    hold(deps, pool, false).await?;
    deps.clear_frozen(pool).await
}

async fn hold<D>(deps: &D, pool: PoolId, is_held: bool) -> PortResult<()>
where
    D: Freezes + Sprays + DropReads,
{
    let buckets = match buckets(deps, pool).await {
        Ok(buckets) => buckets,
        // What it was made as cannot be read: its mark still keeps it from paying.
        Err(error) if error.kind == PortErrorKind::Corrupt => Vec::new(),
        Err(error) => return Err(error),
    };
    let holds: Vec<_> = buckets.into_iter().map(|id| deps.hold_bucket(id, is_held)).collect();
    let holds = futures::stream::iter(holds).buffer_unordered(CONCURRENCY);
    holds.collect::<Vec<_>>().await.into_iter().collect()
}

/// The buckets that members draw from.
async fn buckets<D: Sprays + DropReads>(deps: &D, pool: PoolId) -> PortResult<Vec<BucketId>> {
    let of = |pool, parts| (0..bucket_count(parts)).map(move |number| BucketId { pool, number });
    Ok(match pool {
        PoolId::Spray(id) => {
            let spray = deps.spray(id).await?;
            spray.map_or_else(Vec::new, |spray| of(pool, spray.recipients).collect())
        }
        PoolId::Drop(id) => deps.drop_record(id).await?.map_or_else(Vec::new, |record| {
            let drop = record.drop;
            let drawn_from = of(drop.pool(), drop.slots).chain(of(drop.list(), drop.waiting));
            drawn_from.chain(of(drop.lots(), drop.lots_max())).collect()
        }),
        PoolId::Waiting(_) | PoolId::Lots(_) | PoolId::Campaign(_) | PoolId::Product(_) => {
            Vec::new()
        }
    })
}
