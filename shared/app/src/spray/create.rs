//! A member gives.

use largesse_domain::id::{PoolId, RoomId, SprayId, TOKEN_COUNT, Token, TransferId, UserId};
use largesse_domain::ledger::{PostRefused, TransferKind, TransferOrder};
use largesse_domain::money::Balance;
use largesse_domain::split::Seed;
use largesse_domain::spray::{Spray, Terms};

use crate::ports::{Clock, Once, PortError, Rng, Rooms, SprayNotMade, Sprays};

/// How many tokens are tried before the answer is that none is free. With 99 % of the tokens taken,
/// 32 tries at random still find one 27 times in 100; see the token space's own hint for more.
const TOKEN_TRIES_MAX: u32 = 32;

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
    /// Live sprays carry all the tokens that were tried.
    #[error("no token is free")]
    NoFreeToken,
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
    D: Sprays + Rooms + Clock + Rng,
{
    if !deps.is_member(wish.room, &wish.sender).await? {
        return Err(CreateError::NotAMember);
    }
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
        let token = Token::from_index(deps.below(TOKEN_COUNT));
        let Create { id, room, sender, terms } = wish.clone();
        let spray = Spray::new(id, token, room, sender, &terms, Seed(seed), order.at);
        match deps.create_spray(&spray, &order).await? {
            Ok(Once::Now(spray) | Once::Before(spray)) => return Ok(spray),
            Err(SprayNotMade::TokenTaken) => {}
            Err(SprayNotMade::Wallet(PostRefused::Insufficient { balance })) => {
                return Err(CreateError::Insufficient { balance });
            }
            Err(SprayNotMade::Wallet(PostRefused::TooFull)) => {
                return Err(CreateError::Insufficient { balance: Balance::ZERO });
            }
        }
    }
    Err(CreateError::NoFreeToken)
}
