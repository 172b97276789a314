//! v2: `POST /api/v2/products/{id}/investments`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::product::invest::{Invest, invest as put_in};
use largesse_domain::id::{InvestmentId, ProductId};
use largesse_domain::money::Amount;
use largesse_edge::extract::Whole;
use largesse_edge::openapi::{CallerHeader, KeyHeader};
use largesse_edge::{Answer, ApiError, App, Call, FieldError, idempotency};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Deps;

/// The investment to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InvestmentRequest {
    /// The amount. It is invested whole or not at all.
    #[schema(value_type = u64, minimum = 1, maximum = 1_000_000_000_000_u64, example = 50_000)]
    amount: Whole,
}

/// The investment is made.
#[derive(Debug, Serialize, ToSchema)]
pub struct Invested {
    /// The permanent id. The transaction that pays it has the same one.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    investment_id: String,
    /// The amount.
    #[schema(example = 50_000)]
    amount: u64,
    /// The amount that remained after it, as of at most one second ago.
    #[schema(example = 950_000)]
    remaining: u64,
}

/// Invest in a product
///
/// The amount leaves the wallet at once. An amount below the product's `min_investment` is taken only
/// if it is all that remains.
#[utoipa::path(
    post, path = "/api/v2/products/{id}/investments", tag = "product", operation_id = "invest",
    params(
        CallerHeader, KeyHeader,
        ("id" = String, Path, description = "The product.", min_length = 26, max_length = 26,
            example = "01K9Z3NDEKTSV4RRFFQ69G5FAV"),
    ),
    request_body = InvestmentRequest,
    responses(
        (status = 201, description = "The investment is made.", body = Invested),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR401 ERR403 ERR405 ERR501 ERR006"),
        (status = 410, description = "ERR402 ERR404"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn invest<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let (investor, key) = (call.caller()?, call.required_key()?);
    let product: ProductId = call.path("id")?;
    let request: InvestmentRequest = call.json()?;
    let amount = Amount::new(request.amount.0).map_err(|error| {
        ApiError::invalid(vec![FieldError::body("amount", "out_of_range", error.to_string())])
    })?;
    let caller = investor.clone();
    let deps = &*app.deps;
    idempotency::once(deps, &call, &caller, key, async |op| {
        let request = Invest { id: InvestmentId(op), product, investor, amount };
        let made = put_in(deps, request).await.map_err(crate::refuse)?;
        let invested = Invested {
            investment_id: made.id.to_string(),
            amount: made.amount.get(),
            remaining: made.remaining,
        };
        Answer::json(StatusCode::CREATED, &invested)
    })
    .await
}
