//! v2: `POST /api/v2/wallets/{user}/deposits`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use largesse_app::wallet::deposit::{Deposit, deposit as pay_in};
use largesse_domain::id::TransferId;
use largesse_domain::ledger::Memo;
use largesse_domain::money::Amount;
use largesse_edge::extract::{Whole, given};
use largesse_edge::openapi::{CallerHeader, KeyHeader};
use largesse_edge::{Answer, ApiError, App, Call, FieldError, idempotency};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Deps;

/// The deposit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DepositRequest {
    /// The amount.
    #[schema(value_type = u64, minimum = 1, maximum = 1_000_000_000_000_u64, example = 50_000)]
    amount: Whole,
    /// A memo: at most 200 characters, no control characters.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, max_length = 200, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$", example = "January")]
    memo: Option<String>,
}

impl DepositRequest {
    fn read(&self) -> Result<(Amount, Option<Memo>), FieldError> {
        let amount = Amount::new(self.amount.0)
            .map_err(|error| FieldError::body("amount", "out_of_range", error.to_string()))?;
        let memo = self.memo.as_deref().map(Memo::new).transpose();
        let memo = memo.map_err(|error| FieldError::body("memo", "invalid", error.to_string()))?;
        Ok((amount, memo))
    }
}

/// The deposit is made.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deposited {
    /// The permanent id of the transaction.
    #[schema(example = "01K9Z3NDEKTSV4RRFFQ69G5FAV")]
    transaction_id: String,
    /// The balance after it.
    #[schema(example = 50_000)]
    balance: u64,
}

/// Deposit into a wallet
#[utoipa::path(
    post, path = "/api/v2/wallets/{user}/deposits", tag = "wallet", operation_id = "deposit",
    params(
        CallerHeader, KeyHeader,
        (
            "user" = String, Path,
            description = "The owner, who must be the caller.", example = "ann",
        ),
    ),
    request_body = DepositRequest,
    responses(
        (status = 201, description = "The deposit is made.", body = Deposited),
        (status = 403, description = "ERR004"),
        (status = 404, description = "ERR005"),
        (status = 409, description = "ERR502 ERR006"),
        (status = 422, description = "ERR006"),
    )
)]
pub async fn deposit<D: Deps>(State(app): State<App<D>>, call: Call) -> Result<Response, ApiError> {
    let (user, key) = (call.owner()?, call.required_key()?);
    let request: DepositRequest = call.json()?;
    let (amount, memo) = request.read().map_err(|error| ApiError::invalid(vec![error]))?;
    let caller = user.clone();
    let deps = &*app.deps;
    idempotency::once(deps, &call, &caller, key, async |op| {
        let order = Deposit { id: TransferId(op), user, amount, memo };
        let transfer = pay_in(deps, order).await.map_err(crate::refuse)?;
        let deposited = Deposited {
            transaction_id: transfer.order.id.to_string(),
            balance: transfer.balance_after.get(),
        };
        Answer::json(StatusCode::CREATED, &deposited)
    })
    .await
}
