//! v2: `POST /api/v2/sprays`.

use std::str::FromStr;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::spray::create::{Create, create as spray};
use largesse_domain::id::SprayId;
use largesse_domain::split::Split;
use largesse_domain::spray::{EXPIRES_IN_S_MAX, Spray, Terms, TermsError};
use largesse_edge::extract::{Whole, given, parsed};
use largesse_edge::openapi::{CallerHeader, KeyHeader, RoomHeader};
use largesse_edge::{Answer, ApiError, App, Call, FieldError, limits, time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Deps;

/// How an amount is split into shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum SplitName {
    /// At random: every split is equally likely.
    #[default]
    Random,
    /// Equally; the remainder goes to the shares with the lowest numbers, one unit each.
    Equal,
}

/// A text that names no split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("random or equal")]
pub struct UnknownSplit;

impl FromStr for SplitName {
    type Err = UnknownSplit;

    fn from_str(text: &str) -> Result<Self, UnknownSplit> {
        match text {
            "random" => Ok(Self::Random),
            "equal" => Ok(Self::Equal),
            _ => Err(UnknownSplit),
        }
    }
}

/// The spray to create.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SprayRequest {
    /// The whole amount.
    #[schema(value_type = u64, minimum = 1, maximum = 1_000_000_000_000_u64, example = 10_000)]
    amount: Whole,
    /// The number of shares; at most `amount`.
    #[schema(value_type = u64, minimum = 1, maximum = 1_000, example = 3)]
    recipients: Whole,
    /// How the amount is split.
    #[serde(default, deserialize_with = "parsed")]
    #[schema(default = "random")]
    split: SplitName,
    /// The time in which it can be claimed, in seconds.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = u64, required = false, minimum = 10, maximum = 604_800,
        default = 604_800, example = 600)]
    expires_in_s: Option<Whole>,
}

impl TryFrom<SprayRequest> for Terms {
    type Error = FieldError;

    fn try_from(request: SprayRequest) -> Result<Self, FieldError> {
        let split = match request.split {
            SplitName::Random => Split::Random,
            SplitName::Equal => Split::Equal,
        };
        let expires_in_s = request.expires_in_s.map_or(EXPIRES_IN_S_MAX, |Whole(seconds)| seconds);
        Self::new(request.amount.0, request.recipients.0, split, expires_in_s).map_err(|error| {
            let field = match error {
                TermsError::Amount(_) | TermsError::AmountBelowRecipients => "amount",
                TermsError::Recipients => "recipients",
                TermsError::ExpiresIn => "expires_in_s",
            };
            FieldError::body(field, "out_of_range", error.to_string())
        })
    }
}

/// The created spray.
#[derive(Debug, Serialize, ToSchema)]
pub struct SprayCreated {
    /// The permanent id.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    spray_id: String,
    /// The token, valid until `expires_at`.
    #[schema(example = "A7Q")]
    token: String,
    /// The moment from which it cannot be claimed.
    #[schema(example = "2026-01-31T09:10:00.000Z", format = DateTime)]
    expires_at: String,
    /// SHA-256 of the seed from which the shares are computed; the seed is published when the spray
    /// is over.
    seed_hash: String,
}

impl From<&Spray> for SprayCreated {
    fn from(spray: &Spray) -> Self {
        Self {
            spray_id: spray.id.to_string(),
            token: spray.token.to_string(),
            expires_at: time::format(spray.window.closes),
            seed_hash: hex::encode(spray.seed.commitment()),
        }
    }
}

/// Spray an amount over a room
///
/// The amount leaves the wallet at once. Each member of the room can claim one share by the token.
/// The unclaimed rest returns to the wallet when the spray is over.
#[utoipa::path(
    post, path = "/api/v2/sprays", tag = "spray", operation_id = "createSpray",
    params(CallerHeader, RoomHeader, KeyHeader), request_body = SprayRequest,
    responses(
        (status = 201, description = "The spray is created.", body = SprayCreated),
        (status = 403, description = "ERR004"),
        (status = 409, description = "ERR501 ERR006"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn create<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let (sender, room, key) = (call.caller()?, call.room()?, call.required_key()?);
    let terms = Terms::try_from(call.json::<SprayRequest>()?);
    let terms = terms.map_err(|error| ApiError::invalid(vec![error]))?;
    let caller = sender.clone();
    let deps = &*app.deps;
    limits::create_once(&app, &call, &caller, key, async |op| {
        let order = Create { id: SprayId(op), room, sender, terms };
        let created = spray(deps, order).await;
        let created = created.map_err(|error| crate::refuse(error, deps.now()))?;
        Answer::json(StatusCode::CREATED, &SprayCreated::from(&created))
    })
    .await
}
