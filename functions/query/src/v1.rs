//! v1: a spray by its token, and the balance of the caller.

use axum::extract::State;
use http::StatusCode;
use largesse_app::spray::read::{Claim, ReadError, by_token, claims_of};
use largesse_app::wallet::read;
use largesse_domain::id::Token;
use largesse_domain::spray::Spray;
use largesse_edge::openapi::{V1CallerHeader, V1UserId};
use largesse_edge::v1::{Issues, user_value};
use largesse_edge::{Answer, ApiError, App, Call, limits, time};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Deps;

/// One claim.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1Share {
    /// The amount of the share.
    #[schema(example = 3_337)]
    amount: u64,
    /// The user who claimed.
    #[schema(value_type = V1UserId, example = 8)]
    user_id: Value,
}

impl From<&Claim> for V1Share {
    fn from(claim: &Claim) -> Self {
        Self { amount: claim.amount.get(), user_id: user_value(&claim.member) }
    }
}

/// A spray.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1Spray {
    /// When it was created.
    #[schema(example = "2026-01-31T09:00:00.000Z", format = DateTime)]
    spray_time: String,
    /// The whole amount.
    #[schema(example = 10_000)]
    spray_amount: u64,
    /// The sum of the claimed shares.
    #[schema(example = 3_337)]
    received_amount: u64,
    /// The claims, the earliest first.
    received_list: Vec<V1Share>,
}

impl V1Spray {
    fn new(spray: &Spray, claims: &[Claim]) -> Self {
        let amounts = claims.iter().map(|claim| claim.amount.get());
        Self {
            spray_time: time::format(spray.created_at()),
            spray_amount: spray.amount.get(),
            received_amount: amounts.fold(0, u64::saturating_add),
            received_list: claims.iter().map(V1Share::from).collect(),
        }
    }
}

/// Read a spray
///
/// Only the sender can read it, for seven days.
#[utoipa::path(
    get, path = "/api/v1/spray/{token}", tag = "v1", operation_id = "v1GetSpray",
    params(
        V1CallerHeader,
        ("token" = String, Path, description = "The spray's token.", example = "A7Q"),
    ),
    responses(
        (status = 200, description = "The spray.", body = V1Spray),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005 ERR104"),
    )
)]
pub async fn spray<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let mut issues = Issues::default();
    let Some(caller) = issues.caller(&call) else { return Err(issues.refuse()) };
    let token: Token = call.path("token")?;
    // A token is unique over all rooms, so v1 names no room here.
    let misses = limits::misses_of(&app.edge, &call);
    let spray = by_token(&*app.deps, token, None, &caller, &misses).await.map_err(refuse)?;
    let claims = claims_of(&*app.deps, &spray).await?;
    Answer::json(StatusCode::OK, &V1Spray::new(&spray, &claims))
}

fn refuse(error: ReadError) -> ApiError {
    let is_old = matches!(error, ReadError::TooOld);
    let refusal = crate::refuse(error);
    if is_old { refusal.status(StatusCode::NOT_FOUND) } else { refusal }
}

/// A balance.
#[derive(Debug, Serialize, ToSchema)]
pub struct V1Balance {
    /// The user.
    #[schema(value_type = V1UserId, example = 7)]
    user_id: Value,
    /// The amount that can be spent.
    #[schema(example = 50_000)]
    balance: u64,
}

/// Read the caller's balance
#[utoipa::path(
    get, path = "/api/v1/wallet/balance", tag = "v1", operation_id = "v1Balance",
    params(V1CallerHeader),
    responses((status = 200, description = "The balance.", body = V1Balance))
)]
pub async fn balance<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Answer, ApiError> {
    let mut issues = Issues::default();
    let Some(caller) = issues.caller(&call) else { return Err(issues.refuse()) };
    let balance = read::read(&*app.deps, &caller).await?.balance.get();
    Answer::json(StatusCode::OK, &V1Balance { user_id: user_value(&caller), balance })
}
