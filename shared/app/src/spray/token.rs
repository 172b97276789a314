//! Finding a free token, in a number of steps that does not grow with how many are taken.
//!
//! A token at random is looked at first; it is free as often as tokens are. If it is not, one is taken
//! from the hint, which holds tokens known to be free: filled by refunds, and by a survey of all
//! tokens when it runs dry. Nothing here decides: the spray's transaction takes the token, or finds
//! it taken.

use largesse_domain::id::{TOKEN_COUNT, Token};
use largesse_domain::time::Timestamp;

use crate::ports::{Clock, HINT_PARTS, PortResult, Rng, Survey, TokenSpace};

/// Hints that may turn out stale before all tokens are surveyed.
const STALE_MAX: u32 = 8;
/// Tokens put into one part of the hint at a time.
const PUSH_MAX: usize = 64;

/// Where to find a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// This one was free a moment ago.
    Token(Token),
    /// There is none.
    Full {
        /// When the first spray is over.
        earliest: Timestamp,
    },
}

/// Finds a token that is free, as far as one can know.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn find<D: TokenSpace + Rng + Clock>(deps: &D) -> PortResult<Found> {
    match look(deps).await? {
        Some(token) => Ok(Found::Token(token)),
        None => hinted(deps).await,
    }
}

/// Looks at a token at random; changes nothing.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn look<D: TokenSpace + Rng>(deps: &D) -> PortResult<Option<Token>> {
    let token = Token::from_index(deps.below(TOKEN_COUNT));
    Ok(deps.is_free(token).await?.then_some(token))
}

/// Takes a token from the hint, or surveys all tokens.
///
/// # Errors
/// [`crate::ports::PortError`].
pub async fn hinted<D: TokenSpace + Rng + Clock>(deps: &D) -> PortResult<Found> {
    let first = deps.below(HINT_PARTS);
    let mut stale = 0_u32;
    for step in 0..HINT_PARTS {
        let part = first.wrapping_add(step).checked_rem(HINT_PARTS).unwrap_or(0);
        while let Some(token) = deps.pop_hint(part).await? {
            if deps.is_free(token).await? {
                return Ok(Found::Token(token));
            }
            stale = stale.saturating_add(1);
            if stale >= STALE_MAX {
                return survey(deps).await;
            }
        }
    }
    survey(deps).await
}

async fn survey<D: TokenSpace + Rng + Clock>(deps: &D) -> PortResult<Found> {
    match deps.survey(deps.now()).await? {
        Survey::Full { earliest } => Ok(Found::Full { earliest }),
        Survey::Free(mut free) => {
            shuffle(deps, &mut free);
            let mine = free.pop();
            offer(deps, &free).await?;
            let earliest = deps.now();
            Ok(mine.map_or(Found::Full { earliest }, Found::Token))
        }
    }
}

/// Puts free tokens into the hint, as many as it holds. Tokens come in the order given, so callers
/// shuffle: a token must not be foreseeable.
///
/// # Errors
/// [`crate::ports::PortError`]; a hint that is lost is found again by a survey.
pub async fn offer<D: TokenSpace + Rng>(deps: &D, free: &[Token]) -> PortResult<()> {
    let first = deps.below(HINT_PARTS);
    let each = free.len().div_ceil(usize::try_from(HINT_PARTS).unwrap_or(1)).clamp(1, PUSH_MAX);
    for (tokens, step) in free.chunks(each).zip(0..HINT_PARTS) {
        let part = first.wrapping_add(step).checked_rem(HINT_PARTS).unwrap_or(0);
        deps.push_hint(part, tokens).await?;
    }
    Ok(())
}

/// Fisher and Yates's shuffle (Knuth, TAOCP volume 2, algorithm 3.4.2 P).
pub(crate) fn shuffle<D: Rng>(deps: &D, tokens: &mut [Token]) {
    for last in (1..tokens.len()).rev() {
        let below = u32::try_from(last).unwrap_or(u32::MAX).saturating_add(1);
        tokens.swap(last, usize::try_from(deps.below(below)).unwrap_or(0));
    }
}
