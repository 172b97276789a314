//! Finding a free token, in a number of steps that does not grow with how many are taken.
//!
//! Two random tokens are read at once; while half of all are free, three times in four one of them
//! is. Else the sparse index of free tokens is read from a random position of a random shard. Where
//! it is empty, one process at a time scans the table and adds tokens that have no item; the others
//! wait for what it adds. Nothing here decides: the spray's transaction takes the token, or finds it
//! taken.
//!
//! # Guarantees
//! * While tokens are free, no caller is told that all are taken:
//!   `a_crowd_that_finds_the_index_empty_waits_for_the_scan_and_gets_its_tokens`.
//! * No caller waits for ever: `a_caller_that_waits_in_vain_for_a_scan_is_told_to_try_again`.

use largesse_domain::id::{TOKEN_COUNT, Token};
use largesse_domain::time::Timestamp;

use crate::ports::{
    Clock, Pause, PortError, PortResult, Replenished, Rng, TOKEN_SHARDS, TokenSpace,
};

/// How often a caller waits while another process scans: 24 times some 100 ms are about twice what a
/// scan takes, and a quarter of what a function behind HTTP may take (10 s in template.yaml).
const WAITS_MAX: u32 = 24;
/// One such wait: at least this, and up to twice this, so that those who wait do not all come back
/// at once.
const WAIT_MS_MIN: u64 = 50;
const WAIT_MS_SPREAD: u32 = 101;

/// Where to find a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This one was free a moment ago.
    Token(Token),
    /// There is none.
    Full {
        /// When the first token may become free.
        earliest: Timestamp,
    },
}

/// Finds a token that is free, as far as one can know.
///
/// # Errors
/// [`PortError`]; contended when others keep scanning, or take what they find, for too long.
pub async fn find<D>(deps: &D) -> PortResult<Found>
where
    D: TokenSpace + Rng + Clock + Pause,
{
    match free_pair(deps).await? {
        Some(token) => Ok(Found::Token(token)),
        None => search(deps).await,
    }
}

/// Reads two random tokens at once and gives one that is free. Reads nothing while this process
/// knows that none is.
///
/// # Errors
/// [`PortError`].
pub async fn free_pair<D: TokenSpace + Rng + Clock>(deps: &D) -> PortResult<Option<Token>> {
    let now = deps.now();
    if deps.known_full(now).is_some() {
        return Ok(None);
    }
    let free = deps.free_among([random(deps), random(deps)], now).await?;
    Ok(free.first().copied())
}

/// Takes a token from the index, and fills the index where it is empty.
///
/// # Errors
/// As [`find`].
pub async fn search<D>(deps: &D) -> PortResult<Found>
where
    D: TokenSpace + Rng + Clock + Pause,
{
    if let Some(earliest) = deps.known_full(deps.now()) {
        return Ok(Found::Full { earliest });
    }
    for _ in 0..WAITS_MAX {
        if let Some(token) = indexed(deps).await? {
            return Ok(Found::Token(token));
        }
        match deps.replenish(deps.now()).await? {
            Replenished::Free(tokens) => {
                let last = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
                let at = usize::try_from(deps.below(last)).unwrap_or(0);
                let token = tokens.get(at).copied();
                return token
                    .map(Found::Token)
                    .ok_or(PortError::corrupt("scan tokens: none are free"));
            }
            Replenished::NoneFree { earliest } => {
                deps.remember_full(deps.now(), earliest);
                return Ok(Found::Full { earliest });
            }
            Replenished::Underway => {
                let wait_ms = WAIT_MS_MIN.saturating_add(deps.below(WAIT_MS_SPREAD).into());
                deps.pause_ms(wait_ms).await;
            }
        }
    }
    Err(PortError::contended("find token: others are scanning"))
}

fn random<D: Rng>(deps: &D) -> Token {
    Token::from_index(deps.below(TOKEN_COUNT))
}

/// A token of the index, from a random position on, shard by shard from a random one on.
async fn indexed<D: TokenSpace + Rng>(deps: &D) -> PortResult<Option<Token>> {
    let first = deps.below(TOKEN_SHARDS);
    for shard in (first..TOKEN_SHARDS).chain(0..first) {
        if let Some(token) = deps.indexed_token(shard, random(deps)).await? {
            return Ok(Some(token));
        }
    }
    Ok(None)
}
