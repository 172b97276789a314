//! Creates rooms, adds and removes members; creates products.

use largesse_app::ports::{Clock, Idempotency, Ids, Pause, Products, Rooms};
use largesse_app::room::RoomError;
use largesse_edge::ApiError;

pub mod products;
pub mod settings;
pub mod v1;
pub mod v2;

/// The ports that the function uses.
pub trait Deps: Rooms + Products + Idempotency + Clock + Ids + Pause + 'static {}

impl<T: Rooms + Products + Idempotency + Clock + Ids + Pause + 'static> Deps for T {}

largesse_edge::routes! { D: Deps =>
    v1::create_room<D>, v1::invite<D>, v2::create_room<D>, v2::add_member<D>, v2::remove_member<D>,
    products::create<D>,
}

fn refuse(error: RoomError) -> ApiError {
    match error {
        RoomError::NotAMember => ApiError::not_a_member(),
        RoomError::Port(error) => error.into(),
    }
}
