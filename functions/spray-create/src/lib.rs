//! Creates sprays: a member splits an amount over the members of a room.

use largesse_app::ports::{
    Budgets, Clock, Idempotency, Ids, Keys, Pause, Rng, Rooms, Sprays, TokenSpace, Wallets,
};
use largesse_app::spray::create::CreateError;
use largesse_domain::time::Timestamp;
use largesse_edge::{ApiError, Code};

pub mod settings;
pub mod v1;
pub mod v2;

/// The ports that the function uses.
pub trait Deps: Makes + Rooms + Keys + Idempotency + Clock + Ids + Rng + Pause + 'static {}

impl<T> Deps for T where T: Makes + Rooms + Keys + Idempotency + Clock + Ids + Rng + Pause + 'static {}

/// The ports through which sprays are made.
pub trait Makes: Sprays + Spends + Wallets {}

impl<T: Sprays + Spends + Wallets> Makes for T {}

/// What a creation takes from supplies that all members share.
pub trait Spends: TokenSpace + Budgets {}

impl<T: TokenSpace + Budgets> Spends for T {}

largesse_edge::routes! { D: Deps =>
    v1::create<D>, v2::create<D>,
}

/// The answer to a refusal. `now` gives the seconds until a token can become free.
fn refuse(error: CreateError, now: Timestamp) -> ApiError {
    match error {
        CreateError::NotAMember => ApiError::not_a_member(),
        CreateError::Insufficient { balance } => {
            ApiError::new(Code::InsufficientBalance, "The wallet holds less than that.")
                .with("balance", balance.get())
        }
        CreateError::TooManyLive => {
            ApiError::new(Code::TooManyLiveSprays, "The sender has too many live sprays.")
        }
        CreateError::NoFreeToken { earliest } => {
            let wait_s = earliest.ms_since(now).div_ceil(1_000).max(1);
            let wait_s = u32::try_from(wait_s).unwrap_or(u32::MAX);
            ApiError::unavailable("Live sprays use all tokens.", wait_s)
        }
        CreateError::Port(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::RETRY_AFTER;
    use largesse_edge::meta::{Meta, Version};

    #[test]
    fn without_a_free_token_the_answer_says_when_to_repeat() {
        let now = Timestamp::from_ms(1_000_000);
        for (wait_ms, expected) in [(0, "1"), (1_000, "1"), (1_001, "2"), (600_000, "600")] {
            let error = CreateError::NoFreeToken { earliest: now.plus_ms(wait_ms) };
            let meta = Meta { request_id: "r".to_owned(), version: Version::V2 };
            let response = refuse(error, now).render(&meta);
            assert_eq!(response.status().as_u16(), 503);
            assert_eq!(response.headers()[RETRY_AFTER], expected);
        }
    }
}
