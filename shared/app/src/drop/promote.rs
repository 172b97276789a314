//! A slot whose payment failed for good goes to the earliest on the waiting list.
//!
//! One transaction voids the grant and gives the slot to the member of a place, by an entry in a
//! bucket of its own. From there on it is an entry like any other: the outbox sends it, the sweep
//! watches over it, and if its payment fails for good too, the slot is passed on again.
//!
//! # Guarantees
//! * The list is served oldest first, also by many at once:
//!   `slots_that_come_back_go_to_the_oldest_one_at_a_time_and_together`.
//! * Killed at every step, no slot is lost, has two owners, or goes to a member twice:
//!   `a_promotion_that_is_killed_at_any_step_loses_no_slot`.

use largesse_domain::drop::{Drop, WaitingList};
use largesse_domain::grant::{FailedGrant, GrantStatus};
use largesse_domain::id::PoolId;

use super::read::read_list;
use super::standing::{Sought, entry_of};
use crate::ports::{Clock, Drops, Pools, PortError, PortResult, Promoted, Promotions};

/// How long after a grant was given up no call of it is under way any more, with a service that is not
/// the ledger: twice the `Timeout` of grant-pay (template.yaml), which reads the grant before each call.
pub const CALLS_END_MS: u64 = 60_000;

/// What became of the slot of a grant that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassedOn {
    /// It went to a member of the list, by this call.
    Now,
    /// The grant is no longer given up, or it is none of a drop.
    NotGivenUp,
    /// Nobody waits: an operator decides.
    NobodyWaits,
}

/// Passes the slot of a grant that was given up on to the earliest who waits.
///
/// # Errors
/// [`PortError`]; the grant is still given up, and the next call tries again.
pub async fn pass_on<D>(deps: &D, given_up: &FailedGrant) -> PortResult<PassedOn>
where
    D: Drops + Pools + Promotions + Clock,
{
    let PoolId::Drop(id) = given_up.grant.source else { return Ok(PassedOn::NotGivenUp) };
    if given_up.status != GrantStatus::PermanentlyFailed {
        return Ok(PassedOn::NotGivenUp);
    }
    let Some(drop) = deps.drop_terms(id).await? else {
        return Err(PortError::corrupt("pass on slot: there is no such drop"));
    };
    if drop.waiting == 0 {
        return Ok(PassedOn::NobodyWaits);
    }
    let list = read_list(deps, &drop).await?;
    if list.waiting() == 0 {
        return Ok(PassedOn::NobodyWaits);
    }
    let slot = slot_of(deps, &drop, &list, given_up).await?;
    for place in list.candidates() {
        match deps.promote(&drop, given_up, slot, place, deps.now()).await? {
            Promoted::Now => return Ok(PassedOn::Now),
            Promoted::NotGivenUp => return Ok(PassedOn::NotGivenUp),
            // Another slot went to this member since the list was read.
            Promoted::PlaceTaken => {}
        }
    }
    Ok(PassedOn::NobodyWaits)
}

/// The number of the slot, from 0: the member drew it, or it was passed on to them before.
async fn slot_of<D: Pools>(
    deps: &D,
    drop: &Drop,
    list: &WaitingList,
    given_up: &FailedGrant,
) -> PortResult<u64> {
    let member = &given_up.grant.member;
    if let Some(slot) = list.promoted().find(|p| p.member == *member).and_then(|p| p.slot) {
        return Ok(slot);
    }
    match entry_of(deps, drop.pool(), drop.slots, member).await? {
        Sought::Entry(bucket, entry) => Ok(bucket.part(entry.index)),
        // The member's bucket is written, and one before it on the walk is not yet.
        Sought::Waits => Err(PortError::contended("pass on slot: the lots are being drawn")),
        Sought::NotEntered | Sought::SoldOut => {
            Err(PortError::corrupt("pass on slot: the grant has no entry"))
        }
    }
}
