//! v2: `POST /api/v2/sprays`.

use std::str::FromStr;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::spray::create::{Create, create as spray};
use largesse_domain::id::SprayId;
use largesse_domain::pool::Supply;
use largesse_domain::split::Split;
use largesse_domain::spray::{EXPIRES_IN_S_MAX, Spray, Terms, TermsError};
use largesse_edge::extract::{Whole, given, parsed};
use largesse_edge::openapi::{CallerHeader, KeyHeader, RoomHeader};
use largesse_edge::{Answer, ApiError, App, Call, FieldError, idempotency, time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Deps;

/// How an amount is cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum SplitName {
    /// Every cut is equally likely.
    #[default]
    Random,
    /// The same to everyone; what does not divide goes to the first to claim.
    Equal,
}

/// Text that names no split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("random or equal")]
pub struct NoSuchSplit;

impl FromStr for SplitName {
    type Err = NoSuchSplit;

    fn from_str(text: &str) -> Result<Self, NoSuchSplit> {
        match text {
            "random" => Ok(Self::Random),
            "equal" => Ok(Self::Equal),
            _ => Err(NoSuchSplit),
        }
    }
}

/// The terms of a spray.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SprayWish {
    /// What is given in all.
    #[schema(value_type = u64, minimum = 1, maximum = 1_000_000_000_000_u64, example = 10_000)]
    amount: Whole,
    /// To how many; at most `amount`.
    #[schema(value_type = u64, minimum = 1, maximum = 1_000, example = 3)]
    recipients: Whole,
    /// How it is cut.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(default = "random")]
    split: SplitName,
    /// For how long it can be claimed, in seconds.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 10, maximum = 604_800,
        default = 604_800, example = 600)]
    expires_in_s: Option<Whole>,
}

impl TryFrom<SprayWish> for Terms {
    type Error = FieldError;

    fn try_from(wish: SprayWish) -> Result<Self, FieldError> {
        let split = match wish.split {
            SplitName::Random => Split::Random,
            SplitName::Equal => Split::Equal,
        };
        let expires_in_s = wish.expires_in_s.map_or(EXPIRES_IN_S_MAX, |Whole(seconds)| seconds);
        Self::new(wish.amount.0, wish.recipients.0, split, expires_in_s).map_err(|error| {
            let field = match error {
                TermsError::Amount(_) | TermsError::AmountBelowRecipients => "amount",
                TermsError::Recipients => "recipients",
                TermsError::ExpiresIn => "expires_in_s",
            };
            FieldError::body(field, "out_of_range", error.to_string())
        })
    }
}

/// A spray that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct SprayMade {
    /// Its permanent id: its history lives under it for ever.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    spray_id: String,
    /// Its short name while it is alive.
    #[schema(example = "A7Q")]
    token: String,
    /// The first moment at which it cannot be claimed any more.
    #[schema(example = "2026-01-31T09:10:00.000Z", format = DateTime)]
    expires_at: String,
    /// SHA-256 of the seed that the shares are cut from; the seed is shown when the spray is over.
    seed_hash: String,
}

impl From<&Spray> for SprayMade {
    fn from(spray: &Spray) -> Self {
        let seed_hash = match &spray.pool.supply {
            Supply::Shares { seed, .. } => hex::encode(seed.commitment()),
            Supply::Slots { .. } | Supply::Amount { .. } => String::new(),
        };
        Self {
            spray_id: spray.id.to_string(),
            token: spray.token.to_string(),
            expires_at: time::format(spray.pool.window.closes),
            seed_hash,
        }
    }
}

/// Spray an amount over a room
///
/// The amount leaves the wallet at once. Members of the room claim a share each under the token;
/// what nobody claimed goes back when the spray is over.
#[utoipa::path(
    post, path = "/api/v2/sprays", tag = "spray", operation_id = "createSpray",
    params(CallerHeader, RoomHeader, KeyHeader), request_body = SprayWish,
    responses(
        (status = 201, description = "It is made.", body = SprayMade),
        (status = 403, description = "ERR004"),
        (status = 409, description = "ERR501 ERR006"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn create<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let (sender, room, key) = (call.caller()?, call.room()?, call.required_key()?);
    let terms = Terms::try_from(call.json::<SprayWish>()?);
    let terms = terms.map_err(|error| ApiError::invalid(vec![error]))?;
    let caller = sender.clone();
    let deps = &*app.deps;
    idempotency::once(deps, &call, &caller, key, |op| async move {
        let wish = Create { id: SprayId(op), room, sender, terms };
        let made = spray(deps, wish).await;
        let made = made.map_err(|error| crate::refuse(error, deps.now()))?;
        Answer::json(StatusCode::CREATED, &SprayMade::from(&made))
    })
    .await
}
