//! The sender looks at what became of a spray.

use std::collections::BTreeMap;

use largesse_domain::grant::GrantStatus;
use largesse_domain::id::{RoomId, SprayId, Token, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::Pool;
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;

use crate::grant::settle::RECORDS_STEP;
use crate::page::{PAGE_LIMIT_MAX, Page};
use crate::ports::{Clock, Grants, PortError, PortResult, Rooms, Sprays};

/// One claim, as the sender sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who claimed.
    pub member: UserId,
    /// Their share.
    pub amount: Amount,
    /// When.
    pub at: Timestamp,
    /// Where its payment stands.
    pub status: GrantStatus,
}

/// A spray with its claims, the earliest first.
#[derive(Clone, Debug)]
pub struct SprayDetail {
    /// The spray.
    pub spray: Spray,
    /// Who got what.
    pub claims: Vec<Claim>,
    /// The moment it was read.
    pub now: Timestamp,
}

/// Why a spray is not shown, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No spray of this room carries the token, or there is none of that id of the caller's.
    #[error("there is no such spray")]
    NotFound,
    /// The caller did not spray it.
    #[error("only the sender may look")]
    NotTheSender,
    /// Its seven days are over.
    #[error("the spray was made more than seven days ago")]
    TooOld,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// By token: the sender only, in the spray's room, for seven days. To who is not in the room,
/// another's token looks like no token.
///
/// # Errors
/// [`ReadError`], the first in its order.
pub async fn by_token<D>(
    deps: &D,
    room: RoomId,
    token: Token,
    caller: &UserId,
) -> Result<SprayDetail, ReadError>
where
    D: Sprays + Grants + Rooms + Clock,
{
    let entry = deps.token_entry(token).await?.filter(|entry| entry.room == room);
    let entry = entry.ok_or(ReadError::NotFound)?;
    if entry.sender != *caller {
        let is_member = deps.is_member(room, caller).await?;
        return Err(if is_member { ReadError::NotTheSender } else { ReadError::NotFound });
    }
    let detail = detail(deps, entry.spray).await?;
    if detail.spray.is_readable(detail.now) { Ok(detail) } else { Err(ReadError::TooOld) }
}

/// By id: the sender only, for ever.
///
/// # Errors
/// [`ReadError`]; another's spray is as if there were none.
pub async fn by_id<D>(deps: &D, id: SprayId, caller: &UserId) -> Result<SprayDetail, ReadError>
where
    D: Sprays + Grants + Clock,
{
    let detail = detail(deps, id).await?;
    if detail.spray.sender == *caller { Ok(detail) } else { Err(ReadError::NotFound) }
}

/// The caller's own sprays, newest first.
///
/// # Errors
/// [`PortError`].
pub async fn mine<D: Sprays>(
    deps: &D,
    caller: &UserId,
    after: Option<SprayId>,
    limit: u32,
) -> PortResult<Page<Spray, SprayId>> {
    deps.sprays_by(caller, after, limit.clamp(1, PAGE_LIMIT_MAX)).await
}

async fn detail<D: Sprays + Grants + Clock>(
    deps: &D,
    id: SprayId,
) -> Result<SprayDetail, ReadError> {
    let spray = deps.spray(id).await?.ok_or(ReadError::NotFound)?;
    let claims = claims_of(deps, &spray.pool).await?;
    Ok(SprayDetail { spray, claims, now: deps.now() })
}

/// Who drew what: the records, and the notes of draws that have none yet.
///
/// # Errors
/// [`PortError`].
pub async fn claims_of<D: Grants>(deps: &D, head: &Pool) -> PortResult<Vec<Claim>> {
    let mut claims: BTreeMap<UserId, Claim> = BTreeMap::new();
    for (member, drawn) in &head.pending {
        let amount = head.supply.worth(drawn.part).ok_or_else(PortError::unreadable_part)?;
        let (member, at, status) = (member.clone(), drawn.at, GrantStatus::Pending);
        claims.insert(member.clone(), Claim { member, amount, at, status });
    }
    let mut after = None;
    loop {
        let page = deps.grants_of(head.id, after, RECORDS_STEP).await?;
        for grant in page.rows {
            let (amount, at, status) = (grant.amount, grant.decided_at(), grant.status);
            let member = grant.member;
            claims.insert(member.clone(), Claim { member, amount, at, status });
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let mut claims: Vec<Claim> = claims.into_values().collect();
    claims.sort_by(|a, b| (a.at, &a.member).cmp(&(b.at, &b.member)));
    Ok(claims)
}
