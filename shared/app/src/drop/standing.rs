//! Where a member of a drop stands.

use largesse_domain::drop::{Drop, Listed, WaitingList};
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{DropId, PoolId, UserId};
use largesse_domain::pool::{Bucket, BucketId, BucketStatus, Entry, Walk, bucket_count};

use super::enter::slot_number;
use super::read::read_list;
use crate::ports::{Clock, Drops, Grants, Money, Pools, PortError, PortResult, Standing};

/// Where a member of a drop stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberStanding {
    /// Has a slot.
    Won {
        /// Its number, from 1.
        slot: u64,
        /// Where its payment stands: `Pending`, `Success`, `Failed` or `PermanentlyFailed`.
        payment: GrantStatus,
    },
    /// Had a slot, whose payment failed for good. It went to another, or its amount back to the funder.
    Lost,
    /// Waits.
    Waiting {
        /// 1 for the next to get a slot.
        position: u64,
    },
    /// Has a lot, which is not drawn yet.
    Registered,
    /// Had a lot, for which there was neither a slot nor a place.
    NotDrawn,
}

/// Where a member stands; `None` for one who has not entered, or of a drop that does not exist.
///
/// # Errors
/// [`PortError`].
pub async fn member<D>(deps: &D, id: DropId, member: &UserId) -> PortResult<Option<MemberStanding>>
where
    D: Drops + Pools + Money + Grants + Clock,
{
    let Some(drop) = deps.drop_terms(id).await? else { return Ok(None) };
    let (slot, grant) = match owned(deps, &drop, member).await? {
        Owned::Slot { slot, grant } => (slot, grant),
        Owned::Place { position } => return Ok(Some(MemberStanding::Waiting { position })),
        Owned::Lot { is_drawn: false } => return Ok(Some(MemberStanding::Registered)),
        Owned::Lot { is_drawn: true } => return Ok(Some(MemberStanding::NotDrawn)),
        Owned::Nothing => return Ok(None),
    };
    Ok(Some(match payment_of(deps, &grant).await? {
        GrantStatus::Voided => MemberStanding::Lost,
        payment => MemberStanding::Won { slot: slot_number(slot), payment },
    }))
}

/// What a member of a drop has.
#[derive(Debug)]
pub enum Owned {
    /// A slot, drawn or passed on.
    Slot {
        /// Its number, from 0.
        slot: u64,
        /// The duty to pay it.
        grant: Grant,
    },
    /// A place on the waiting list.
    Place {
        /// 1 for the next to get a slot.
        position: u64,
    },
    /// A lot, and neither slot nor place.
    Lot {
        /// Whether the lots were drawn, so that it stays so.
        is_drawn: bool,
    },
    /// Nothing: the member has not entered.
    Nothing,
}

/// What a member has, found by reads alone.
///
/// # Errors
/// [`PortError`].
pub async fn owned<D>(deps: &D, drop: &Drop, member: &UserId) -> PortResult<Owned>
where
    D: Pools + Clock,
{
    let (slot, grant) = match entry_of(deps, drop.pool(), drop.slots, member).await? {
        Sought::Entry(bucket, entry) => (bucket.part(entry.index), bucket.grant(member, entry)),
        Sought::Waits => return lot(deps, drop, member, false).await,
        // A member with a lot would have drawn here: the buckets before it on the walk are full.
        Sought::NotEntered => return Ok(Owned::Nothing),
        Sought::SoldOut => {
            // The shuffle has written all places: it writes them before the slots.
            let list = read_list(deps, drop).await?;
            match list.standing(member) {
                None => return lot(deps, drop, member, true).await,
                Some(Listed::Waiting { position }) => return Ok(Owned::Place { position }),
                Some(Listed::Promoted { slot }) => {
                    (slot, promoted_grant(deps, drop, &list, member).await?)
                }
            }
        }
    };
    let worthless = PortError::corrupt("read entry: the slot is worth nothing");
    Ok(Owned::Slot { slot, grant: grant.ok_or(worthless)? })
}

/// The lot of a member without slot and place.
async fn lot<D: Pools>(
    deps: &D,
    drop: &Drop,
    member: &UserId,
    is_drawn: bool,
) -> PortResult<Owned> {
    Ok(match entry_of(deps, drop.lots(), drop.lots_max(), member).await? {
        Sought::Entry(..) => Owned::Lot { is_drawn },
        Sought::Waits | Sought::NotEntered | Sought::SoldOut => Owned::Nothing,
    })
}

/// What a walk over a pool has found.
#[derive(Debug)]
pub(super) enum Sought {
    /// The bucket with the member's entry.
    Entry(Box<Bucket>, Entry),
    /// A bucket that waits for the shuffle comes first.
    Waits,
    /// A bucket that is not full comes first: the member has no part.
    NotEntered,
    /// All buckets are full, none with an entry of the member.
    SoldOut,
}

/// Buckets that the first step of a walk reads; each further step reads twice as many, up to a batch
/// (Amazon DynamoDB Developer Guide, `BatchGetItem`: 100 keys).
const STEP_MIN: usize = 1;
const STEP_MAX: usize = 100;

/// Looks for a member's part by reads alone, in the order in which the member drew.
///
/// # Errors
/// [`PortError`].
pub(super) async fn entry_of<D: Pools>(
    deps: &D,
    pool: PoolId,
    parts: u32,
    member: &UserId,
) -> PortResult<Sought> {
    let walk: Vec<u32> = Walk::new(&pool, member, bucket_count(parts)).collect();
    let (mut rest, mut step) = (walk.as_slice(), STEP_MIN);
    while !rest.is_empty() {
        let (some, behind) = rest.split_at(step.min(rest.len()));
        let full = |n: &u32| deps.full_bucket(BucketId { pool, number: *n });
        let unknown: Vec<u32> = some.iter().copied().filter(|n| full(n).is_none()).collect();
        let read =
            if unknown.is_empty() { Vec::new() } else { deps.buckets(pool, &unknown).await? };
        for number in some {
            let known = full(number).map(|bucket| (*bucket).clone());
            let fresh = || read.iter().find(|bucket| bucket.id.number == *number).cloned();
            let missing = PortError::corrupt("read entry: a bucket of the drop is missing");
            let bucket = known.or_else(fresh).ok_or(missing)?;
            if let Some(entry) = bucket.draws.get(member).copied() {
                return Ok(Sought::Entry(Box::new(bucket), entry));
            }
            if bucket.status == BucketStatus::Awaiting {
                return Ok(Sought::Waits);
            }
            if !bucket.is_full() {
                return Ok(Sought::NotEntered);
            }
        }
        (rest, step) = (behind, step.saturating_mul(4).min(STEP_MAX));
    }
    Ok(Sought::SoldOut)
}

/// The grant of a member who was given a slot from the list.
async fn promoted_grant<D: Pools + Clock>(
    deps: &D,
    drop: &Drop,
    list: &WaitingList,
    member: &UserId,
) -> PortResult<Option<Grant>> {
    let place = list.promoted().find(|place| place.member == *member);
    let Some(place) = place else { return Ok(None) };
    let id = drop.promotion(place, deps.now()).id;
    let bucket = deps.buckets(id.pool, &[id.number]).await?.into_iter().next();
    let missing = PortError::corrupt("read entry: the bucket of a promotion is missing");
    let bucket = bucket.ok_or(missing)?;
    Ok(bucket.draws.get(member).and_then(|entry| bucket.grant(member, *entry)))
}

/// Where one payment stands. The money service has the last word.
async fn payment_of<D: Money + Grants>(deps: &D, grant: &Grant) -> PortResult<GrantStatus> {
    let standing = deps.lookup(std::slice::from_ref(grant)).await?.first().copied();
    Ok(match standing {
        Some(Standing::Paid) => GrantStatus::Success,
        Some(Standing::Voided) => GrantStatus::Voided,
        Some(Standing::Unknown) | None => GrantStatus::Pending,
        Some(Standing::NotPaid) => {
            let failed = deps.failed_grant(grant.source, &grant.member).await?;
            let failed = failed.filter(|failed| failed.grant.id == grant.id);
            failed.map_or(GrantStatus::Pending, |failed| failed.status)
        }
    })
}
