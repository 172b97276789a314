//! A member of the room takes one share, once.
//!
//! Token, membership and the budgets of guesses are read at the same time; then one conditional write draws, and the claim
//! is decided. A crash before the write leaves nothing behind; a crash after it leaves the entry,
//! which the outbox sends to be paid. A claim takes no idempotency key: the member is the key.

use largesse_domain::id::{PoolId, RoomId, Token, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Draw, Nonce};
use largesse_domain::spray::{ClaimBarred, may_claim};

use crate::budget::miss::{self, Misses};
use crate::budget::{Scope, UsedUp};
use crate::pool::draw::{NotWon, draw};
use crate::ports::{Budgets, Clock, Pools, PortError, Rng, Rooms, Sprays, Won};

/// A request to claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// In which room.
    pub room: RoomId,
    /// Under which token.
    pub token: Token,
    /// Who claims.
    pub member: UserId,
    /// How many misses there may be.
    pub misses: Misses,
}

/// Why a claim did not win, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Too many tokens were guessed. A room's budget bars only those who are in it.
    #[error(transparent)]
    TooManyMisses(#[from] UsedUp),
    /// The caller is not in the room.
    #[error("the caller is not a member of the room")]
    NotAMember,
    /// No live spray of this room carries the token.
    #[error("no spray of this room carries the token")]
    NoSuchToken,
    /// The caller sprayed it.
    #[error("one does not claim one's own spray")]
    OwnSpray,
    /// The window is over.
    #[error("the spray is over")]
    WindowOver,
    /// The member has claimed.
    #[error("the member has claimed {amount}")]
    Already {
        /// The share they got.
        amount: Amount,
    },
    /// All shares are taken.
    #[error("all shares are taken")]
    Exhausted,
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<ClaimBarred> for ClaimError {
    fn from(barred: ClaimBarred) -> Self {
        match barred {
            ClaimBarred::NotAMember => Self::NotAMember,
            ClaimBarred::NoSuchToken => Self::NoSuchToken,
            ClaimBarred::OwnSpray => Self::OwnSpray,
            ClaimBarred::WindowOver => Self::WindowOver,
        }
    }
}

/// Claims one share.
///
/// # Errors
/// [`ClaimError`], the first in its order.
pub async fn claim<D>(deps: &D, request: &Claim) -> Result<Amount, ClaimError>
where
    D: Sprays + Rooms + Pools + Budgets + Clock + Rng,
{
    let now = deps.now();
    let budgets = request.misses.budgets(&request.member, Some(request.room));
    if let Some(used_up) = miss::barred(deps, &budgets, now) {
        return Err(used_up.into());
    }
    let is_member = deps.is_member(request.room, &request.member);
    let guess = miss::guess(deps, request.token, &budgets, now);
    let (is_member, (entry, used_up)) = futures::future::try_join(is_member, guess).await?;
    match used_up {
        // To a caller who is not in the room, its budget says nothing.
        Some(used_up) if is_member || used_up.scope != Scope::Room => return Err(used_up.into()),
        _ => {}
    }
    let now = deps.now();
    let spray = match may_claim(is_member, entry.as_ref(), request.room, &request.member, now) {
        Ok(spray) => spray,
        Err(ClaimBarred::NoSuchToken) => {
            let used_up = miss::count(deps, &budgets, now).await?;
            return Err(used_up.map_or(ClaimError::NoSuchToken, ClaimError::TooManyMisses));
        }
        Err(barred) => return Err(barred.into()),
    };
    let Some(entry) = entry else { return Err(ClaimError::NoSuchToken) };
    let mut bits = [0; 8];
    deps.fill(&mut bits);
    let request = Draw {
        member: request.member.clone(),
        // A spray is open from its creation: only a clock that is behind the creator's reads an
        // earlier time.
        at: now.max(entry.window.opens),
        nonce: Nonce::from_bits(u64::from_be_bytes(bits)),
    };
    match draw(deps, PoolId::Spray(spray), entry.recipients, &request).await? {
        Ok(won) => amount_of(won),
        Err(NotWon::Already(won)) => Err(ClaimError::Already { amount: amount_of(won)? }),
        Err(NotWon::SoldOut) => Err(ClaimError::Exhausted),
        Err(NotWon::Ahead | NotWon::Over) => Err(ClaimError::WindowOver),
        Err(NotWon::NoSuchPool) => Err(ClaimError::NoSuchToken),
    }
}

fn amount_of(won: Won) -> Result<Amount, ClaimError> {
    won.amount.ok_or(ClaimError::Port(PortError::corrupt("claim: the share is worth nothing")))
}
