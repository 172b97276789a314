//! A member draws a part of a pool, once.
//!
//! The member's walk fixes the order of the buckets. A draw moves on only from a bucket that it has
//! seen full without an entry of the member, and a full bucket never changes. So a second request
//! of the same member meets the first one's entry, and *sold out* is true for ever.
//!
//! # Guarantees
//! * One write, and nothing before it, while the first bucket of the walk has room:
//!   `a_draw_is_one_write`.
//! * No member is told *sold out* while a part is left, and a pool that this process has seen sold out
//!   costs neither reads nor writes: `sold_out_is_said_only_when_true_and_then_costs_nothing`.

use largesse_domain::id::PoolId;
use largesse_domain::pool::{BucketId, Draw, DrawRefused, Walk, bucket_count};

use crate::ports::{NotDrawn, Pools, PortResult, Won};

/// Buckets read ahead at a time: a batch of reads holds 100 keys (Amazon DynamoDB Developer Guide,
/// `BatchGetItem`).
const READ_AHEAD: usize = 100;

/// Why a draw did not win, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWon {
    /// There is no such pool.
    NoSuchPool,
    /// The window has not opened.
    Ahead,
    /// The window is over.
    Over,
    /// Another request of the member drew before.
    Already(Won),
    /// Every part is drawn, none by this member.
    SoldOut,
}

/// Draws a part of a pool of `parts` parts.
///
/// # Errors
/// [`crate::ports::PortError`]: whether the member has drawn is not known; the next request finds
/// out.
pub async fn draw<D: Pools>(
    deps: &D,
    pool: PoolId,
    parts: u32,
    draw: &Draw,
) -> PortResult<Result<Won, NotWon>> {
    let walk = Walk::new(&pool, &draw.member, bucket_count(parts));
    // How many buckets of the walk are looked at without another read ahead.
    let mut read_ahead = 0_usize;
    for (step, number) in walk.clone().enumerate() {
        let id = BucketId { pool, number };
        let known = deps.full_bucket(id);
        let is_known = known.is_some();
        let answer = match known {
            Some(full) => match full.decide(draw) {
                Ok(_) | Err(DrawRefused::Full) => Err(NotDrawn::Full),
                Err(DrawRefused::Ahead) => Err(NotDrawn::Ahead),
                Err(DrawRefused::Over) => Err(NotDrawn::Over),
                Err(DrawRefused::Repeated(entry)) => Ok(Won::of(&full, entry)),
                Err(DrawRefused::Already(entry)) => Err(NotDrawn::Already(Won::of(&full, entry))),
            },
            None => deps.draw(id, draw).await?,
        };
        match answer {
            Ok(won) => return Ok(Ok(won)),
            Err(NotDrawn::Full) => {}
            Err(NotDrawn::NoSuchBucket) => return Ok(Err(NotWon::NoSuchPool)),
            Err(NotDrawn::Ahead) => return Ok(Err(NotWon::Ahead)),
            Err(NotDrawn::Over) => return Ok(Err(NotWon::Over)),
            Err(NotDrawn::Already(won)) => return Ok(Err(NotWon::Already(won))),
        }
        let next = step.saturating_add(1);
        // Only after a write that was in vain: a process that knows full buckets tries the next.
        if !is_known && next >= read_ahead {
            // A bucket that the read shows full is remembered, so that it costs no write here.
            let ahead: Vec<u32> = walk.clone().skip(next).take(READ_AHEAD).collect();
            let unknown = |n: &u32| deps.full_bucket(BucketId { pool, number: *n }).is_none();
            let ahead: Vec<u32> = ahead.into_iter().filter(unknown).collect();
            if !ahead.is_empty()
                && let Err(error) = deps.buckets(pool, &ahead).await
            {
                // Without it, each bucket costs a write. One that cannot be read stops no other.
                tracing::warn!(error.cause = error.causes(), "buckets were not read ahead");
            }
            read_ahead = next.saturating_add(READ_AHEAD);
        }
    }
    Ok(Err(NotWon::SoldOut))
}
