//! Creations: sprays, drops, products, campaigns and rooms use a part of the budgets of the member and
//! of the owner, API keys of the owner's alone, since an operator makes them for no member.
//!
//! The member's budget is counted one by one, so a member gets all of it through any processes. The
//! owner's is leased in blocks, since many members share it: a process leases as many as it has used,
//! so the owner gets at least half of it, and never more than all.
//!
//! # Guarantees
//! * No window has more creations than either budget, over any number of processes:
//!   `sixteen_processes_create_exactly_what_a_member_may`,
//!   `sixteen_processes_create_at_most_what_an_owner_may_and_at_least_half`.

use largesse_domain::budget::{Budget, Spending, Subject, window_at};
use largesse_domain::id::UserId;
use largesse_domain::time::Timestamp;

use super::{Limit, UsedUp};
use crate::ports::{Budgets, Clock, PortResult, Spent};

/// How many creations a window admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreationLimits {
    /// By one member.
    pub member: u32,
    /// By all members that one owner of API keys acts for.
    pub owner: u32,
}

impl CreationLimits {
    /// No limit.
    pub const NONE: Self = Self { member: u32::MAX, owner: u32::MAX };
}

/// What a member has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// How many more the window admits.
    pub left: u32,
    /// How many it admits in all.
    pub max: u32,
    /// How long it lasts from now on, in milliseconds.
    pub wait_ms: u64,
}

/// Counts one creation, before it is tried: one that is refused afterwards counts too.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn admit<D: Budgets + Clock>(
    deps: &D,
    owner: &str,
    member: &UserId,
    limits: CreationLimits,
) -> PortResult<Result<Left, UsedUp>> {
    let now = deps.now();
    let limit = |subject, max| Limit::of(Spending::Creation, subject, max);
    let own = limit(Subject::Member(member.clone()), limits.member);
    let owners = limit(Subject::Owner(owner.to_owned()), limits.owner);
    for limit in [&own, &owners] {
        // Nothing is given back: what is used up stays so, and a caller who goes on costs no write.
        if deps.known_used(&limit.id, now).is_some_and(|used| used >= limit.max) {
            return Ok(Err(limit.used_up(now)));
        }
    }
    // The member's first: a member who is refused uses nothing of the owner's.
    let used = match deps.spend(&own.id, 1, own.max, now).await? {
        Spent::Done { used } => used,
        Spent::Refused { .. } => {
            deps.remember_used(&own.id, own.max, window_at(now).closes);
            return Ok(Err(own.used_up(now)));
        }
    };
    if let Err(used_up) = spend_owners(deps, &owners, now).await? {
        return Ok(Err(used_up));
    }
    let left = Budget { used, max: own.max }.left();
    let wait_ms = window_at(now).closes.ms_since(now);
    Ok(Ok(Left { left, max: own.max, wait_ms }))
}

/// Counts one creation of an owner that is for no member, before it is tried.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn admit_owner<D: Budgets + Clock>(
    deps: &D,
    owner: &str,
    max: u32,
) -> PortResult<Result<(), UsedUp>> {
    let now = deps.now();
    let owners = Limit::of(Spending::Creation, Subject::Owner(owner.to_owned()), max);
    if deps.known_used(&owners.id, now).is_some_and(|used| used >= max) {
        return Ok(Err(owners.used_up(now)));
    }
    spend_owners(deps, &owners, now).await
}

async fn spend_owners<D: Budgets>(
    deps: &D,
    owners: &Limit,
    now: Timestamp,
) -> PortResult<Result<(), UsedUp>> {
    if deps.spend_leased(&owners.id, owners.max, now).await? {
        return Ok(Ok(()));
    }
    deps.remember_used(&owners.id, owners.max, window_at(now).closes);
    Ok(Err(owners.used_up(now)))
}
