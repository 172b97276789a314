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

use futures::future::join_all;
use largesse_domain::id::PoolId;
use largesse_domain::pool::{BucketId, Draw, DrawRefused, Walk, bucket_count};

use crate::ports::{NotDrawn, Pools, PortResult, Won};

/// Buckets of one batch of reads: it holds 100 keys (Amazon DynamoDB Developer Guide,
/// `BatchGetItem`).
const READ_BATCH: usize = 100;
/// Buckets read ahead at a time, at most: eight batches side by side. The pool of the largest drop has
/// 6,250.
const READ_SPAN_MAX: usize = 800;

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
    // How many buckets of the walk are looked at without another read ahead, and how many the next
    // one reads. The first write of a walk has no read before it.
    let (mut read_ahead, mut span, mut has_written) = (1_usize, READ_BATCH, false);
    for (step, number) in walk.clone().enumerate() {
        let id = BucketId { pool, number };
        let mut known = deps.full_bucket(id);
        // Only after a write that was in vain: a process that knows full buckets tries the next.
        if known.is_none() && has_written && step >= read_ahead {
            let ahead: Vec<u32> = walk.clone().skip(step).take(span).collect();
            read_full(deps, pool, ahead).await;
            read_ahead = step.saturating_add(span);
            span = span.saturating_mul(2).min(READ_SPAN_MAX);
            known = deps.full_bucket(id);
        }
        let answer = match known {
            Some(full) => match full.decide(draw) {
                Ok(_) | Err(DrawRefused::Full) => Err(NotDrawn::Full),
                Err(DrawRefused::Ahead) => Err(NotDrawn::Ahead),
                Err(DrawRefused::Over) => Err(NotDrawn::Over),
                Err(DrawRefused::Repeated(entry)) => Ok(Won::of(&full, entry)),
                Err(DrawRefused::Already(entry)) => Err(NotDrawn::Already(Won::of(&full, entry))),
            },
            None => {
                has_written = true;
                deps.draw(id, draw).await?
            }
        };
        match answer {
            Ok(won) => return Ok(Ok(won)),
            Err(NotDrawn::Full) => {}
            Err(NotDrawn::NoSuchBucket) => return Ok(Err(NotWon::NoSuchPool)),
            Err(NotDrawn::Ahead) => return Ok(Err(NotWon::Ahead)),
            Err(NotDrawn::Over) => return Ok(Err(NotWon::Over)),
            Err(NotDrawn::Already(won)) => return Ok(Err(NotWon::Already(won))),
        }
    }
    Ok(Err(NotWon::SoldOut))
}

/// Reads buckets of which this process does not know that they are full. One that the read shows full
/// is remembered, so that it costs no write.
async fn read_full<D: Pools>(deps: &D, pool: PoolId, mut numbers: Vec<u32>) {
    numbers.retain(|n| deps.full_bucket(BucketId { pool, number: *n }).is_none());
    let reads: Vec<_> = numbers.chunks(READ_BATCH).map(|some| deps.buckets(pool, some)).collect();
    for read in join_all(reads).await {
        if let Err(error) = read {
            // Without it, each bucket costs a write. One that cannot be read stops no other.
            tracing::warn!(error.cause = error.causes(), "buckets were not read ahead");
        }
    }
}
