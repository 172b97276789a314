//! Creates rooms, adds and removes members; makes drops; creates products.

use largesse_app::ports::{
    Budgets, Clock, DropReads, DropsMade, Idempotency, Ids, Pause, Products, Rooms, Wallets,
};
use largesse_app::room::RoomError;
use largesse_edge::ApiError;

pub mod drops;
pub mod products;
pub mod settings;
pub mod v1;
pub mod v2;

/// The ports that the function uses.
pub trait Deps:
    Rooms + MakesDrops + Products + Budgets + Idempotency + Clock + Ids + Pause + 'static
{
}

impl<T: Rooms + MakesDrops + Products + Budgets + Idempotency + Clock + Ids + Pause + 'static> Deps
    for T
{
}

/// The ports through which drops are made.
pub trait MakesDrops: DropsMade + DropReads + Wallets {}

impl<T: DropsMade + DropReads + Wallets> MakesDrops for T {}

largesse_edge::routes! { D: Deps =>
    v1::create_room<D>, v1::invite<D>, v2::create_room<D>, v2::add_member<D>, v2::remove_member<D>,
    drops::create<D>, products::create<D>,
}

fn refuse(error: RoomError) -> ApiError {
    match error {
        RoomError::NotAMember => ApiError::not_a_member(),
        RoomError::Port(error) => error.into(),
    }
}
