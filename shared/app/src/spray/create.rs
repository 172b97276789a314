//! A member sprays an amount over the members of a room.

use largesse_domain::id::{PoolId, RoomId, SprayId, TransferId, UserId};
use largesse_domain::ledger::{PostRefused, TransferKind, TransferOrder};
use largesse_domain::money::Balance;
use largesse_domain::split::Seed;
use largesse_domain::spray::{Spray, Terms};
use largesse_domain::time::Timestamp;

use super::token::{self, Found};
use crate::ports::{
    Clock, Once, Pause, PortError, Rng, Rooms, SprayNotMade, Sprays, TokenSpace, Wallets,
};

/// How often a token that was found free turns out to be taken meanwhile, before giving up: each
/// time another spray was made in between.
const TOKEN_TRIES_MAX: u32 = 16;

/// A request to spray, under the id that makes it happen once.
#[derive(Clone, Debug)]
pub struct Create {
    /// The spray's id.
    pub id: SprayId,
    /// In which room.
    pub room: RoomId,
    /// Who gives.
    pub sender: UserId,
    /// On what terms.
    pub terms: Terms,
}

/// Why no spray was made, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The sender is not in the room.
    #[error("the caller is not a member of the room")]
    NotAMember,
    /// The wallet holds less than the amount.
    #[error("the balance is {balance}")]
    Insufficient {
        /// What the wallet holds.
        balance: Balance,
    },
    /// The sender has as many live sprays as a member may have.
    #[error("the sender has too many live sprays")]
    TooManyLive,
    /// Live sprays carry all tokens.
    #[error("no token is free")]
    NoFreeToken {
        /// When the first of them is over.
        earliest: Timestamp,
    },
    /// A port failed.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// Makes a spray. Repeating it under the same id returns the first one.
///
/// # Errors
/// [`CreateError`], the first in its order.
pub async fn create<D>(deps: &D, request: Create) -> Result<Spray, CreateError>
where
    D: Sprays + TokenSpace + Wallets + Rooms + Clock + Rng + Pause,
{
    let is_member = deps.is_member(request.room, &request.sender);
    let (is_member, seen) = futures::future::try_join(is_member, token::free_pair(deps)).await?;
    if !is_member {
        return made(deps, &request).await?.ok_or(CreateError::NotAMember);
    }
    let mut found = match seen {
        Some(token) => Found::Token(token),
        // Only a member makes this process search the whole space.
        None => token::search(deps).await?,
    };
    let now = deps.now();
    let mut seed = [0; 32];
    deps.fill(&mut seed);
    let order = TransferOrder {
        id: TransferId(request.id.0),
        wallet: request.sender.clone(),
        kind: TransferKind::Spray,
        amount: request.terms.amount(),
        // The time of its id, so that a run that resumes an earlier one orders the same transfer.
        at: made_at(request.id),
        pool: Some(PoolId::Spray(request.id)),
        counterpart: None,
        memo: None,
    };
    for _ in 0..TOKEN_TRIES_MAX {
        let token = match found {
            Found::Token(token) => token,
            Found::Full { earliest } => {
                return without_token(deps, &request, earliest).await;
            }
        };
        let Create { id, room, sender, terms } = request.clone();
        let spray = Spray::new(id, token, room, sender, &terms, Seed(seed), now);
        match deps.create_spray(&spray, &order).await? {
            Ok(Once::Now(spray) | Once::Before(spray)) => return Ok(spray),
            Err(SprayNotMade::TokenTaken) => found = token::find(deps).await?,
            Err(SprayNotMade::TooManyLive) => return Err(CreateError::TooManyLive),
            Err(SprayNotMade::Wallet(PostRefused::Insufficient { balance })) => {
                return Err(CreateError::Insufficient { balance });
            }
            Err(SprayNotMade::Wallet(PostRefused::TooFull)) => {
                return Err(CreateError::Insufficient { balance: Balance::ZERO });
            }
        }
    }
    Err(PortError::contended("create spray: others take each token").into())
}

fn made_at(id: SprayId) -> Timestamp {
    Timestamp::from_ms(i64::try_from(id.0.timestamp_ms()).unwrap_or(i64::MAX))
}

/// No token is free: the answer is an earlier run's spray, or the first refusal that applies.
async fn without_token<D: Sprays + Wallets>(
    deps: &D,
    request: &Create,
    earliest: Timestamp,
) -> Result<Spray, CreateError> {
    if let Some(earlier) = made(deps, request).await? {
        return Ok(earlier);
    }
    let balance = deps.wallet(&request.sender).await?.balance;
    if balance.get() < request.terms.amount().get() {
        return Err(CreateError::Insufficient { balance });
    }
    Err(CreateError::NoFreeToken { earliest })
}

/// The spray that an earlier run of this request made. It is the answer of every later run, whatever
/// has changed since: the sender may have left the room, or all tokens may be taken.
async fn made<D: Sprays>(deps: &D, request: &Create) -> Result<Option<Spray>, PortError> {
    deps.spray(request.id).await
}
