//! A member of the room takes one share, once.
//!
//! Token and membership are read at the same time; then one conditional write draws, and the claim
//! is decided. A crash before the write leaves nothing behind; a crash after it leaves the entry,
//! which the outbox sends to be paid. A claim takes no idempotency key: the member is the key.

use largesse_domain::id::{PoolId, RoomId, Token, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Draw, Nonce};
use largesse_domain::spray::{ClaimBarred, may_claim};

use crate::pool::draw::{NotWon, draw};
use crate::ports::{Clock, Pools, PortError, Rng, Rooms, Sprays, Won};

/// A request to claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// In which room.
    pub room: RoomId,
    /// Under which token.
    pub token: Token,
    /// Who claims.
    pub member: UserId,
}

/// Why a claim did not win, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
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
    D: Sprays + Rooms + Pools + Clock + Rng,
{
    let member = deps.is_member(request.room, &request.member);
    let entry = deps.token_entry(request.token);
    let (is_member, entry) = futures::future::try_join(member, entry).await?;
    let now = deps.now();
    let spray = may_claim(is_member, entry.as_ref(), request.room, &request.member, now)?;
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
