//! What a drop has given, and where a member of it stands.

use std::sync::Arc;

use largesse_domain::drop::{Drop, DropRecord, Listed, WaitingList};
use largesse_domain::grant::{Grant, GrantStatus};
use largesse_domain::id::{DropId, UserId};
use largesse_domain::pool::{Bucket, BucketId, Entry, Walk, bucket_count};
use largesse_domain::time::Timestamp;

use super::enter::slot_number;
use crate::page::{PAGE_LIMIT_MAX, Page};
use crate::pool::read::buckets;
use crate::ports::{
    Clock, DropCache, DropFigures, DropReads, Drops, Grants, Money, Pools, PortError, PortResult,
    Standing,
};

/// How long what was read is remembered, at least.
const REMEMBER_MS_MIN: u64 = 1_000;
/// How long for each bucket, so that the reads of one process stay below 500 buckets a second.
const REMEMBER_MS_A_BUCKET: u64 = 2;

fn remember_until(now: Timestamp, buckets: u32) -> Timestamp {
    let ms = REMEMBER_MS_A_BUCKET.saturating_mul(buckets.into());
    now.plus_ms(ms.max(REMEMBER_MS_MIN))
}

/// The waiting list, as it was a moment ago.
///
/// # Errors
/// [`PortError`].
pub async fn waiting_list<D>(deps: &D, drop: &Drop) -> PortResult<Arc<WaitingList>>
where
    D: Pools + DropCache + Clock,
{
    if let Some(known) = deps.known_list(drop.id) {
        return Ok(known);
    }
    let now = deps.now();
    let list = Arc::new(read_list(deps, drop).await?);
    let until = remember_until(now, bucket_count(drop.waiting));
    deps.remember_list(drop.id, list.clone(), until);
    Ok(list)
}

/// The waiting list, as it is.
///
/// # Errors
/// [`PortError`].
pub async fn read_list<D: Pools>(deps: &D, drop: &Drop) -> PortResult<WaitingList> {
    Ok(WaitingList::of(&buckets(deps, drop.list(), drop.waiting).await?))
}

/// Whether a drop can be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropState {
    /// It has not opened.
    Upcoming,
    /// It is open, and slots are left.
    Open,
    /// It is open, and every slot is taken.
    SoldOut,
    /// Its window is over.
    Closed,
}

impl DropState {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upcoming => "upcoming",
            Self::Open => "open",
            Self::SoldOut => "sold_out",
            Self::Closed => "closed",
        }
    }

    /// The state at that moment; `taken` slots are taken.
    #[must_use]
    pub fn of(drop: &Drop, taken: u64, now: Timestamp) -> Self {
        if drop.window.is_ahead(now) {
            Self::Upcoming
        } else if drop.window.is_over(now) {
            Self::Closed
        } else if taken >= u64::from(drop.slots) {
            Self::SoldOut
        } else {
            Self::Open
        }
    }
}

/// A drop, and what it has given.
#[derive(Clone, Debug)]
pub struct DropDetail {
    /// The drop, and what was returned.
    pub record: DropRecord,
    /// What it has given, as it was a moment ago.
    pub figures: DropFigures,
    /// Its state.
    pub state: DropState,
}

/// A drop, and what it has given; `None` when there is none.
///
/// # Errors
/// [`PortError`].
pub async fn detail<D>(deps: &D, id: DropId) -> PortResult<Option<DropDetail>>
where
    D: DropReads + Pools + DropCache + Clock,
{
    let Some(record) = deps.drop_record(id).await? else { return Ok(None) };
    let figures = figures(deps, &record.drop).await?;
    let state = DropState::of(&record.drop, figures.taken, deps.now());
    Ok(Some(DropDetail { record, figures, state }))
}

async fn figures<D>(deps: &D, drop: &Drop) -> PortResult<DropFigures>
where
    D: Pools + DropCache + Clock,
{
    if let Some(known) = deps.known_figures(drop.id) {
        return Ok(known);
    }
    let now = deps.now();
    let slots = buckets(deps, drop.pool(), drop.slots);
    let list = read_list(deps, drop);
    let (mut counted, list) = futures::future::try_join(slots, list).await?;
    let taken = counted.iter().fold(0_u64, |sum, bucket| sum.saturating_add(bucket.taken.into()));
    // The payments of slots that were passed on are counted in buckets of their own.
    let promotions = list.promoted().map(|place| drop.promotion(place, now).id.number);
    let promotions: Vec<u32> = promotions.collect();
    if !promotions.is_empty() {
        counted.extend(deps.buckets(drop.pool(), &promotions).await?);
    }
    let counts = || counted.iter().filter_map(|bucket| bucket.counts);
    let figures = DropFigures {
        taken,
        paid: counts().fold(0, |sum, counts| sum.saturating_add(counts.paid.into())),
        failed: counts().fold(0, |sum, counts| sum.saturating_add(counts.failed.into())),
        waiting: list.waiting(),
        counted_at: counts().map(|counts| counts.at).max(),
    };
    let until = remember_until(now, bucket_count(drop.slots));
    deps.remember_figures(drop.id, figures, until);
    Ok(figures)
}

/// All drops, newest first.
///
/// # Errors
/// [`PortError`].
pub async fn list<D: DropReads>(
    deps: &D,
    after: Option<DropId>,
    limit: u32,
) -> PortResult<Page<DropRecord, DropId>> {
    deps.list_drops(after, limit.clamp(1, PAGE_LIMIT_MAX)).await
}

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
    let (slot, grant) = match entry_of(deps, drop, member).await? {
        Sought::Entry(bucket, entry) => (bucket.part(entry.index), bucket.grant(member, entry)),
        Sought::NotEntered => return Ok(Owned::Nothing),
        Sought::SoldOut => {
            let list = read_list(deps, drop).await?;
            match list.standing(member) {
                None => return Ok(Owned::Nothing),
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

/// What a walk over the slots has found.
#[derive(Debug)]
pub(super) enum Sought {
    /// The bucket with the member's entry.
    Entry(Box<Bucket>, Entry),
    /// A bucket that is not full comes first: the member has neither slot nor place.
    NotEntered,
    /// All buckets are full, none with an entry of the member.
    SoldOut,
}

/// Buckets that the first step of a walk reads; each further step reads twice as many, up to a batch
/// (Amazon DynamoDB Developer Guide, `BatchGetItem`: 100 keys).
const STEP_MIN: usize = 1;
const STEP_MAX: usize = 100;

/// Looks for a member's slot by reads alone, in the order in which the member drew.
///
/// # Errors
/// [`PortError`].
pub(super) async fn entry_of<D: Pools>(
    deps: &D,
    drop: &Drop,
    member: &UserId,
) -> PortResult<Sought> {
    let pool = drop.pool();
    let walk: Vec<u32> = Walk::new(&pool, member, bucket_count(drop.slots)).collect();
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
