//! A decided draw becomes a record, once.

use std::collections::BTreeMap;

use largesse_domain::grant::Grant;
use largesse_domain::id::{PoolId, UserId};

use crate::ports::{Clock, Grants, Pools, PortResult, Recorded};

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

/// Settles every pending draw of a pool, whoever made it, and trims what is recorded; returns how
/// many there were. An open pool that keeps all its notes is not trimmed: they are its memory of
/// who drew (ADR 0001).
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn pending_of<D: Pools + Grants + Clock>(
    deps: &D,
    pool: PoolId,
    sender: &UserId,
) -> PortResult<usize> {
    let Some(head) = deps.pool(pool).await? else { return Ok(0) };
    let mut recorded = BTreeMap::new();
    for (member, drawn) in &head.pending {
        let Some(amount) = head.supply.worth(drawn.part) else { continue };
        let grant = Grant::of_draw(pool, member.clone(), *drawn, amount, sender.clone());
        if settle(deps, &grant).await? == Settled::Recorded {
            recorded.insert(member.clone(), *drawn);
        }
    }
    if !head.keeps_notes() || head.window.is_over(deps.now()) {
        deps.trim(pool, &recorded).await?;
    }
    Ok(head.pending.len())
}
