//! `POST /api/v2/sprays/{token}/claims` and `POST /api/v1/receive`: a member claims one share.

use largesse_app::ports::{Clock, Grants, Idempotency, Ids, Pause, Pools, Rng, Rooms, Sprays};
use largesse_app::spray::claim::{Claim, ClaimError, Claimed, claim};
use largesse_domain::id::{RoomId, Token, Ulid, UserId};
use largesse_domain::pool::Attempt;
use largesse_edge::{ApiError, Code};

pub mod v1;
pub mod v2;

/// The ports that the function uses.
pub trait Deps:
    Sprays + Rooms + Pools + Grants + Idempotency + Clock + Ids + Rng + Pause + 'static
{
}

impl<T: Sprays + Rooms + Pools + Grants + Idempotency + Clock + Ids + Rng + Pause + 'static> Deps
    for T
{
}

largesse_edge::routes! { D: Deps =>
    v1::claim<D>, v2::claim<D>,
}

/// The token as it was sent. Who is not in the room learns nothing about tokens, not even which are
/// malformed.
async fn token_of<D: Deps>(
    deps: &D,
    (member, room): (&UserId, RoomId),
    text: &str,
) -> Result<Token, ClaimError> {
    match text.parse() {
        Ok(token) => Ok(token),
        Err(_) if deps.is_member(room, member).await? => Err(ClaimError::NoSuchToken),
        Err(_) => Err(ClaimError::NotAMember),
    }
}

/// Who claims what, and whether under a key.
struct Wish {
    member: UserId,
    room: RoomId,
    token: Token,
    is_keyed: bool,
}

impl Wish {
    async fn draw<D: Deps>(&self, deps: &D, op: Ulid) -> Result<Claimed, ClaimError> {
        let key = self.is_keyed.then(|| attempt_of(op));
        let Self { member, room, token, .. } = self;
        claim(deps, Claim { room: *room, token: *token, member: member.clone(), key }).await
    }
}

/// The number of the attempt that an operation makes: the same whenever it runs again.
fn attempt_of(op: Ulid) -> Attempt {
    let [_, _, _, _, _, _, _, _, random @ ..] = op.to_bytes();
    Attempt::from_bits(u64::from_be_bytes(random))
}

fn refuse(error: ClaimError) -> ApiError {
    match error {
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
