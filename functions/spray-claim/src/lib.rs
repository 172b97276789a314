//! `POST /api/v2/sprays/{token}/claims` and `POST /api/v1/receive`: a member claims one share.
//!
//! A claim takes no `Idempotency-Key`: the member is the key. A repeat hears "already", with the
//! amount.

use largesse_app::budget::miss::Misses;
use largesse_app::ports::{Budgets, Clock, Ids, Keys, Pools, Rng, Rooms, Sprays};
use largesse_app::spray::claim::{Claim, ClaimError, claim};
use largesse_domain::id::{RoomId, UserId};
use largesse_domain::money::Amount;
use largesse_edge::{ApiError, Code, limits};

pub mod settings;
pub mod v1;
pub mod v2;

/// The ports that the function uses.
pub trait Deps: Sprays + Rooms + Pools + Budgets + Keys + Clock + Ids + Rng + 'static {}

impl<T: Sprays + Rooms + Pools + Budgets + Keys + Clock + Ids + Rng + 'static> Deps for T {}

largesse_edge::routes! { D: Deps =>
    v1::claim<D>, v2::claim<D>,
}

/// Claims under the token as it was sent. A caller who is not in the room learns nothing about
/// tokens, not even which are malformed. A malformed token is no guess: no spray carries one.
async fn claim_share<D: Deps>(
    deps: &D,
    member: UserId,
    room: RoomId,
    token: &str,
    misses: Misses,
) -> Result<Amount, ClaimError> {
    match token.parse() {
        Ok(token) => claim(deps, &Claim { room, token, member, misses }).await,
        Err(_) if deps.is_member(room, &member).await? => Err(ClaimError::NoSuchToken),
        Err(_) => Err(ClaimError::NotAMember),
    }
}

fn refuse(error: ClaimError) -> ApiError {
    match error {
        ClaimError::TooManyMisses(used_up) => limits::refuse(used_up),
        ClaimError::NotAMember => ApiError::not_a_member(),
        ClaimError::NoSuchToken => ApiError::not_found(),
        ClaimError::OwnSpray => {
            ApiError::new(Code::OwnSpray, "The sender takes no share of their own spray.")
        }
        ClaimError::WindowOver => ApiError::expired("The spray is over."),
        ClaimError::Already { amount } => {
            ApiError::new(Code::AlreadyClaimed, "You have a share of this spray.")
                .with("amount", amount.get())
        }
        ClaimError::Exhausted => ApiError::new(Code::Exhausted, "All shares are taken."),
        ClaimError::Port(error) => error.into(),
    }
}
