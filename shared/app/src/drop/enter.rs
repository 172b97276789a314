//! A member enters a drop: a slot, or a place on the waiting list, once.
//!
//! The terms are read once for each process; then one conditional write draws, and the entry is
//! decided. A place is drawn only after all buckets of slots were seen full without an entry of the
//! member, so a member with a slot never gets a place. The member is the key: an entry takes no
//! idempotency key.
//!
//! Where a drop begins with lots, a member who enters in that time gets a lot. After it, and until the lots
//! are drawn ([`super::shuffle`]), nothing is given: each bucket of slots and places waits for its lots.
//!
//! # Guarantees
//! * A member has one slot or one place, whatever is repeated: `a_member_enters_once`.
//! * *Sold out* is said when every slot and every place is taken, and not before; then it costs no
//!   write: `a_loser_costs_no_write_once_a_process_knows_the_drop_is_full`.
//! * The first and the last millisecond count: `a_drop_is_open_from_its_first_millisecond_to_its_last`,
//!   `lots_are_taken_from_the_first_millisecond_to_the_last_of_their_time`.
//! * A member has one lot, whatever is repeated: `a_member_gets_one_lot`.
//! * While the lots are drawn, a process asks once a second:
//!   `a_crowd_that_enters_while_the_lots_are_drawn_costs_one_write_a_second`.

use std::sync::Arc;

use largesse_domain::drop::{Drop, Listed, WaitingList};
use largesse_domain::id::{DropId, UserId};
use largesse_domain::money::Amount;
use largesse_domain::pool::{Draw, Nonce};
use largesse_domain::time::Timestamp;

use crate::caches::WAITING_DROPS;
use crate::drop::read::waiting_list;
use crate::pool::draw::{NotWon, draw};
use crate::ports::{Clock, DropCache, Drops, Pools, PortError, PortResult, Rng, Won};

/// What a member who enters has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entered {
    /// A slot. It is being paid.
    Won {
        /// Its number, from 1.
        slot: u64,
        /// What it is worth.
        amount: Amount,
    },
    /// A place on the waiting list.
    Waiting {
        /// 1 for the next to get a slot; `None` when the list could not be read now.
        position: Option<u64>,
    },
    /// A lot, which is drawn later.
    Registered,
}

/// Why an entry got nothing new, in order of precedence.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// There is no such drop.
    #[error("there is no such drop")]
    NotFound,
    /// The drop has not opened.
    #[error("the drop is not open yet")]
    NotOpen {
        /// When it opens.
        opens: Timestamp,
        /// The moment of the request.
        now: Timestamp,
    },
    /// The window is over.
    #[error("the drop is over")]
    Over,
    /// The lots are not drawn yet.
    #[error("the lots are being drawn")]
    Shuffling,
    /// The member has a slot.
    #[error("the member has slot {slot}")]
    Already {
        /// Its number, from 1.
        slot: u64,
    },
    /// All slots and all places are taken, none by this member.
    #[error("all slots and places are taken")]
    SoldOut,
    /// All lots are taken, none by this member: they get all slots and places.
    #[error("all lots are taken")]
    NoLotLeft,
    /// A port failed: whether the member has entered is not known. The next request finds out.
    #[error(transparent)]
    Port(#[from] PortError),
}

/// The number of a slot as members know it.
pub(super) const fn slot_number(part: u64) -> u64 {
    part.saturating_add(1)
}

/// Enters.
///
/// # Errors
/// [`EnterError`], the first in its order.
pub async fn enter<D>(deps: &D, id: DropId, member: UserId) -> Result<Entered, EnterError>
where
    D: Drops + Pools + DropCache + Clock + Rng,
{
    let drop = deps.drop_terms(id).await?.ok_or(EnterError::NotFound)?;
    let now = deps.now();
    if drop.window.is_ahead(now) {
        return Err(EnterError::NotOpen { opens: drop.window.opens, now });
    }
    if drop.window.is_over(now) {
        return Err(EnterError::Over);
    }
    let mut bits = [0; 8];
    deps.fill(&mut bits);
    let request = Draw { member, at: now, nonce: Nonce::from_bits(u64::from_be_bytes(bits)) };
    if drop.shuffling().is_some_and(|lots| !lots.is_over(now)) {
        return register(deps, &drop, &request).await;
    }
    if deps.is_known_to_wait(id) {
        return Err(EnterError::Shuffling);
    }
    match draw(deps, drop.pool(), drop.slots, &request).await? {
        Ok(won) => {
            let slot = slot_number(won.part);
            let worthless = PortError::corrupt("enter: the slot is worth nothing");
            Ok(Entered::Won { slot, amount: won.amount.ok_or(worthless)? })
        }
        Err(NotWon::Already(won)) => Err(EnterError::Already { slot: slot_number(won.part) }),
        Err(NotWon::SoldOut) if drop.waiting == 0 => Err(EnterError::SoldOut),
        Err(NotWon::SoldOut) => wait(deps, &drop, &request).await,
        Err(not_won) => {
            let error = refused(not_won, &drop, now);
            if matches!(error, EnterError::Shuffling) {
                deps.remember_waits(id, WAITING_DROPS.until(now));
            }
            Err(error)
        }
    }
}

/// Takes a lot.
async fn register<D: Pools>(deps: &D, drop: &Drop, request: &Draw) -> Result<Entered, EnterError> {
    match draw(deps, drop.lots(), drop.lots_max(), request).await? {
        Ok(_) | Err(NotWon::Already(_)) => Ok(Entered::Registered),
        Err(NotWon::SoldOut) => Err(EnterError::NoLotLeft),
        // By the clock of another process their time is over: it draws them.
        Err(NotWon::Over) => Err(EnterError::Shuffling),
        Err(not_won) => Err(refused(not_won, drop, request.at)),
    }
}

/// Takes a place on the waiting list.
async fn wait<D>(deps: &D, drop: &Drop, request: &Draw) -> Result<Entered, EnterError>
where
    D: Pools + DropCache + Clock,
{
    let place = match draw(deps, drop.list(), drop.waiting, request).await? {
        Ok(place) | Err(NotWon::Already(place)) => place,
        Err(not_won) => return Err(refused(not_won, drop, request.at)),
    };
    match standing(deps, drop, &request.member, place).await {
        Ok(Listed::Waiting { position }) => Ok(Entered::Waiting { position: Some(position) }),
        Ok(Listed::Promoted { slot }) => Err(EnterError::Already { slot: slot_number(slot) }),
        Err(error) => {
            // The place is taken, so the entry is decided; only its position is not known now.
            tracing::warn!(error.cause = error.causes(), "the waiting list was not read");
            Ok(Entered::Waiting { position: None })
        }
    }
}

/// Where the member of a place stands. The list may be a moment old and not show the place yet.
async fn standing<D>(deps: &D, drop: &Drop, member: &UserId, place: Won) -> PortResult<Listed>
where
    D: Pools + DropCache + Clock,
{
    let list: Arc<WaitingList> = waiting_list(deps, drop).await?;
    let unlisted = || Listed::Waiting { position: list.position(place.entry, place.part) };
    Ok(list.standing(member).unwrap_or_else(unlisted))
}

fn refused(not_won: NotWon, drop: &Drop, now: Timestamp) -> EnterError {
    match not_won {
        NotWon::Ahead if drop.window.is_ahead(now) => {
            EnterError::NotOpen { opens: drop.window.opens, now }
        }
        // Each bucket of slots and places waits for the shuffle.
        NotWon::Ahead => EnterError::Shuffling,
        NotWon::Over => EnterError::Over,
        NotWon::Already(won) => EnterError::Already { slot: slot_number(won.part) },
        NotWon::SoldOut => EnterError::SoldOut,
        NotWon::NoSuchPool => PortError::corrupt("enter: a bucket of the drop is missing").into(),
    }
}
