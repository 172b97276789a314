//! What a drop has given, and who waits.

use std::sync::Arc;

use largesse_domain::drop::{Drop, DropRecord, WaitingList};
use largesse_domain::id::DropId;
use largesse_domain::pool::{Bucket, bucket_count};
use largesse_domain::time::Timestamp;

use crate::page::{PAGE_LIMIT_MAX, Page};
use crate::pool::read::buckets;
use crate::ports::{Clock, DropCache, DropFigures, DropReads, Pools, PortResult};

/// How long what was read is remembered, at least.
const REMEMBER_MS_MIN: u64 = 1_000;
/// How long for each bucket, so that the reads of one process stay below 500 buckets a second.
const REMEMBER_MS_A_BUCKET: u64 = 2;

pub(crate) fn remember_until(now: Timestamp, buckets: u32) -> Timestamp {
    let ms = REMEMBER_MS_A_BUCKET.saturating_mul(buckets.into());
    now.plus_ms(ms.max(REMEMBER_MS_MIN))
}

/// The waiting list, as it was a moment ago.
///
/// # Errors
/// [`crate::ports::PortError`].
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
/// [`crate::ports::PortError`].
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
/// [`crate::ports::PortError`].
pub async fn detail<D>(deps: &D, id: DropId) -> PortResult<Option<DropDetail>>
where
    D: DropReads + Pools + DropCache + Clock,
{
    let Some(record) = deps.drop_record(id).await? else { return Ok(None) };
    let figures = figures(deps, &record).await?;
    let state = DropState::of(&record.drop, figures.taken, deps.now());
    Ok(Some(DropDetail { record, figures, state }))
}

async fn figures<D>(deps: &D, record: &DropRecord) -> PortResult<DropFigures>
where
    D: Pools + DropCache + Clock,
{
    let drop = &record.drop;
    if let Some(known) = deps.known_figures(drop.id) {
        return Ok(known);
    }
    let now = deps.now();
    // Lots that are drawn are counted on the drop.
    let lots_to_read = if record.drawn.is_some() { 0 } else { drop.lots_max() };
    let slots = buckets(deps, drop.pool(), drop.slots);
    let list = read_list(deps, drop);
    let lots = buckets(deps, drop.lots(), lots_to_read);
    let (mut counted, list, lots) = futures::future::try_join3(slots, list, lots).await?;
    let sum = |buckets: &[Bucket]| {
        buckets.iter().fold(0_u64, |sum, bucket| sum.saturating_add(bucket.taken.into()))
    };
    let taken = sum(&counted);
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
        lots: record.drawn.map_or_else(|| sum(&lots), |drawn| drawn.lots.into()),
    };
    let read = bucket_count(drop.slots).saturating_add(bucket_count(lots_to_read));
    let until = remember_until(now, read);
    deps.remember_figures(drop.id, figures, until);
    Ok(figures)
}

/// All drops, newest first.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn list<D: DropReads>(
    deps: &D,
    after: Option<DropId>,
    limit: u32,
) -> PortResult<Page<DropRecord, DropId>> {
    deps.list_drops(after, limit.clamp(1, PAGE_LIMIT_MAX)).await
}
