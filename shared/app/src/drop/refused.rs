//! The remainders that wait because the funder's wallet is too full: for an operator.

use futures::StreamExt;
use largesse_domain::drop::DropRecord;
use largesse_domain::id::PoolId;

use crate::due::{PAGE, REFUSED_WITHIN_MS, all_due};
use crate::ports::{Clock, DropReads, DropsClosed, PortErrorKind, PortResult};

/// Drops read at the same time.
const READS_AT_ONCE: usize = 8;

/// The drops whose remainder is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedReturns {
    /// The drops, the oldest first.
    pub drops: Vec<DropRecord>,
    /// The names of due drops that cannot be read.
    pub unreadable: Vec<String>,
}

/// All drops whose remainder is refused. It reads the drops that are due or become due within two
/// hours.
///
/// # Errors
/// [`crate::ports::PortError`]; a drop that cannot be read is named.
pub async fn refused<D>(deps: &D) -> PortResult<RefusedReturns>
where
    D: DropReads + DropsClosed + Clock,
{
    let until = deps.now().plus_ms(REFUSED_WITHIN_MS);
    let page = async |shard, after| deps.due_drops(shard, until, after, PAGE).await;
    let (due, unreadable) = all_due(page).await?;
    let mut found = RefusedReturns { drops: Vec::new(), unreadable };
    let reads: Vec<_> =
        due.iter().map(async |due| (due.id, deps.drop_record(due.id).await)).collect();
    let mut reads = futures::stream::iter(reads).buffered(READS_AT_ONCE);
    while let Some((id, read)) = reads.next().await {
        match read {
            Ok(record) => found.drops.extend(record.filter(|record| record.refused.is_some())),
            Err(error) if error.kind == PortErrorKind::Corrupt => {
                found.unreadable.push(PoolId::Drop(id).to_string());
            }
            Err(error) => return Err(error),
        }
    }
    found.drops.sort_by_key(|record| record.drop.id);
    Ok(found)
}
