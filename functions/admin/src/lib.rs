//! Creates rooms, adds and removes members; makes drops; creates products; keeps API keys.

use largesse_app::ports::{
    Budgets, Clock, DropReads, DropsMade, Idempotency, Ids, KeyAdmin, Keys, Pause, Products, Rng,
    Rooms, Wallets,
};
use largesse_app::room::RoomError;
use largesse_edge::ApiError;

pub mod drops;
pub mod keys;
pub mod products;
pub mod settings;
pub mod v1;
pub mod v2;

/// The ports that the function uses.
pub trait Deps:
    Rooms + MakesDrops + Products + KeepsKeys + Spends + Clock + Ids + Pause + 'static
{
}

impl<T> Deps for T where
    T: Rooms + MakesDrops + Products + KeepsKeys + Spends + Clock + Ids + Pause + 'static
{
}

/// The ports that remember requests and count creations.
pub trait Spends: Idempotency + Budgets {}

impl<T: Idempotency + Budgets> Spends for T {}

/// The ports through which keys are checked and kept.
pub trait KeepsKeys: Keys + KeyAdmin + Rng {}

impl<T: Keys + KeyAdmin + Rng> KeepsKeys for T {}

/// The ports through which drops are made.
pub trait MakesDrops: DropsMade + DropReads + Wallets + Rng {}

impl<T: DropsMade + DropReads + Wallets + Rng> MakesDrops for T {}

largesse_edge::routes! { D: Deps =>
    v1::create_room<D>, v1::invite<D>, v2::create_room<D>, v2::add_member<D>, v2::remove_member<D>,
    drops::create<D>, products::create<D>,
    keys::create<D>, keys::list<D>, keys::rotate<D>, keys::revoke<D>,
}

fn refuse(error: RoomError) -> ApiError {
    match error {
        RoomError::NotAMember => ApiError::not_a_member(),
        RoomError::Port(error) => error.into(),
    }
}
