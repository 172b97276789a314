//! The lots of a drop are drawn: the members who entered in its first seconds get slots and places in the
//! order of their ranks.
//!
//! Three steps, in this order:
//! 1. The buckets of lots are closed, as those of a drop that is over. From then on no lot is added,
//!    whatever the clock of a slow process says, and all lots are read.
//! 2. What each lot gets is computed ([`Drop::shuffled`]) and written, one write for each bucket: first the
//!    places, so that the waiting list is whole before the first slot is paid and may be passed on; then
//!    the slots. A bucket waits until its own write, and takes no draw before.
//! 3. The drop is marked. It is due again when it closes.
//!
//! All runs compute the same, and each write happens once. So a run that ends in between is resumed by the
//! next one, and two runs at once do no harm.
//!
//! # Guarantees
//! * A run that ends anywhere is resumed, and each slot is given once:
//!   `a_shuffle_that_is_killed_at_any_await_is_finished_by_the_next_run`,
//!   `a_shuffle_survives_the_loss_of_any_reply`.
//! * Members who enter after the lots take nothing from a lot, also while the lots are drawn:
//!   `a_crowd_of_lots_and_of_late_members_gets_every_slot_and_place_once`.
//! * A drop whose lots were not drawn before it closes is drawn first:
//!   `a_drop_that_was_not_drawn_in_time_is_drawn_and_then_closed`.

use largesse_domain::drop::{Drawn, Drop, Shuffled};
use largesse_domain::id::{PoolId, UserId};
use largesse_domain::pool::{Bucket, BucketStatus};
use largesse_domain::time::Timestamp;

use super::close::close_buckets;
use crate::pool::read::buckets;
use crate::ports::{DropsClosed, Pools, PortError, PortResult, Shuffles};

/// Draws the lots of a drop whose time for lots is over.
///
/// # Errors
/// [`PortError`]; the drop is still in the index, and the next run goes on.
pub(super) async fn shuffle<D>(deps: &D, drop: &Drop, now: Timestamp) -> PortResult<()>
where
    D: DropsClosed + Shuffles + Pools,
{
    let lots = close_buckets(deps, drop.lots(), drop.lots_max(), now).await?;
    let members: Vec<UserId> = lots.into_iter().flat_map(|lots| lots.draws.into_keys()).collect();
    let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let without = PortError::corrupt("shuffle drop: it has no shuffle");
    let Shuffled { slots, places } = drop.shuffled(members).ok_or(without)?;
    place(deps, drop.list(), drop.waiting, places, now).await?;
    place(deps, drop.pool(), drop.slots, slots, now).await?;
    deps.mark_drawn(drop, Drawn { at: now, lots: count }).await?;
    tracing::info!(drop.id = %drop.id, drop.lots = count, "the lots are drawn");
    Ok(())
}

/// Writes the buckets of a pool that still wait.
async fn place<D: Shuffles + Pools>(
    deps: &D,
    pool: PoolId,
    parts: u32,
    mut placed: Vec<Bucket>,
    now: Timestamp,
) -> PortResult<()> {
    let stored = buckets(deps, pool, parts).await?;
    // Both are in the order of their numbers, and whole.
    let mut stored = stored.iter();
    placed.retain(|_| stored.next().is_some_and(|b| b.status == BucketStatus::Awaiting));
    deps.place_lots(&placed, now).await
}
