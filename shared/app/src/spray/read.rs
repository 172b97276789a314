//! The sender reads what became of a spray.

use futures::StreamExt;
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{RoomId, SprayId, Token, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Bucket, Entry};
use largesse_domain::spray::Spray;
use largesse_domain::time::Timestamp;

use crate::budget::UsedUp;
use crate::budget::miss::{self, Misses};
use crate::page::{PAGE_LIMIT_MAX, Page};
use crate::pool::read::{buckets, statuses};
use crate::ports::{Budgets, Clock, Grants, Money, Pools, PortError, PortResult, Rooms, Sprays};

/// Live sprays of a list whose buckets are read at the same time.
const CONCURRENCY: usize = 8;

/// One claim, as the sender sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Who claimed.
    pub member: UserId,
    /// Their share.
    pub amount: Amount,
    /// The share's number in the cut, from 0.
    pub number: u64,
    /// When.
    pub at: Timestamp,
}

/// A spray with its claims, the earliest first.
#[derive(Clone, Debug)]
pub struct SprayDetail {
    /// The spray.
    pub spray: Spray,
    /// Who got what.
    pub claims: Vec<Claim>,
    /// Where the payment of each claim stands.
    pub statuses: Vec<GrantStatus>,
    /// The moment it was read.
    pub now: Timestamp,
}

/// Why a spray is not shown, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Too many tokens were guessed.
    #[error(transparent)]
    TooManyMisses(#[from] UsedUp),
    /// No spray carries the token, or the caller has none of that id.
    #[error("there is no such spray")]
    NotFound,
    /// The caller did not spray it.
    #[error("only the sender may read it")]
    NotTheSender,
    /// Its seven days are over.
    #[error("the spray was made more than seven days ago")]
    TooOld,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// The spray of a token: the sender only, for seven days. To a caller who is not in its room, or who
/// names another room, the token looks like no token: a miss, which the budgets of caller and owner
/// count. Whether the caller is in the room is not known before, so no room's budget does.
///
/// # Errors
/// [`ReadError`], the first in its order.
pub async fn by_token<D>(
    deps: &D,
    token: Token,
    room: Option<RoomId>,
    caller: &UserId,
    misses: &Misses,
) -> Result<Spray, ReadError>
where
    D: Sprays + Rooms + Budgets + Clock,
{
    let (now, budgets) = (deps.now(), misses.budgets(caller, None));
    let (entry, used_up) = miss::guess(deps, token, &budgets, now).await?;
    if let Some(used_up) = used_up {
        return Err(used_up.into());
    }
    let is_visible = match &entry {
        Some(entry) if room.is_some_and(|room| room != entry.room) => false,
        Some(entry) => entry.sender == *caller || deps.is_member(entry.room, caller).await?,
        None => false,
    };
    let Some(entry) = entry.filter(|_| is_visible) else {
        let used_up = miss::count(deps, &budgets, now).await?;
        return Err(used_up.map_or(ReadError::NotFound, ReadError::TooManyMisses));
    };
    if entry.sender != *caller {
        return Err(ReadError::NotTheSender);
    }
    let spray = deps.spray(entry.spray).await?.ok_or(ReadError::NotFound)?;
    if spray.is_readable(deps.now()) { Ok(spray) } else { Err(ReadError::TooOld) }
}

/// The spray of an id: the sender only, for ever.
///
/// # Errors
/// [`ReadError`]; a spray of another sender is not found.
pub async fn by_id<D: Sprays>(deps: &D, id: SprayId, caller: &UserId) -> Result<Spray, ReadError> {
    let spray = deps.spray(id).await?.ok_or(ReadError::NotFound)?;
    if spray.sender == *caller { Ok(spray) } else { Err(ReadError::NotFound) }
}

/// A spray with its claims and where their payments stand.
///
/// # Errors
/// [`PortError`].
pub async fn detail<D>(deps: &D, spray: Spray) -> PortResult<SprayDetail>
where
    D: Pools + Money + Grants + Clock,
{
    let (claims, grants): (_, Vec<Grant>) = draws_of(deps, &spray).await?.into_iter().unzip();
    let statuses = statuses(deps, spray.pool(), &grants).await?.into_iter();
    // What has an item that cannot be read was refused at least once, and is not paid.
    let statuses = statuses.map(|status| status.unwrap_or(GrantStatus::Failed)).collect();
    Ok(SprayDetail { spray, claims, statuses, now: deps.now() })
}

/// Who claimed what, the earliest first.
///
/// # Errors
/// [`PortError`].
pub async fn claims_of<D: Pools>(deps: &D, spray: &Spray) -> PortResult<Vec<Claim>> {
    Ok(draws_of(deps, spray).await?.into_iter().map(|(claim, _)| claim).collect())
}

/// Every draw: the claim, and the duty to pay that it is.
async fn draws_of<D: Pools>(deps: &D, spray: &Spray) -> PortResult<Vec<(Claim, Grant)>> {
    let buckets = buckets(deps, spray.pool(), spray.recipients).await?;
    let entries = buckets.iter().flat_map(|b| b.draws.iter().map(move |draw| (b, draw)));
    let draw = |(bucket, (member, entry)): (&Bucket, (&UserId, &Entry))| {
        let grant = bucket.grant(member, *entry)?;
        let (member, amount) = (member.clone(), grant.amount);
        let number = bucket.part(entry.index);
        Some((Claim { member, amount, number, at: entry.at }, grant))
    };
    let mut draws: Vec<(Claim, Grant)> = entries.filter_map(draw).collect();
    draws.sort_by_key(|(claim, _)| (claim.at, claim.number));
    Ok(draws)
}

/// A spray of a list, with what was claimed of it in all.
#[derive(Clone, Debug)]
pub struct SprayRow {
    /// The spray.
    pub spray: Spray,
    /// What was claimed.
    pub claimed_amount: u64,
    /// By how many.
    pub claimed_count: u64,
}

/// The caller's own sprays, newest first.
///
/// # Errors
/// [`PortError`].
pub async fn mine<D: Sprays + Pools>(
    deps: &D,
    caller: &UserId,
    after: Option<SprayId>,
    limit: u32,
) -> PortResult<Page<SprayRow, SprayId>> {
    let Page { rows, next } = deps.sprays_by(caller, after, limit.clamp(1, PAGE_LIMIT_MAX)).await?;
    let rows: Vec<_> = rows.into_iter().map(|spray| row(deps, spray)).collect();
    let rows: Vec<PortResult<SprayRow>> =
        futures::stream::iter(rows).buffered(CONCURRENCY).collect().await;
    Ok(Page { rows: rows.into_iter().collect::<PortResult<_>>()?, next })
}

/// A refunded spray says itself what was left; of a live one the buckets are read.
async fn row<D: Pools>(deps: &D, spray: Spray) -> PortResult<SprayRow> {
    let (left_amount, left_count) = match spray.refund {
        Some(refund) => (refund.amount, refund.shares),
        None => {
            let buckets = buckets(deps, spray.pool(), spray.recipients).await?;
            let amount = buckets.iter().fold(0_u64, |sum, b| sum.saturating_add(b.remainder()));
            let taken = buckets.iter().fold(0_u32, |sum, b| sum.saturating_add(b.taken));
            (amount, spray.recipients.saturating_sub(taken))
        }
    };
    Ok(SprayRow {
        claimed_amount: spray.amount.get().saturating_sub(left_amount),
        claimed_count: u64::from(spray.recipients.saturating_sub(left_count)),
        spray,
    })
}
