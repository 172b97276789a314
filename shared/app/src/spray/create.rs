//! A member gives.

use largesse_domain::id::{PoolId, RoomId, SprayId, TransferId, UserId};
use largesse_domain::ledger::{PostRefused, TransferKind, TransferOrder};
use largesse_domain::money::Balance;
use largesse_domain::split::Seed;
use largesse_domain::spray::{Spray, Terms};
use largesse_domain::time::Timestamp;

use super::token::{self, Found};
use crate::ports::{
    Clock, Once, Pause, PortError, PortErrorKind, Rng, Rooms, SprayNotMade, Sprays, TokenSpace,
    Wallets,
};

/// How often a token that was found free turns out to be taken meanwhile, before giving up: each
/// time another spray was made in between.
const TOKEN_TRIES_MAX: u32 = 16;

/// A wish to spray, under the id that makes it happen once.
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
    /// The sender has not that much.
    #[error("the balance is {balance}")]
    Insufficient {
        /// What the wallet holds.
        balance: Balance,
    },
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
pub async fn create<D>(deps: &D, wish: Create) -> Result<Spray, CreateError>
where
    D: Sprays + TokenSpace + Wallets + Rooms + Clock + Rng + Pause,
{
    let is_member = deps.is_member(wish.room, &wish.sender);
    let (is_member, seen) = futures::future::try_join(is_member, token::look(deps)).await?;
    if !is_member {
        return made(deps, &wish).await?.ok_or(CreateError::NotAMember);
    }
    let mut found = match seen {
        Some(token) => Found::Token(token),
        // Hints are used up by looking, so whoever is to be refused must be refused before.
        None => match made_or_too_poor(deps, &wish).await? {
            Some(spray) => return Ok(spray),
            None => token::hinted(deps).await?,
        },
    };
    let mut seed = [0; 32];
    deps.fill(&mut seed);
    let order = TransferOrder {
        id: TransferId(wish.id.0),
        wallet: wish.sender.clone(),
        kind: TransferKind::Spray,
        amount: wish.terms.amount(),
        at: deps.now(),
        pool: Some(PoolId::Spray(wish.id)),
        counterpart: None,
        memo: None,
    };
    for _ in 0..TOKEN_TRIES_MAX {
        let token = match found {
            Found::Token(token) => token,
            Found::Full { earliest } => {
                let earlier = made(deps, &wish).await?;
                return earlier.ok_or(CreateError::NoFreeToken { earliest });
            }
        };
        let Create { id, room, sender, terms } = wish.clone();
        let spray = Spray::new(id, token, room, sender, &terms, Seed(seed), order.at);
        match deps.create_spray(&spray, &order).await? {
            Ok(Once::Now(spray) | Once::Before(spray)) => return Ok(spray),
            Err(SprayNotMade::TokenTaken) => found = token::find(deps).await?,
            Err(SprayNotMade::Wallet(PostRefused::Insufficient { balance })) => {
                return Err(CreateError::Insufficient { balance });
            }
            Err(SprayNotMade::Wallet(PostRefused::TooFull)) => {
                return Err(CreateError::Insufficient { balance: Balance::ZERO });
            }
        }
    }
    let (operation, kind) = ("create spray: others take each token", PortErrorKind::Contended);
    Err(PortError { operation, kind, cause: None }.into())
}

/// The spray that an earlier run of this wish made; or the refusal of whoever has not the money.
async fn made_or_too_poor<D>(deps: &D, wish: &Create) -> Result<Option<Spray>, CreateError>
where
    D: Sprays + Wallets,
{
    let wallet = deps.wallet(&wish.sender).await?;
    if wallet.balance.get() >= wish.terms.amount().get() {
        return Ok(None);
    }
    // The wallet may be empty because this very spray emptied it.
    let earlier = made(deps, wish).await?;
    earlier.map(Some).ok_or(CreateError::Insufficient { balance: wallet.balance })
}

/// The spray that an earlier run of this wish made. It is the answer of every later run, whatever
/// has changed since: the sender may have left the room, or all tokens may be taken.
async fn made<D: Sprays>(deps: &D, wish: &Create) -> Result<Option<Spray>, PortError> {
    deps.spray(wish.id).await
}
