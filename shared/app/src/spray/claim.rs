//! A member of the room takes one share, once.
//!
//! The order of steps, and what a crash leaves behind at each:
//! 1. Token and membership are read, at the same time. Nothing has changed.
//! 2. Only in a pool too large to keep all its notes: the member's record is read, which answers
//!    repeats. A pool of at most [`pool::PENDING_MAX`] shares is not trimmed while it is open, so
//!    its head knows everybody who drew (ADR 0001).
//! 3. One conditional write draws. A crash after it leaves a pending note, which the sweep settles.
//! 4. The draw is settled: its record is put, which the outbox sends to be paid. Only then the
//!    member is answered, since a record of another draw means that this one must not count.

use largesse_domain::grant::Grant;
use largesse_domain::id::{PoolId, RoomId, Token, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::{self, Ask, Attempt, Draw, Drawn};
use largesse_domain::spray::{ClaimBarred, TokenEntry, may_claim};

use crate::grant::settle::{self, Settled};
use crate::ports::{
    Clock, Grants, NotWon, Pause, Pools, PortError, PortErrorKind, Rng, Rooms, Sprays,
};

/// How often a crowded pool is helped and asked again.
const CROWDED_TRIES_MAX: u32 = 8;
/// The longest wait before the first help. It doubles each time and a random part of it is waited
/// ("full jitter": AWS Architecture Blog, "Exponential Backoff And Jitter").
const CROWDED_WAIT_MS_FIRST: u32 = 128;
const CROWDED_WAIT_MS_MAX: u32 = 512;

/// A wish to claim.
#[derive(Clone, Debug)]
pub struct Claim {
    /// In which room.
    pub room: RoomId,
    /// Under which token.
    pub token: Token,
    /// Who claims.
    pub member: UserId,
    /// What every repeat of the same call carries and no other call does; `None` for a call that
    /// cannot be told from another one of the same member.
    pub key: Option<Attempt>,
}

/// A claim that won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The share.
    pub amount: Amount,
    /// Whether an earlier run of this very call had won it.
    pub replayed: bool,
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
pub async fn claim<D>(deps: &D, mut wish: Claim) -> Result<Claimed, ClaimError>
where
    D: Sprays + Rooms + Pools + Grants + Clock + Rng + Pause,
{
    let member = deps.is_member(wish.room, &wish.member);
    let entry = deps.token_entry(wish.token);
    let (is_member, entry) = futures::future::try_join(member, entry).await?;
    let now = deps.now();
    let spray = match may_claim(is_member, entry.as_ref(), wish.room, &wish.member, now) {
        Ok(spray) => spray,
        Err(barred) => return earlier(deps, &wish, entry.as_ref(), barred.into()).await,
    };
    let Some(entry) = entry else { return Err(ClaimError::NoSuchToken) };
    let attempt = wish.key.unwrap_or_else(|| random(deps));
    // A call without a key is never repeated, but its own write may be, after a lost answer.
    let is_keyed = wish.key.replace(attempt).is_some();
    let pool_id = PoolId::Spray(spray);
    let keeps_notes = pool::keeps_notes(entry.recipients);
    if !keeps_notes && let Some(record) = deps.grant(pool_id, &wish.member).await? {
        return answer_repeat(record.amount, record.drawn, attempt);
    }
    // A spray is open from when it was made: before that only a clock is that is behind its
    // maker's.
    let at = now.max(entry.window.opens);
    let draw = Draw { member: wish.member.clone(), at, attempt, ask: Ask::Next };
    let sender = entry.sender.clone();
    let claimed = match draw_and_settle(deps, pool_id, draw, sender, keeps_notes).await {
        Err(over @ ClaimError::WindowOver) => earlier(deps, &wish, Some(&entry), over).await,
        other => other,
    }?;
    Ok(Claimed { replayed: claimed.replayed && is_keyed, ..claimed })
}

/// The attempt of a call without a key.
fn random<D: Rng>(deps: &D) -> Attempt {
    let mut bits = [0; 8];
    deps.fill(&mut bits);
    Attempt::from_bits(u64::from_be_bytes(bits))
}

/// A repeat of a call that has won gets its answer, whatever has changed since: the window may be
/// over, the member may have left. Whoever has not won by this very key hears the refusal.
async fn earlier<D: Pools + Grants>(
    deps: &D,
    wish: &Claim,
    entry: Option<&TokenEntry>,
    refusal: ClaimError,
) -> Result<Claimed, ClaimError> {
    let entry = entry.filter(|entry| entry.room == wish.room);
    let (Some(key), Some(entry)) = (wish.key, entry) else { return Err(refusal) };
    let pool = PoolId::Spray(entry.spray);
    if let Some(record) = deps.grant(pool, &wish.member).await? {
        let is_ours = record.drawn.attempt == key;
        return if is_ours {
            answer_repeat(record.amount, record.drawn, key)
        } else {
            Err(refusal)
        };
    }
    let Some(head) = deps.pool(pool).await? else { return Err(refusal) };
    let note = head.pending.get(&wish.member).filter(|drawn| drawn.attempt == key);
    let Some(drawn) = note.copied() else { return Err(refusal) };
    // The first run drew, and was lost before the record.
    let amount = head.supply.worth(drawn.part).ok_or_else(PortError::unreadable_part)?;
    let grant = Grant::of_draw(pool, wish.member.clone(), drawn, amount, entry.sender.clone());
    match settle::settle(deps, &grant).await? {
        Settled::Recorded => answer_repeat(amount, drawn, key),
        Settled::Released(earlier) => answer_repeat(earlier.amount, earlier.drawn, key),
    }
}

/// A member who has a share is told so; a repeat of the very same call gets its answer again.
fn answer_repeat(amount: Amount, earlier: Drawn, attempt: Attempt) -> Result<Claimed, ClaimError> {
    if earlier.attempt == attempt {
        Ok(Claimed { amount, replayed: true })
    } else {
        Err(ClaimError::Already { amount })
    }
}

async fn draw_and_settle<D>(
    deps: &D,
    pool_id: PoolId,
    draw: Draw,
    sender: UserId,
    keeps_notes: bool,
) -> Result<Claimed, ClaimError>
where
    D: Pools + Grants + Rng + Pause,
{
    let mut wait_ms = CROWDED_WAIT_MS_FIRST;
    for _ in 0..CROWDED_TRIES_MAX {
        let (won, replayed) = match deps.draw(pool_id, draw.clone()).await? {
            Ok(won) => (won, false),
            Err(NotWon::Already(won)) if keeps_notes && won.drawn.attempt != draw.attempt => {
                return Err(ClaimError::Already { amount: won.amount });
            }
            // Our own note: the first run drew and was lost before its answer. Or another call's,
            // in a pool that is trimmed: it may have raced a trim and be given back, so that only
            // the record says what the member has. Either way, settle it again.
            Err(NotWon::Already(won)) => (won, true),
            // Whoever finds nothing left is not refused while a draw that must not count may come
            // back.
            Err(NotWon::Crowded | NotWon::Unsettled) => {
                // Those who are refused at the same moment do not all help: the first to wake
                // does.
                deps.pause_ms(deps.below(wait_ms).into()).await;
                wait_ms = wait_ms.saturating_mul(2).min(CROWDED_WAIT_MS_MAX);
                settle::help(deps, pool_id, &sender, pool::PENDING_MAX).await?;
                continue;
            }
            Err(NotWon::Exhausted | NotWon::AboveRemaining { .. }) => {
                return exhausted(deps, pool_id, &draw, keeps_notes).await;
            }
            Err(NotWon::Ahead | NotWon::Over) => return Err(ClaimError::WindowOver),
            Err(NotWon::NoSuchPool) => return Err(ClaimError::NoSuchToken),
        };
        let member = draw.member.clone();
        let grant = Grant::of_draw(pool_id, member, won.drawn, won.amount, sender.clone());
        return match settle::settle(deps, &grant).await? {
            Settled::Recorded if replayed => answer_repeat(won.amount, won.drawn, draw.attempt),
            Settled::Recorded => {
                if deps.take_turn_to_help(pool_id) {
                    // The member has their share. Housekeeping that fails here is the sweep's.
                    drop(settle::help(deps, pool_id, &sender, pool::PENDING_HELP).await);
                }
                Ok(Claimed { amount: won.amount, replayed })
            }
            Settled::Released(earlier) => {
                answer_repeat(earlier.amount, earlier.drawn, draw.attempt)
            }
        };
    }
    let kind = PortErrorKind::Contended;
    Err(PortError { operation: "claim: the pool stays crowded", kind, cause: None }.into())
}

/// Nothing is left. In a pool that is trimmed, the member may hold a share whose note is gone:
/// drawn by a call whose answer was lost, and recorded and trimmed by another process since.
async fn exhausted<D: Grants>(
    deps: &D,
    pool: PoolId,
    draw: &Draw,
    keeps_notes: bool,
) -> Result<Claimed, ClaimError> {
    if keeps_notes {
        return Err(ClaimError::Exhausted);
    }
    match deps.grant(pool, &draw.member).await? {
        Some(record) => answer_repeat(record.amount, record.drawn, draw.attempt),
        None => Err(ClaimError::Exhausted),
    }
}
