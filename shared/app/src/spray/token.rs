//! Finding a free token, in a number of steps that does not grow with how many are taken.
//!
//! A token at random is looked at first; it is free as often as tokens are. If it is not, or the
//! last one was not, one is taken from the hint, which holds tokens known to be free: filled by
//! refunds, and by a survey of all tokens when it runs dry. One caller surveys; the others wait for
//! what it puts into the hint. Nothing here decides: the spray's transaction takes the token, or
//! finds it taken.
//!
//! # Guarantees
//! * While tokens are free nobody is told that all are taken:
//!   `a_crowd_that_finds_the_hints_dry_waits_for_the_survey_and_gets_its_tokens`.
//! * Nobody waits for ever: `whoever_waits_in_vain_for_a_survey_is_told_to_try_again`.

use largesse_domain::id::{TOKEN_COUNT, Token};
use largesse_domain::time::Timestamp;

use crate::ports::{
    Clock, HINT_LEN_MAX, HINT_PARTS, Pause, PortError, PortErrorKind, PortResult, Rng, Survey,
    TokenSpace,
};

/// Hints that may turn out stale before all tokens are surveyed.
const STALE_MAX: u32 = 8;
/// How often one looks again while others survey: 24 times some 100 ms are about twice what a
/// survey takes, and a quarter of what a function behind HTTP may (10 s in template.yaml).
const WAITS_MAX: u32 = 24;
/// One such wait: at least this, and up to as much again and more, so that those who wait do not
/// all come back at once.
const WAIT_MS_MIN: u64 = 50;
const WAIT_MS_SPREAD: u32 = 101;

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
/// [`PortError`].
pub async fn find<D: TokenSpace + Rng + Clock + Pause>(deps: &D) -> PortResult<Found> {
    match look(deps).await? {
        Some(token) => Ok(Found::Token(token)),
        None => hinted(deps).await,
    }
}

/// Looks at a token at random; takes none. Where the last look of this process was in vain, the
/// hint is asked at once: then one token and a half are tried for each spray while nearly all are
/// taken, and 1.33 while half of them are.
///
/// # Errors
/// [`PortError`].
pub async fn look<D: TokenSpace + Rng>(deps: &D) -> PortResult<Option<Token>> {
    if deps.spares_look() {
        return Ok(None);
    }
    let token = Token::from_index(deps.below(TOKEN_COUNT));
    let is_free = deps.is_free(token).await?;
    deps.note_look(is_free);
    Ok(is_free.then_some(token))
}

/// Takes a token from the hint, or surveys all tokens. While somebody else surveys, waits for the
/// hint to be filled, since nothing is known until then.
///
/// # Errors
/// [`PortError`]; contended when others keep surveying, or take what they find, for too long.
pub async fn hinted<D: TokenSpace + Rng + Clock + Pause>(deps: &D) -> PortResult<Found> {
    let mut is_surveyed = false;
    for _ in 0..WAITS_MAX {
        if !is_surveyed {
            if let Some(token) = pop(deps).await? {
                return Ok(Found::Token(token));
            }
            match deps.survey(deps.now()).await? {
                Survey::Full { earliest } => return Ok(Found::Full { earliest }),
                Survey::Free { tokens, until } => return share(deps, tokens, until).await,
                Survey::Underway => {}
            }
        }
        deps.pause_ms(WAIT_MS_MIN.saturating_add(deps.below(WAIT_MS_SPREAD).into())).await;
        is_surveyed = deps.is_surveyed(deps.now()).await?;
    }
    let kind = PortErrorKind::Contended;
    Err(PortError { operation: "find token: others are looking", kind, cause: None })
}

/// Takes a token from the hint that is still free.
async fn pop<D: TokenSpace + Rng>(deps: &D) -> PortResult<Option<Token>> {
    let first = deps.below(HINT_PARTS);
    let mut stale = 0_u32;
    for step in 0..HINT_PARTS {
        let part = first.wrapping_add(step).checked_rem(HINT_PARTS).unwrap_or(0);
        while let Some(token) = deps.pop_hint(part).await? {
            if deps.is_free(token).await? {
                return Ok(Some(token));
            }
            stale = stale.saturating_add(1);
            if stale >= STALE_MAX {
                return Ok(None);
            }
        }
    }
    Ok(None)
}

/// Takes one of the tokens that a survey found, and fills the hint with the others.
async fn share<D: TokenSpace + Rng>(
    deps: &D,
    mut free: Vec<Token>,
    until: Timestamp,
) -> PortResult<Found> {
    shuffle(deps, &mut free);
    let Some(mine) = free.pop() else {
        let kind = PortErrorKind::Corrupt;
        return Err(PortError { operation: "survey tokens: none are free", kind, cause: None });
    };
    let parts = free.chunks(part_len(free.len())).chain(std::iter::repeat(&[][..]));
    let renewals = (0..HINT_PARTS).zip(parts).map(|(part, tokens)| deps.renew_hint(part, tokens));
    // Only hints, and a lease that runs out: what fails here, the next survey makes good.
    drop(futures::future::join_all(renewals).await);
    drop(deps.end_survey(until).await);
    Ok(Found::Token(mine))
}

/// How many of that many tokens go into each part of the hint.
fn part_len(tokens: usize) -> usize {
    tokens.div_ceil(usize::try_from(HINT_PARTS).unwrap_or(1)).clamp(1, HINT_LEN_MAX)
}

/// Adds free tokens to the hint, as far as there is room. Tokens come in the order given, so
/// callers shuffle: a token must not be foreseeable.
///
/// # Errors
/// [`PortError`]; a hint that is lost is found again by a survey.
pub async fn offer<D: TokenSpace + Rng>(deps: &D, free: &[Token]) -> PortResult<()> {
    let first = deps.below(HINT_PARTS);
    for (tokens, step) in free.chunks(part_len(free.len())).zip(0..HINT_PARTS) {
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
