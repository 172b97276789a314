//! Guessing tokens: each miss uses a part of the budgets of the member, the room and the owner.
//!
//! A miss is a token that stands for no spray, or for one that the caller may not see. Only a miss is
//! written down; a hit costs no write. A subject whose budget is used up gets the same refusal for
//! every token, so it learns nothing from a hit either: the budgets are read side by side with the
//! token.
//!
//! # What a guesser learns all the same
//! * Requests that are under way together: those that read the budgets before the last miss of the
//!   budget is written. Their misses count and get no more answers than the budget has; a hit among
//!   them is answered. They are at most as many as run at once.
//! * A token that a process remembers is answered without a read of the budgets. A process that does
//!   not know that a member is barred learns it from the member's first guess that it does not
//!   remember, and then refuses this member every token.
//! * For a second after the budget of a room or an owner is used up, a process that read it before may
//!   answer hits. The member's own budget holds meanwhile.
//!
//! docs/limits.md has the figures.
//!
//! # Guarantees
//! * No window answers more misses than the budget, over any number of processes:
//!   `sixteen_processes_answer_no_more_misses_than_the_budget`.
//! * A member who used up the budget gets no answer to a valid token:
//!   `a_member_who_guessed_too_often_is_refused_a_valid_token_by_every_process`.
//! * A claim that hits writes nothing of this: `a_claim_that_hits_writes_no_budget`.

use futures::future::{try_join, try_join_all};
use largesse_domain::budget::{Budget, Spending, Subject, window_at};
use largesse_domain::id::{RoomId, Token, UserId};
use largesse_domain::spray::TokenEntry;
use largesse_domain::time::Timestamp;

use super::{Limit, UsedUp};
use crate::ports::{Budgets, PortResult, Spent, Sprays};

/// How long a process goes by what it read of the budget of a room or an owner, in milliseconds. Each
/// is read by all members' requests, and one item takes 3,000 reads a second.
const SHARED_CACHE_MS: u64 = 1_000;

/// How many misses a window answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissLimits {
    /// To one member.
    pub member: u32,
    /// To all members of one room.
    pub room: u32,
    /// To all members that one owner of API keys acts for.
    pub owner: u32,
}

impl MissLimits {
    /// No limit.
    pub const NONE: Self = Self { member: u32::MAX, room: u32::MAX, owner: u32::MAX };
}

/// Whose misses count, beside those of member and room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misses {
    /// The owner of the API key.
    pub owner: String,
    /// How many there may be.
    pub limits: MissLimits,
}

impl Misses {
    /// No limit.
    pub const NONE: Self = Self { owner: String::new(), limits: MissLimits::NONE };

    /// The budgets of a guess, the member's first. `room` is one that the caller is in, or claims to
    /// be in.
    #[must_use]
    pub fn budgets(&self, member: &UserId, room: Option<RoomId>) -> Vec<Limit> {
        let limit = |subject, max| Limit::of(Spending::TokenMiss, subject, max);
        let MissLimits { member: of_member, room: of_room, owner: of_owner } = self.limits;
        let room = room.map(|room| limit(Subject::Room(room), of_room));
        let own = limit(Subject::Member(member.clone()), of_member);
        let owner = limit(Subject::Owner(self.owner.clone()), of_owner);
        [own, owner].into_iter().chain(room).collect()
    }
}

/// What the token stands for, and the first budget that is used up: then no caller may be told the
/// former. `budgets` begins with the member's.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn guess<D: Sprays + Budgets>(
    deps: &D,
    token: Token,
    budgets: &[Limit],
    now: Timestamp,
) -> PortResult<(Option<TokenEntry>, Option<UsedUp>)> {
    if let Some(entry) = deps.known_token(token) {
        // No read, and the room's budget does not count: an attack on a room does not keep its
        // members from a spray that this process knows.
        return Ok((Some(entry), barred(deps, budgets, now)));
    }
    if let Some(used_up) = known_used_up(deps, budgets, now) {
        return Ok((None, Some(used_up)));
    }
    try_join(deps.token_entry(token), used_up(deps, budgets, now)).await
}

/// The member's budget, when this process knows that it is used up. `budgets` begins with it.
pub fn barred<D: Budgets>(deps: &D, budgets: &[Limit], now: Timestamp) -> Option<UsedUp> {
    known_used_up(deps, budgets.get(..1).unwrap_or_default(), now)
}

/// The first of the budgets that is used up.
async fn used_up<D: Budgets>(
    deps: &D,
    budgets: &[Limit],
    now: Timestamp,
) -> PortResult<Option<UsedUp>> {
    let unknown = budgets.iter().filter(|limit| deps.known_used(&limit.id, now).is_none());
    let unknown: Vec<&Limit> = unknown.collect();
    let ids: Vec<_> = unknown.iter().map(|limit| limit.id.clone()).collect();
    if ids.is_empty() {
        return Ok(None);
    }
    let used = deps.used(&ids, now).await?;
    let mut found = None;
    for (limit, used) in unknown.into_iter().zip(used) {
        remember(deps, limit, used, now);
        if used >= limit.max && found.is_none() {
            found = Some(limit.used_up(now));
        }
    }
    Ok(found)
}

/// The first of the budgets that this process knows to be used up.
fn known_used_up<D: Budgets>(deps: &D, budgets: &[Limit], now: Timestamp) -> Option<UsedUp> {
    let is_used_up =
        |limit: &&Limit| deps.known_used(&limit.id, now).is_some_and(|used| used >= limit.max);
    budgets.iter().find(is_used_up).map(|limit| limit.used_up(now))
}

/// Counts a miss: of the member, and then of the others, so that a member who is refused uses nothing
/// of theirs. It may be answered unless one of them is used up.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn count<D: Budgets>(
    deps: &D,
    budgets: &[Limit],
    now: Timestamp,
) -> PortResult<Option<UsedUp>> {
    let (own, shared) = budgets.split_at(budgets.len().min(1));
    for limits in [own, shared] {
        let spent = try_join_all(limits.iter().map(|limit| spend(deps, limit, now))).await?;
        if let Some(used_up) = spent.into_iter().flatten().next() {
            return Ok(Some(used_up));
        }
    }
    Ok(None)
}

async fn spend<D: Budgets>(deps: &D, limit: &Limit, now: Timestamp) -> PortResult<Option<UsedUp>> {
    match deps.spend(&limit.id, 1, limit.max, now).await? {
        Spent::Done { used } => {
            remember(deps, limit, used, now);
            Ok(None)
        }
        Spent::Refused { used } => {
            // A limit that was lowered is reached by what was used before.
            remember(deps, limit, used.max(limit.max), now);
            Ok(Some(limit.used_up(now)))
        }
    }
}

/// Remembers a budget that is used up until the window ends, since nothing is given back. Of the
/// others, those that many callers share are remembered for a moment.
fn remember<D: Budgets>(deps: &D, limit: &Limit, used: u32, now: Timestamp) {
    let closes = window_at(now).closes;
    let budget = Budget { used, max: limit.max };
    if budget.left() == 0 {
        deps.remember_used(&limit.id, used, closes);
    } else if !matches!(limit.id.subject, Subject::Member(_)) {
        deps.remember_used(&limit.id, used, now.plus_ms(SHARED_CACHE_MS).min(closes));
    }
}
