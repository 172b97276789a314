//! A decided draw becomes a record, once.

use std::collections::BTreeMap;

use largesse_domain::grant::Grant;
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::pool::{Drawn, Pool, Settlement};
use largesse_domain::split::RECIPIENTS_MAX;

use crate::ports::{Grants, Pools, PortError, PortResult, Recorded};

/// What became of a draw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It is recorded; it will be paid.
    Recorded,
    /// The member had another draw recorded: this one was given back.
    Released(Grant),
}

/// Settles one draw: puts its record; or gives it back when it raced a trim. Idempotent.
///
/// # Errors
/// [`crate::ports::PortError`]: the note stays, and the sweep settles it.
pub async fn settle<D: Pools + Grants>(deps: &D, grant: &Grant) -> PortResult<Settled> {
    match deps.record(grant).await? {
        Recorded::New | Recorded::Same(_) => {
            deps.trim_later(grant.pool, &grant.member, grant.drawn);
            Ok(Settled::Recorded)
        }
        Recorded::Other(earlier) => {
            deps.release(grant.pool, &grant.member, grant.drawn).await?;
            Ok(Settled::Released(earlier))
        }
    }
}

/// What settling the pending draws of a pool came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PendingSettled {
    /// Draws that have their record now.
    pub recorded: BTreeMap<UserId, Drawn>,
    /// How many were given back.
    pub released: usize,
}

/// Settles pending draws of a pool as it was read, whoever made them. Records that are there are
/// read in one go, so that a pool whose draws are all recorded costs reads only.
///
/// # Errors
/// [`PortError`]: what was settled stays settled. Corrupt, once all others are settled, when a note
/// names a part that the pool does not have: what is owed on it is unknown, so the pool must be
/// neither trimmed nor refunded over it.
pub async fn settle_pending<D: Pools + Grants>(
    deps: &D,
    head: &Pool,
    sender: &UserId,
    is_wanted: impl Fn(Drawn) -> bool + Send,
) -> PortResult<PendingSettled> {
    let mut settled = PendingSettled::default();
    let wanted = || head.pending.iter().filter(|(_, drawn)| is_wanted(**drawn));
    if wanted().next().is_none() {
        return Ok(settled);
    }
    let there = records_of(deps, head.id).await?;
    let mut is_readable = true;
    for (member, drawn) in wanted() {
        let record = there.get(member).copied();
        let is_recorded = Pool::settlement(*drawn, record) == Settlement::Trim;
        let Some(amount) = head.supply.worth(drawn.part) else {
            is_readable = false;
            continue;
        };
        let grant = Grant::of_draw(head.id, member.clone(), *drawn, amount, sender.clone());
        if is_recorded || settle(deps, &grant).await? == Settled::Recorded {
            settled.recorded.insert(member.clone(), *drawn);
        } else {
            settled.released = settled.released.saturating_add(1);
        }
    }
    if is_readable { Ok(settled) } else { Err(PortError::unreadable_part()) }
}

/// Grants read at a time: those of the largest spray, some 250 KB. A page of a query holds 1 MB
/// (docs/limits.md).
pub(crate) const RECORDS_STEP: u32 = RECIPIENTS_MAX;

async fn records_of<D: Grants>(deps: &D, pool: PoolId) -> PortResult<BTreeMap<UserId, Drawn>> {
    let mut records = BTreeMap::new();
    let mut after = None;
    loop {
        let page = deps.grants_of(pool, after, RECORDS_STEP).await?;
        records.extend(page.rows.into_iter().map(|grant| (grant.member, grant.drawn)));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(records),
        }
    }
}

/// Helps a pool, if it still has `from` notes or more, or nothing else left: settles what is
/// pending and trims it.
///
/// # Errors
/// [`PortError`].
pub async fn help<D: Pools + Grants>(
    deps: &D,
    pool: PoolId,
    sender: &UserId,
    from: usize,
) -> PortResult<()> {
    let Some(head) = deps.pool(pool).await? else { return Ok(()) };
    // Somebody has helped; and a pool that keeps its notes has room for all of them.
    let is_enough = head.pending.len() >= from || head.supply.left() == 0;
    if head.pending.is_empty() || !is_enough || head.keeps_notes() {
        return Ok(());
    }
    let settled = settle_pending(deps, &head, sender, |_| true).await?;
    deps.trim(pool, &settled.recorded).await
}
