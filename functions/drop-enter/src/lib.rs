//! `POST /api/v2/drops/{id}/entries`: a member enters a drop.
//!
//! An entry takes no `Idempotency-Key`: the member is the key. A repeat hears "already", with the slot,
//! or the place on the waiting list.

use largesse_app::drop::enter::EnterError;
use largesse_app::ports::{Clock, DropCache, Drops, Ids, Keys, Pools, Rng};
use largesse_edge::{ApiError, Code, time};

pub mod settings;
pub mod v2;

/// The ports that the function uses.
pub trait Deps: Drops + DropCache + Pools + Keys + Clock + Ids + Rng + 'static {}

impl<T: Drops + DropCache + Pools + Keys + Clock + Ids + Rng + 'static> Deps for T {}

largesse_edge::routes! { D: Deps =>
    v2::enter<D>,
}

/// When to come back while the lots are drawn: a run of each minute begins to draw them, and takes some
/// seconds.
const SHUFFLING_S: u32 = 10;

fn refuse(error: EnterError) -> ApiError {
    match error {
        EnterError::NotFound => ApiError::not_found(),
        EnterError::NotOpen { opens, now } => {
            let seconds = opens.ms_since(now).div_ceil(1_000);
            ApiError::new(Code::DropNotOpen, "The drop is not open yet.")
                .with("opens_at", time::format(opens))
                .retry_after(u32::try_from(seconds).unwrap_or(u32::MAX))
        }
        EnterError::Shuffling => {
            ApiError::new(Code::DropNotOpen, "The lots are being drawn.").retry_after(SHUFFLING_S)
        }
        EnterError::Over => ApiError::new(Code::DropOver, "The drop is over."),
        EnterError::Already { slot } => {
            ApiError::new(Code::AlreadyEntered, "You have a slot of this drop.").with("slot", slot)
        }
        EnterError::SoldOut => {
            ApiError::new(Code::DropSoldOut, "All slots and all places on the list are taken.")
        }
        EnterError::NoLotLeft => {
            let detail = "All lots are taken, and all slots and places go to their members.";
            ApiError::new(Code::NoLotLeft, detail)
        }
        EnterError::Port(error) => error.into(),
    }
}
