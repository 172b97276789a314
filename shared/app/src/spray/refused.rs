//! The refunds that wait because the sender's wallet is too full: for an operator.

use largesse_domain::id::{PoolId, SprayId};
use largesse_domain::spray::Spray;

use crate::due::{PAGE, REFUSED_WITHIN_MS, all_due};
use crate::ports::{Clock, PortErrorKind, PortResult, Refunds, Sprays};

/// Sprays of one batch of reads: it holds 100 keys (Amazon DynamoDB Developer Guide, `BatchGetItem`).
const READ_BATCH: usize = 100;

/// The sprays whose refund is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedRefunds {
    /// The sprays, the longest refused first.
    pub sprays: Vec<Spray>,
    /// The names of due sprays that cannot be read.
    pub unreadable: Vec<String>,
}

/// All sprays whose refund is refused. It reads the sprays that are due or become due within two
/// hours: at most as many as there are tokens, since each of them holds one.
///
/// # Errors
/// [`crate::ports::PortError`]; a spray that cannot be read is named.
pub async fn refused<D>(deps: &D) -> PortResult<RefusedRefunds>
where
    D: Sprays + Refunds + Clock,
{
    let until = deps.now().plus_ms(REFUSED_WITHIN_MS);
    let page = async |shard, after| deps.due_sprays(shard, until, after, PAGE).await;
    let (due, unreadable) = all_due(page).await?;
    let mut found = RefusedRefunds { sprays: Vec::new(), unreadable };
    let ids: Vec<SprayId> = due.iter().map(|due| due.id).collect();
    for some in ids.chunks(READ_BATCH) {
        read(deps, some, &mut found).await?;
    }
    found.sprays.sort_by_key(|spray| (spray.refused.map(|refused| refused.since), spray.id));
    Ok(found)
}

/// Adds those of the sprays whose refund is refused.
async fn read<D: Sprays>(deps: &D, ids: &[SprayId], found: &mut RefusedRefunds) -> PortResult<()> {
    match deps.sprays(ids).await {
        Ok(sprays) => found.sprays.extend(sprays.into_iter().filter(|s| s.refused.is_some())),
        // One of them cannot be read, and must not hide the others.
        Err(error) if error.kind == PortErrorKind::Corrupt => {
            for id in ids {
                match deps.spray(*id).await {
                    Ok(spray) => found.sprays.extend(spray.filter(|s| s.refused.is_some())),
                    Err(error) if error.kind == PortErrorKind::Corrupt => {
                        found.unreadable.push(PoolId::Spray(*id).to_string());
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(error) => return Err(error),
    }
    Ok(())
}
